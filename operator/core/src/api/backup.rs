//! `EtcdBackup`: one backup of a cluster, taken once, and what came of it. Never reads or decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ResourcesSpec, StoreSpec};

/// A backup of a cluster, as its user wants it. It is taken once; for another one, create another object.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "etcd.operators.rs",
    version = "v1beta1",
    kind = "EtcdBackup",
    plural = "etcdbackups",
    singular = "etcdbackup",
    namespaced,
    status = "EtcdBackupStatus",
    derive = "PartialEq",
    doc = "A backup of an etcd cluster: taken once, and proved by restoring it.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cluster", description = "The cluster that it is of"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "How far it is"),
    printcolumn(name = "Proved", type_ = "string", json_path = ".status.conditions[?(@.type=='Proved')].status",
        description = "It was restored, and had the cluster's data"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision",
        description = "The last revision in it"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size", description = "Size of the database"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Complete')].reason",
        description = "Why it is, or is not, complete"),
    printcolumn(name = "Backup", type_ = "string", json_path = ".status.backup", priority = 1,
        description = "Its name in the store"),
    printcolumn(name = "Store", type_ = "string", json_path = ".status.store", priority = 1,
        description = "Where it is"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // A Job has the same name, and Kubernetes writes it into labels of its pods.
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("the name must be a DNS label, 63 characters at most, because a Job is named after it"),
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdBackupSpec {
    /// The EtcdCluster of the same namespace.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a backup is taken once: create another one"))]
    #[schemars(length(min = 1, max = 46))]
    pub cluster: String,
    /// Where it is kept; where the cluster's `spec.backup.store` says if absent.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a backup is taken once: create another one"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    /// Whether it is restored into an etcd of its own to prove that it has the cluster's data.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a backup is taken once: create another one"))]
    #[serde(default = "default_prove")]
    pub prove: bool,
    /// A Secret of the same namespace with `username` and `password` of a user of etcd that has the role `root`, where users are in
    /// force; what the cluster's `spec.backup.userSecret` says if absent.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_secret: Option<String>,
    /// What becomes of the backup in the store when this object is deleted. With `Delete` the object stays until it is deleted there; setting
    /// `Retain` lets it go at once.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// It is given up after this time, in seconds.
    #[schemars(range(min = 60, max = 604800))]
    #[serde(default = "default_deadline_seconds")]
    pub deadline_seconds: i64,
    /// Requests and limits of the Job's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
}

/// What becomes of a backup when its object is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It stays in the store.
    #[default]
    Retain,
    /// It is deleted from the store first.
    Delete,
}

pub(super) fn default_prove() -> bool {
    true
}

/// Enough for the largest database over a slow line.
pub(super) fn default_deadline_seconds() -> i64 {
    6 * 3600
}

/// How far a backup is.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupPhase {
    /// It cannot be taken yet, or its Job has not started.
    #[default]
    Pending,
    /// Its Job runs.
    Running,
    /// It is in the store.
    Succeeded,
    /// It was given up. What was stored and could not be proved stays.
    Failed,
    /// The object was deleted, and the backup is being deleted from the store.
    Deleting,
}

impl BackupPhase {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        match self {
            BackupPhase::Pending | BackupPhase::Running | BackupPhase::Deleting => false,
            BackupPhase::Succeeded | BackupPhase::Failed => true,
        }
    }
}

/// What became of a backup.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdBackupStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far it is.
    pub phase: BackupPhase,
    /// Where it is: the URL of the store, or the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The same as its Job was told, so that a new cluster can begin with it whatever becomes of the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<StoreSpec>,
    /// The image of etcd that its Job runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What all attempts of its Job have in common in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its name in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// etcd's ID of the cluster, in hexadecimal: the folder in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The version of etcd that it was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd_version: Option<String>,
    /// When it was asked for. Every write that was acknowledged before is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_for_at: Option<Time>,
    /// The last revision in it, where it was proved; otherwise one that it has at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// How many keys it has at that revision, where it was proved and they could be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<i64>,
    /// Size of the database, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Size of what is stored, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_size: Option<String>,
    /// Whether users and roles of etcd are in it, and so in force after a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<bool>,
    /// When it was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved_at: Option<Time>,
    /// Earlier backups of the same schedule that it deleted, because the retention keeps them no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Complete, Failed and Proved; Deleted, once the object is to go and its backup with it.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Backups of a cluster: where they are kept unless they say so themselves, and how old the newest may be.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBackupSpec {
    /// Where they are kept.
    pub store: StoreSpec,
    /// A Secret of the same namespace with `username` and `password` of a user of etcd that has the role `root`, where users are in
    /// force.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_secret: Option<String>,
    /// How old the newest proved backup may be, in seconds, before the condition `BackedUp` and a metric warn. A day if absent.
    #[schemars(range(min = 60, max = 31536000))]
    #[serde(default = "default_maximum_age_seconds")]
    pub maximum_age_seconds: i64,
}

fn default_maximum_age_seconds() -> i64 {
    24 * 3600
}
