//! The pod that takes a backup, or deletes one: what it is told, parsed from what users wrote and from the cluster, and rendered. The same
//! for a backup that is asked for once and for those of a schedule. It looks at no Job.

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, PodTemplateSpec, ResourceRequirements, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

use super::reached::Reached;
use super::reasons::BackupReason;
use super::task::{Deleting, Origin, SCRATCH_PATH, Taking, Task};
use crate::api::{EtcdBackup, EtcdCluster, PodUser, PullPolicy, ResourcesSpec, StoreSpec};
use crate::cluster::desired::{Desired, EtcdVersion, PodShape, parse_resources};
use crate::cluster::target::etcd_image;
use crate::names::secrets::operator_secret;
use crate::names::{
    ANNOTATION_STORE, BACKUP_CONTAINER, CERTIFICATES_DIRECTORY, CERTIFICATES_VOLUME, FIELD_MANAGER,
    GATE_BINARY, GATE_DIRECTORY, GATE_VOLUME, LABEL_BACKED_UP, LABEL_MANAGED_BY, LABEL_NAME,
};
use crate::pods::parts::{empty, install_gate, mount, not_empty, pull_secrets, secret};
use crate::pods::security;

/// A deletion is given up after this time, in seconds.
const DELETION_SECONDS: i64 = 3600;
/// Attempts after the first.
const RETRIES: i32 = 2;
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

/// Whose a backup is.
#[derive(Clone, Debug, PartialEq)]
pub enum Whose {
    /// An EtcdBackup's, which may have several Jobs in turn.
    Object {
        /// Its UID.
        uid: String,
    },
    /// A schedule's, of which each Job takes another one.
    Schedule(Origin),
}

/// Why nothing can be rendered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYet {
    /// The reason.
    pub reason: BackupReason,
    /// In a sentence.
    pub message: String,
}

/// All that the pod is rendered from.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    task: Task,
    cluster: String,
    store: Reached,
    deadline_seconds: i64,
    resources: ResourceRequirements,
    operator_image: String,
    etcd_image: String,
    pull_policy: PullPolicy,
    pull_secrets: Vec<String>,
    user: PodUser,
    shape: PodShape,
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
        whose: Whose,
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
        let user_secret = asked.user_secret.or(backup.and_then(|backup| backup.user_secret.as_deref()));
        let (run, origin) = match whose {
            Whose::Object { uid } => (Some(uid), None),
            Whose::Schedule(origin) => (None, Some(origin)),
        };
        let task = Task::Take(Taking {
            cluster: cluster_name.to_owned(),
            certificate_secret: serves_tls(cluster).then(|| operator_secret(cluster_name)),
            prove: asked.prove,
            user_secret: user_secret.map(str::to_owned),
            deadline_seconds: asked.deadline_seconds,
            run,
            origin,
        });
        let base = Work::of_task(task, store, cluster_name, Some(cluster), operator_image);
        let etcd_image = image_of(cluster, version);
        Ok(Work { etcd_image, deadline_seconds: asked.deadline_seconds, resources, ..base })
    }

    /// Deletes what an EtcdBackup has stored, also once its cluster is gone. `etcd_image` is the one that it was taken with: it has what a
    /// store is trusted by, which the operator's own image has not.
    pub(super) fn deletion(
        backup: &EtcdBackup,
        (store, etcd_image, run): (&StoreSpec, &str, &str),
        cluster: Option<&EtcdCluster>,
        operator_image: &str,
    ) -> Result<Work, String> {
        let status = backup.status.as_ref();
        let stored = status.and_then(|status| Some((status.backup.clone()?, status.cluster_id.clone()?)));
        let task = Task::Delete(Deleting { stored, run: run.to_owned() });
        let store = Reached::parse(store)?;
        let base = Work::of_task(task, store, &backup.spec.cluster, cluster, operator_image);
        Ok(Work { etcd_image: etcd_image.to_owned(), ..base })
    }

    /// What follows from the cluster, as far as there is one.
    fn of_task(
        task: Task,
        store: Reached,
        cluster_name: &str,
        cluster: Option<&EtcdCluster>,
        operator_image: &str,
    ) -> Work {
        let image = cluster.map(|cluster| cluster.spec.image.clone()).unwrap_or_default();
        Work {
            task,
            cluster: cluster_name.to_owned(),
            store,
            deadline_seconds: DELETION_SECONDS,
            resources: ResourceRequirements::default(),
            operator_image: operator_image.to_owned(),
            etcd_image: String::new(),
            pull_policy: image.pull_policy.unwrap_or(PullPolicy::IfNotPresent),
            pull_secrets: image.pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
            user: cluster.map(|cluster| cluster.spec.pod.user).unwrap_or_default(),
            // A cluster whose spec cannot be carried out is backed up all the same.
            shape: cluster
                .and_then(|cluster| Desired::parse(cluster).ok())
                .map(|desired| desired.pod)
                .unwrap_or_default(),
        }
    }

    /// The image of etcd that its container runs.
    pub(super) fn etcd_image(&self) -> &str {
        &self.etcd_image
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
                volumes: Some(self.volumes()),
                ..PodSpec::default()
            }),
        }
    }

    fn volumes(&self) -> Vec<Volume> {
        let certificate = self.task.certificate_secret().map(|name| secret(CERTIFICATES_VOLUME, name));
        let own = [empty(GATE_VOLUME), empty(SCRATCH_VOLUME)];
        own.into_iter().chain(certificate).chain(self.store.volumes()).collect()
    }

    fn container(&self) -> Container {
        let mut mounts =
            vec![mount(GATE_VOLUME, GATE_DIRECTORY, true), mount(SCRATCH_VOLUME, SCRATCH_PATH, false)];
        if self.task.certificate_secret().is_some() {
            mounts.push(mount(CERTIFICATES_VOLUME, CERTIFICATES_DIRECTORY, true));
        }
        mounts.extend(self.store.mounts());
        let mut variables: Vec<EnvVar> = self.task.variables();
        if self.task.reads_snapshots() {
            variables.extend(self.store.encryption_key());
        }
        Container {
            name: BACKUP_CONTAINER.to_owned(),
            image: Some(self.etcd_image.clone()),
            image_pull_policy: Some(self.pull_policy.as_str().to_owned()),
            command: Some([GATE_BINARY, self.task.command()].map(str::to_owned).to_vec()),
            args: Some([self.task.arguments(), self.store.arguments()].concat()),
            env: (!variables.is_empty()).then_some(variables),
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
}

/// Whether members are asked by TLS: as long as any of them serves nothing else, all of them serve it.
fn serves_tls(cluster: &EtcdCluster) -> bool {
    let tls = cluster.status.as_ref().and_then(|status| status.tls.as_ref());
    tls.is_some_and(|tls| tls.members_on_tls_alone > 0)
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
