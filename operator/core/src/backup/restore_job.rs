//! The Job that restores the first member of a new cluster: onto that member's own volume, before any etcd has started there. What is
//! restored bears the member's stamp, by which the start gate knows it. It decides nothing about the cluster.

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::reached::Reached;
use super::work::RESULT_PATH;
use crate::api::{BackupPhase, EtcdBackup, EtcdCluster, RestoreSpec};
use crate::cluster::render::{fingerprint, owner};
use crate::cluster::target::Target;
use crate::names::{
    ANNOTATION_CLAIM_UID, ANNOTATION_FINGERPRINT, ClusterIdentity, DATA_DIRECTORY, DATA_VOLUME,
    ETCD_PROGRAMS, FIELD_MANAGER, GATE_BINARY, GATE_DIRECTORY, GATE_VOLUME, LABEL_MANAGED_BY, LABEL_NAME,
    LABEL_RESTORED, MemberName, RESTORE_CONTAINER, Scheme, VOLUME_PATH,
};
use crate::pods::parts::{empty, install_gate, mount, not_empty, pull_secrets};
use crate::pods::security;

/// Attempts of one Job. A next one is made some time after it has failed.
const RETRIES: i32 = 1;
/// What the program ends with if it was told something that it does not know: no attempt would end otherwise.
const EXIT_USAGE: i32 = 2;
/// A Job is given up after this time, in seconds.
const DEADLINE_SECONDS: i64 = 6 * 3600;

/// Which backup is restored, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    store: Reached,
    which: Vec<String>,
}

impl Source {
    /// Puts together what the spec says with the EtcdBackup that it names.
    ///
    /// # Errors
    /// In a sentence: what lacks.
    pub fn parse(
        spec: &RestoreSpec,
        backup: Option<&EtcdBackup>,
        cluster: &EtcdCluster,
    ) -> Result<Source, String> {
        let mut store = spec.store.as_ref();
        let mut which = Vec::new();
        if let Some(name) = &spec.backup {
            let backup = backup.ok_or_else(|| format!("there is no EtcdBackup {name}"))?;
            let status = backup.status.as_ref();
            if status.is_some_and(|status| status.phase == BackupPhase::Deleting) {
                return Err(format!("the EtcdBackup {name} is being deleted from its store"));
            }
            let stored =
                status.and_then(|status| Some((status.backup.as_ref()?, status.cluster_id.as_ref()?)));
            let (backup_name, cluster_id) = stored.ok_or_else(|| {
                format!("the EtcdBackup {name} is not in a store: it has not been taken, or failed")
            })?;
            which.extend([format!("--backup={backup_name}"), format!("--cluster={cluster_id}")]);
            let recorded = status.and_then(|status| status.kept_in.as_ref());
            let own = cluster.spec.backup.as_ref().map(|backup| &backup.store);
            store = store.or(recorded).or(backup.spec.store.as_ref()).or(own);
        } else {
            which.extend(spec.name.as_ref().map(|name| format!("--backup={name}")));
            which.extend(spec.cluster_id.as_ref().map(|id| format!("--cluster={id}")));
            which.extend(spec.before.as_ref().map(|before| format!("--before={}", before.0)));
            which.extend(spec.unproved.then(|| "--unproved".to_owned()));
        }
        let store = store.ok_or("neither bootstrap.restore.store, nor the EtcdBackup, nor spec.backup.store says where the backup is")?;
        Ok(Source { store: Reached::parse(store)?, which })
    }
}

/// The name of the Job that restores a member.
pub fn name_of(member: &MemberName) -> String {
    format!("{member}-restore")
}

/// The Job that restores a member onto the claim with this UID.
pub fn job(
    cluster: &ClusterIdentity,
    member: &MemberName,
    claim_uid: &str,
    token: &str,
    target: &Target,
    operator_image: &str,
    source: &Source,
) -> Job {
    let labels = [
        (LABEL_NAME, "etcd-restore"),
        (LABEL_MANAGED_BY, FIELD_MANAGER),
        (LABEL_RESTORED, cluster.name.as_str()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut pod_labels = source.store.labels();
    pod_labels.extend(labels.clone());
    let shape = &target.pod;
    let data = Volume {
        name: DATA_VOLUME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: member.claim(),
            ..PersistentVolumeClaimVolumeSource::default()
        }),
        ..Volume::default()
    };
    let pod = PodSpec {
        restart_policy: Some("Never".to_owned()),
        // The volume is bound where this pod runs, and the member must be able to run there.
        affinity: shape.affinity.clone(),
        node_selector: not_empty(&shape.node_selector),
        tolerations: (!shape.tolerations.is_empty()).then(|| shape.tolerations.clone()),
        service_account_name: source.store.service_account(),
        image_pull_secrets: pull_secrets(&target.image.pull_secrets),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(security::of_pod(target.user, shape.security_context.as_ref())),
        init_containers: Some(vec![install_gate(operator_image, target.pull_policy())]),
        containers: vec![container(cluster, member, token, target, source)],
        volumes: Some([vec![empty(GATE_VOLUME), data], source.store.volumes()].concat()),
        ..PodSpec::default()
    };
    let spec = JobSpec {
        backoff_limit: Some(RETRIES),
        active_deadline_seconds: Some(DEADLINE_SECONDS),
        pod_failure_policy: Some(failure_policy()),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(pod_labels),
                annotations: not_empty(&shape.annotations),
                ..ObjectMeta::default()
            }),
            spec: Some(pod),
        },
        ..JobSpec::default()
    };
    let annotations =
        [(ANNOTATION_CLAIM_UID, claim_uid.to_owned()), (ANNOTATION_FINGERPRINT, fingerprint(&spec))];
    Job {
        metadata: ObjectMeta {
            name: Some(name_of(member)),
            namespace: Some(cluster.namespace.clone()),
            labels: Some(labels.into()),
            annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value)).into()),
            owner_references: Some(vec![owner(cluster)]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

fn container(
    cluster: &ClusterIdentity,
    member: &MemberName,
    token: &str,
    target: &Target,
    source: &Source,
) -> Container {
    let scheme = if target.tls.is_some() { Scheme::Https } else { Scheme::Http };
    let peer_url = cluster.peer_url(scheme, member);
    let own = [
        format!("--data-dir={DATA_DIRECTORY}"),
        format!("--name={member}"),
        format!("--initial-cluster={member}={peer_url}"),
        format!("--initial-cluster-token={token}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--stamp-for={}", cluster.uid),
        format!("--result={RESULT_PATH}"),
        format!("--etcdutl={ETCD_PROGRAMS}/etcdutl"),
    ];
    Container {
        name: RESTORE_CONTAINER.to_owned(),
        image: Some(target.etcd_image()),
        image_pull_policy: Some(target.pull_policy().as_str().to_owned()),
        command: Some(vec![GATE_BINARY.to_owned(), "restore".to_owned()]),
        args: Some([source.store.arguments(), source.which.clone(), own.to_vec()].concat()),
        env: source.store.encryption_key().map(|key| vec![key]),
        env_from: source.store.credentials(),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        // What the member may have, its restore may have.
        resources: Some(target.resources.clone()),
        security_context: Some(security::of_container()),
        volume_mounts: Some(
            [
                vec![mount(GATE_VOLUME, GATE_DIRECTORY, true), mount(DATA_VOLUME, VOLUME_PATH, false)],
                source.store.mounts(),
            ]
            .concat(),
        ),
        ..Container::default()
    }
}

/// A pod that is moved away takes no attempt; one that was told nonsense takes all.
fn failure_policy() -> PodFailurePolicy {
    let disrupted = PodFailurePolicyOnPodConditionsPattern {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
    };
    let usage = PodFailurePolicyOnExitCodesRequirement {
        container_name: Some(RESTORE_CONTAINER.to_owned()),
        operator: "In".to_owned(),
        values: vec![EXIT_USAGE],
    };
    let rule =
        |action: &str| PodFailurePolicyRule { action: action.to_owned(), ..PodFailurePolicyRule::default() };
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule { on_pod_conditions: Some(vec![disrupted]), ..rule("Ignore") },
            PodFailurePolicyRule { on_exit_codes: Some(usage), ..rule("FailJob") },
        ],
    }
}
