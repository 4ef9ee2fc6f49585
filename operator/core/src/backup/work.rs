//! The pod that takes a backup: what it is told, parsed from what users wrote and from the cluster, and rendered. The same for a backup
//! that is asked for once and for those of a schedule. It looks at no Job.

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, ObjectFieldSelector, PodSpec, PodTemplateSpec, ResourceRequirements,
    SecretKeySelector,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

use super::reached::Reached;
use super::reasons::BackupReason;
use super::retention::Retention;
use crate::api::{EtcdCluster, PodUser, PullPolicy, ResourcesSpec, StoreSpec};
use crate::cluster::desired::{Desired, EtcdVersion, PodShape, parse_resources};
use crate::cluster::target::etcd_image;
use crate::names::{
    ANNOTATION_STORE, BACKUP_CONTAINER, CLIENT_PORT, ETCD_PROGRAMS, FIELD_MANAGER, GATE_BINARY,
    GATE_DIRECTORY, GATE_VOLUME, LABEL_BACKED_UP, LABEL_CONTROLLER_UID, LABEL_MANAGED_BY, LABEL_NAME,
};
use crate::pods::parts::{empty, install_gate, mount, not_empty, pull_secrets};
use crate::pods::security;

/// Attempts after the first.
const RETRIES: i32 = 2;
const SCRATCH_PATH: &str = "/scratch";
const SCRATCH_VOLUME: &str = "scratch";
/// Where the kubelet reads a container's last words.
pub(super) const RESULT_PATH: &str = "/dev/termination-log";

/// What the spec of a backup, or of a schedule, says.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where it is kept.
    pub store: Option<&'a StoreSpec>,
    /// Whether it is proved.
    pub prove: bool,
    /// The Secret with a user of etcd.
    pub user_secret: Option<&'a str>,
    /// When it is given up, in seconds.
    pub deadline_seconds: i64,
    /// Requests and limits.
    pub resources: Option<&'a ResourcesSpec>,
}

/// Why nothing can be rendered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYet {
    /// The reason.
    pub reason: BackupReason,
    /// In a sentence.
    pub message: String,
}

/// A schedule that a backup is taken by.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its namespace and name, with a slash between.
    pub schedule: String,
    /// What of its backups is kept.
    pub retention: Retention,
    /// The time zone of days, weeks and months.
    pub time_zone: String,
}

/// All that the pod is rendered from.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    cluster: String,
    store: Reached,
    prove: bool,
    user_secret: Option<String>,
    deadline_seconds: i64,
    resources: ResourceRequirements,
    operator_image: String,
    etcd_image: String,
    pull_policy: PullPolicy,
    pull_secrets: Vec<String>,
    user: PodUser,
    shape: PodShape,
    origin: Option<Origin>,
}

impl Work {
    /// Puts together what is asked for with what the cluster is.
    ///
    /// # Errors
    /// Why it cannot be carried out yet.
    pub fn parse(
        asked: &Asked<'_>,
        cluster_name: &str,
        cluster: Option<&EtcdCluster>,
        operator_image: &str,
        origin: Option<Origin>,
    ) -> Result<Work, NotYet> {
        let not_yet = |reason, message: String| NotYet { reason, message };
        let cluster = cluster.ok_or_else(|| {
            not_yet(BackupReason::ClusterMissing, format!("there is no EtcdCluster {cluster_name}"))
        })?;
        let backup = cluster.spec.backup.as_ref();
        let store = asked.store.or(backup.map(|backup| &backup.store)).ok_or_else(|| {
            let message = format!("neither spec.store nor spec.backup.store of the EtcdCluster {cluster_name} says where it is kept");
            not_yet(BackupReason::StoreMissing, message)
        })?;
        let invalid = |message: String| not_yet(BackupReason::SpecInvalid, message);
        let store = Reached::parse(store).map_err(invalid)?;
        let resources = parse_resources(asked.resources).map_err(|error| invalid(error.to_string()))?;
        let version = highest_version(cluster).ok_or_else(|| {
            not_yet(
                BackupReason::ClusterForming,
                format!("the EtcdCluster {cluster_name} has not formed yet"),
            )
        })?;
        let image = &cluster.spec.image;
        let user_secret = asked.user_secret.or(backup.and_then(|backup| backup.user_secret.as_deref()));
        Ok(Work {
            cluster: cluster_name.to_owned(),
            store,
            prove: asked.prove,
            user_secret: user_secret.map(str::to_owned),
            deadline_seconds: asked.deadline_seconds,
            resources,
            operator_image: operator_image.to_owned(),
            etcd_image: image_of(cluster, version),
            pull_policy: image.pull_policy.unwrap_or(PullPolicy::IfNotPresent),
            pull_secrets: image.pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
            user: cluster.spec.pod.user,
            // A cluster whose spec cannot be carried out is backed up all the same.
            shape: Desired::parse(cluster).map(|desired| desired.pod).unwrap_or_default(),
            origin,
        })
    }

    /// Where the backup will be.
    pub fn store(&self) -> &StoreSpec {
        self.store.spec()
    }

    /// Annotations that Jobs bear: what they were made with, whatever the specs say later.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let store = serde_json::to_string(self.store.spec()).expect("a store is plain data");
        [(ANNOTATION_STORE.to_owned(), store)].into()
    }

    /// The Job's spec. `labels` are those of its pods, beside the usual ones.
    pub fn job(&self, labels: BTreeMap<String, String>) -> JobSpec {
        JobSpec {
            backoff_limit: Some(RETRIES),
            active_deadline_seconds: Some(self.deadline_seconds),
            // A pod on a node that is gone never ends; another one is made at once, and both may write: each has a name of its own.
            pod_replacement_policy: Some("TerminatingOrFailed".to_owned()),
            template: self.template(labels),
            ..JobSpec::default()
        }
    }

    /// Labels that Jobs and their pods bear.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [(LABEL_NAME, "etcd-backup"), (LABEL_MANAGED_BY, FIELD_MANAGER), (LABEL_BACKED_UP, &self.cluster)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn template(&self, labels: BTreeMap<String, String>) -> PodTemplateSpec {
        let mut all = self.labels();
        all.extend(labels);
        all.extend(self.store.labels());
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(all),
                annotations: not_empty(&self.shape.annotations),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                restart_policy: Some("Never".to_owned()),
                node_selector: not_empty(&self.shape.node_selector),
                tolerations: (!self.shape.tolerations.is_empty()).then(|| self.shape.tolerations.clone()),
                service_account_name: self.store.service_account(),
                image_pull_secrets: pull_secrets(&self.pull_secrets),
                // It asks nothing of the Kubernetes API.
                automount_service_account_token: Some(false),
                enable_service_links: Some(false),
                security_context: Some(security::of_pod(self.user, self.shape.security_context.as_ref())),
                init_containers: Some(vec![install_gate(&self.operator_image, self.pull_policy)]),
                containers: vec![self.container()],
                volumes: Some(
                    [vec![empty(GATE_VOLUME), empty(SCRATCH_VOLUME)], self.store.volumes()].concat(),
                ),
                ..PodSpec::default()
            }),
        }
    }

    fn container(&self) -> Container {
        let mut mounts =
            vec![mount(GATE_VOLUME, GATE_DIRECTORY, true), mount(SCRATCH_VOLUME, SCRATCH_PATH, false)];
        mounts.extend(self.store.mounts());
        let user = self.user_secret.iter().flat_map(|secret| {
            [("ETCD_USER", "username"), ("ETCD_PASSWORD", "password")]
                .map(|(variable, key)| of_secret(variable, secret, key))
        });
        let variables: Vec<EnvVar> = user.chain([run()]).collect();
        Container {
            name: BACKUP_CONTAINER.to_owned(),
            image: Some(self.etcd_image.clone()),
            image_pull_policy: Some(self.pull_policy.as_str().to_owned()),
            command: Some(vec![GATE_BINARY.to_owned(), "backup".to_owned()]),
            args: Some(self.arguments()),
            env: Some(variables),
            env_from: self.store.credentials(),
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            resources: Some(self.resources_or_default()),
            security_context: Some(security::of_container()),
            volume_mounts: Some(mounts),
            ..Container::default()
        }
    }

    /// What compressing takes; restoring a database takes about its size in memory, which is the user's to limit.
    fn resources_or_default(&self) -> ResourceRequirements {
        if self.resources != ResourceRequirements::default() {
            return self.resources.clone();
        }
        let requests = [("cpu", "100m"), ("memory", "128Mi")]
            .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())));
        ResourceRequirements { requests: Some(requests.into()), ..ResourceRequirements::default() }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--endpoints=http://{}:{CLIENT_PORT}", self.cluster),
            format!("--scratch={SCRATCH_PATH}"),
            format!("--within={}s", self.deadline_seconds),
            format!("--result={RESULT_PATH}"),
            format!("--etcd={ETCD_PROGRAMS}/etcd"),
            format!("--etcdutl={ETCD_PROGRAMS}/etcdutl"),
        ];
        arguments.extend(self.store.arguments());
        if !self.prove {
            arguments.push("--no-proof".to_owned());
        }
        arguments.extend(self.origin.iter().flat_map(origin_arguments));
        arguments
    }
}

/// What all attempts of one Job have in common, so that each knows what the one before it has left.
fn run() -> EnvVar {
    EnvVar {
        name: "BACKUP_RUN".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: format!("metadata.labels['{LABEL_CONTROLLER_UID}']"),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn of_secret(variable: &str, secret: &str, key: &str) -> EnvVar {
    EnvVar {
        name: variable.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: key.to_owned(),
                ..SecretKeySelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// Whose backup it is, and what of the earlier ones is kept.
fn origin_arguments(origin: &Origin) -> Vec<String> {
    let Origin { schedule, retention, time_zone } = origin;
    let mut arguments = vec![format!("--schedule={schedule}")];
    if retention.is_without_rules() {
        return arguments;
    }
    arguments.push(format!("--time-zone={time_zone}"));
    // Destructured without `..`, so that a new rule cannot be forgotten here.
    let Retention { last, within, hourly, daily, weekly, monthly } = retention;
    arguments.extend(within.map(|within: SignedDuration| format!("--keep-within={}s", within.as_secs())));
    for (name, count) in
        [("last", last), ("hourly", hourly), ("daily", daily), ("weekly", weekly), ("monthly", monthly)]
    {
        arguments.extend(count.map(|count| format!("--keep-{name}={count}")));
    }
    arguments
}

/// A tag or digest that the spec names goes with the spec's version, and members may run another one still.
fn image_of(cluster: &EtcdCluster, running: EtcdVersion) -> String {
    let image = &cluster.spec.image;
    if EtcdVersion::parse(&cluster.spec.version) == Some(running) {
        return etcd_image(&image.repository, image.tag.as_deref(), image.digest.as_deref(), running);
    }
    etcd_image(&image.repository, None, None, running)
}

/// The highest version that a member runs: its tools read what the others have written as well. Nothing before the cluster has formed.
fn highest_version(cluster: &EtcdCluster) -> Option<EtcdVersion> {
    let status = cluster.status.as_ref().filter(|status| status.formed)?;
    let members = status.members.iter().filter_map(|member| member.version.as_deref());
    members.chain(status.version.as_deref()).filter_map(EtcdVersion::parse).max()
}
