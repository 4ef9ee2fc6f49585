//! `EtcdCluster`: its spec with the rules that the API server enforces. Never reads or decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BootstrapSpec, ClusterBackupSpec, EtcdClusterStatus, EtcdSettings, ImageSpec, PeerServiceSettings,
    PodSettings, ResourcesSpec, ServiceSettings, StorageSpec, TlsSpec,
};
use crate::etcd_options::rules;

/// An etcd cluster, as its user wants it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "etcd.operators.rs",
    version = "v1beta1",
    kind = "EtcdCluster",
    plural = "etcdclusters",
    singular = "etcdcluster",
    shortname = "etcd",
    namespaced,
    scale(spec_replicas_path = ".spec.size", status_replicas_path = ".status.size", label_selector_path = ".status.selector"),
    status = "EtcdClusterStatus",
    derive = "PartialEq",
    doc = "An etcd cluster: a number of members of one version, each on its own volume.",
    printcolumn(name = "Size", type_ = "integer", json_path = ".spec.size", description = "Members wanted"),
    printcolumn(name = "Healthy", type_ = "integer", json_path = ".status.readyMembers",
        description = "Voting members that answered the last probe"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", description = "Running version"),
    printcolumn(name = "Available", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Available')].status", description = "A quorum serves"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "All is as the spec says"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why it is, or is not, ready"),
    printcolumn(name = "Backup", type_ = "date", json_path = ".status.backup.askedForAt",
        description = "Age of the newest proved backup"),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader", priority = 1,
        description = "The member that leads"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // The longest name formed from the cluster's is the value of a StatefulSet's revision label, which Kubernetes
    // limits to 63 characters: cluster, hyphen, five letters, hyphen, ten characters of hash.
    validation = Rule::new("self.metadata.name.size() <= 46")
        .message("the name may have 46 characters at most, because members' names are formed from it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name must be a DNS label that begins with a letter, because Services are named after it"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.formed) || !oldSelf.status.formed || \
        !has(self.spec.bootstrap) || !has(self.spec.bootstrap.restore) || (has(oldSelf.spec.bootstrap) && \
        has(oldSelf.spec.bootstrap.restore) && self.spec.bootstrap.restore == oldSelf.spec.bootstrap.restore)")
        .message("a cluster that has formed is not restored in place: create another one from the backup"),
)]
// The supported versions as `EtcdVersion::is_supported` knows them. A test compares the two.
#[x_kube(validation = Rule::new("self.allowUnsupportedVersion || self.version.matches(\
    '^3[.](5[.](3[2-9]|[4-9][0-9]|[1-9][0-9]{2,})|6[.](1[1-9]|[2-9][0-9]|[1-9][0-9]{2,})|7[.][0-9]+)$')")
    .message("this version is not supported: use 3.5.32 or later, 3.6.11 or later, or 3.7, or set allowUnsupportedVersion")
    .field_path(".version"))]
#[x_kube(validation = Rule::new("!has(self.etcd) || !has(self.etcd.quotaBackendBytes) || \
    quantity(string(self.etcd.quotaBackendBytes)).compareTo(quantity(string(self.storage.size))) <= 0")
    .message("quotaBackendBytes must not be above storage.size").field_path(".etcd.quotaBackendBytes"))]
// The versions with sound TLS as `EtcdVersion::has_sound_tls` knows them. A test compares the two.
#[x_kube(validation = Rule::new("!has(self.tls) || !self.version.matches(\
    '^3[.](5[.]([0-9]|[12][0-9]|3[0-2])|6[.]([0-9]|1[0-3])|7[.]0)$')")
    .message("TLS needs 3.5.33, 3.6.14 or 3.7.1 at least: in earlier versions a client that says nothing keeps all others out")
    .field_path(".tls"))]
#[x_kube(validation = rules::fits_3_5())]
#[x_kube(validation = rules::fits_3_6())]
#[x_kube(validation = Rule::new("!has(self.storage.medium) || self.storage.medium != 'Memory' || self.size != 1")
    .message("a single member in memory would lose all data with its pod: storage.medium Memory needs a size of 3 at least")
    .field_path(".size"))]
#[x_kube(validation = Rule::new("!has(self.storage.medium) || self.storage.medium != 'Memory' || !has(self.bootstrap) || \
    !has(self.bootstrap.restore)")
    .message("a cluster in memory is not restored from a backup yet: restore it on volumes").field_path(".bootstrap.restore"))]
#[x_kube(validation = Rule::new("!has(self.storage.medium) || self.storage.medium != 'Memory' || !self.suspend")
    .message("members in memory cannot be suspended: all data would be lost")
    .field_path(".suspend"))]
#[serde(rename_all = "camelCase")]
pub struct EtcdClusterSpec {
    /// Number of voting members: 1, 3, 5 or 7. A cluster of 3 tolerates the failure of 1 member, 5 of 2,
    /// 7 of 3; an even number would tolerate no more failures than the odd one below it. Changed one member at a time, new ones as
    /// learners first.
    #[x_kube(validation = Rule::new("self in [1, 3, 5, 7]").message("size must be 1, 3, 5 or 7"))]
    #[serde(default = "default_size")]
    pub size: i32,
    /// The etcd version, for example `3.6.16`. Supported versions are 3.5.32 and later, 3.6.11 and later, and 3.7.
    /// A change restarts one member at a time, and may lead one minor up, or one minor down; what is further apart is held, with the
    /// versions on the way.
    #[x_kube(validation = Rule::new("self.matches('^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)$')")
        .message("version must be three numbers, for example 3.6.16"))]
    #[schemars(length(max = 32))]
    pub version: String,
    /// Accepts a version outside the supported ones, whose known defects can lose data.
    #[serde(default)]
    pub allow_unsupported_version: bool,
    /// etcd's own settings. A change restarts one member at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<EtcdSettings>,
    /// The volume of each member. Volumes outlive the cluster.
    #[serde(default)]
    pub storage: StorageSpec,
    /// Requests and limits of the etcd container. No request may be above its limit. A change restarts one member at a time.
    #[x_kube(validation = Rule::new("!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || \
        quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)")
        .message("a request must not be above its limit"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
    /// Where the etcd image comes from, and how images are pulled.
    #[serde(default)]
    pub image: ImageSpec,
    /// Stops all members and keeps the size and the volumes. Reserved: this build refuses it with a reason.
    #[serde(default)]
    pub suspend: bool,
    /// How the cluster begins. Once it has formed nothing of this is looked at any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapSpec>,
    /// TLS between members, and between clients and members; plain text if absent. `tls: {}` is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Backups of this cluster. EtcdBackups and EtcdBackupSchedules that name no store use this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<ClusterBackupSpec>,
    /// How changes reach the members.
    #[serde(default)]
    pub rollout: RolloutSpec,
    /// The members' pods.
    #[serde(default)]
    pub pod: PodSettings,
    /// The Service for clients, which has the name of the cluster.
    #[serde(default, skip_serializing_if = "ServiceSettings::is_default")]
    pub service: ServiceSettings,
    /// The headless Service by which members find each other.
    #[serde(default, skip_serializing_if = "PeerServiceSettings::is_default")]
    pub peer_service: PeerServiceSettings,
}

/// How changes reach the members: one at a time, and each must prove itself before the next one is changed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// How long a changed member must be healthy before the next one is changed, in seconds.
    #[schemars(range(min = 0, max = 86400))]
    #[serde(default = "default_soak_seconds")]
    pub soak_seconds: i64,
}

impl Default for RolloutSpec {
    fn default() -> Self {
        RolloutSpec { soak_seconds: default_soak_seconds() }
    }
}

/// Long enough for a memory limit that is too small to show itself.
fn default_soak_seconds() -> i64 {
    120
}

fn default_size() -> i32 {
    3
}
