//! `EtcdCluster`: its spec with the rules that the API server enforces, and its status. Never reads or decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, ResourcesSpec};

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
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader", priority = 1,
        description = "The member that leads"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // The longest name formed from the cluster's is the value of a StatefulSet's revision label, which Kubernetes
    // limits to 63 characters: cluster, hyphen, five letters, hyphen, ten characters of hash.
    validation = Rule::new("self.metadata.name.size() <= 46")
        .message("the name may have 46 characters at most, because members' names are formed from it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name must be a DNS label that begins with a letter, because Services bear it"),
)]
// The supported versions as `EtcdVersion::is_supported` knows them. A test compares the two.
#[x_kube(validation = Rule::new("self.allowUnsupportedVersion || self.version.matches(\
    '^3[.](5[.](3[2-9]|[4-9][0-9]|[1-9][0-9]{2,})|6[.](1[1-9]|[2-9][0-9]|[1-9][0-9]{2,})|7[.][0-9]+)$')")
    .message("this version is not supported: use 3.5.32 or later, 3.6.11 or later, or 3.7, or set allowUnsupportedVersion")
    .field_path(".version"))]
#[serde(rename_all = "camelCase")]
pub struct EtcdClusterSpec {
    /// Number of voting members: 1, 3, 5 or 7. An even number bears no more losses than the odd one below it.
    #[x_kube(validation = Rule::new("self in [1, 3, 5, 7]").message("size must be 1, 3, 5 or 7"))]
    #[serde(default = "default_size")]
    pub size: i32,
    /// The etcd version, for example `3.6.16`. Supported are 3.5.32 and later, 3.6.11 and later, 3.7.
    #[x_kube(validation = Rule::new("self.matches('^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)$')")
        .message("version must be three numbers, for example 3.6.16"))]
    #[schemars(length(max = 32))]
    pub version: String,
    /// Accepts a version outside the supported ones, whose known defects can lose data.
    #[serde(default)]
    pub allow_unsupported_version: bool,
    /// The volume of each member.
    #[serde(default)]
    pub storage: StorageSpec,
    /// Requests and limits of the etcd container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
    /// Where the etcd image comes from.
    #[serde(default)]
    pub image: ImageSpec,
    /// Stops all members and keeps the size and the volumes. Reserved: this build refuses it with a reason.
    #[serde(default)]
    pub suspend: bool,
}

fn default_size() -> i32 {
    3
}

/// The volume of each member.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StorageSpec {
    /// How much each member's volume holds.
    #[serde(default = "default_storage_size")]
    pub size: Amount,
    /// The StorageClass; the cluster's default class if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

impl Default for StorageSpec {
    fn default() -> Self {
        StorageSpec { size: default_storage_size(), storage_class_name: None }
    }
}

/// Four times etcd's default quota of 2 GiB: the database, its copy during defragmentation, the log and snapshots.
fn default_storage_size() -> Amount {
    Amount("8Gi".to_owned())
}

/// Where the etcd image comes from. The tag is always `v<version>`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// The repository, without a tag.
    #[x_kube(validation = Rule::new("self.matches('^([^/]*/)*[^/:@ ]+$')")
        .message("the repository must have neither tag nor digest"))]
    #[schemars(length(max = 255))]
    #[serde(default = "default_repository")]
    pub repository: String,
}

impl Default for ImageSpec {
    fn default() -> Self {
        ImageSpec { repository: default_repository() }
    }
}

fn default_repository() -> String {
    super::DEFAULT_IMAGE_REPOSITORY.to_owned()
}

/// What the operator saw at its last look, and what it remembers. Everything here can be rebuilt from disks, from
/// etcd and from the annotations of the volumes' claims.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdClusterStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the cluster has ever had a quorum. Once true it stays true, and no member starts as of a new cluster.
    pub formed: bool,
    /// The cluster's ID, in hexadecimal, from the moment that it formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The etcd version that the members run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Name of the member that leads, if one was seen to lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Voting members that answered the last probe as healthy.
    pub ready_members: i32,
    /// The members, sorted by name.
    pub members: Vec<MemberStatus>,
    /// The first members and their token, frozen until the cluster has formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapRecord>,
    /// What the operator would do, and does not, with its reasons.
    pub holds: Vec<HoldStatus>,
    /// Available, Ready, Progressing and Degraded.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One member.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStatus {
    /// Its name, never used again after it is gone.
    pub name: String,
    /// Its ID in etcd, in hexadecimal, once it is in the member list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The version that it said it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it leads.
    pub leader: bool,
    /// Whether it is a learner, which has no vote yet.
    pub learner: bool,
    /// What the last probe found.
    pub health: MemberHealth,
    /// Why, in a sentence, unless it is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when it has not answered. Absent while it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Time>,
}

/// What a probe found of a member.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberHealth {
    /// It answered, knows a leader, and reports no error.
    Healthy,
    /// It answered and is not well, or Kubernetes says that it does not run.
    Unhealthy,
    /// Nobody could be asked, or the answer is too old.
    #[default]
    Unknown,
}

/// The first members of a cluster, chosen once for each attempt to form it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapRecord {
    /// Counts attempts from 1. A later one is made only if the earlier never formed and never can.
    pub attempt: i64,
    /// etcd's initial cluster token: the cluster object's UID and the attempt.
    pub token: String,
    /// Names of the members, sorted.
    pub members: Vec<String>,
}

/// Something that the operator holds back.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HoldStatus {
    /// The reason, one CamelCase word.
    pub reason: String,
    /// What is held back and what would end the wait.
    pub message: String,
}
