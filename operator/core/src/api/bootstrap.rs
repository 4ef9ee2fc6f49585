//! What users say of a cluster's beginning: what to do with volumes that are there, and from which backup its data comes. Never decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{StoreSpec, described};

/// How the cluster begins. Once it has formed nothing of this is looked at any more.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapSpec {
    /// What to do if volumes of an earlier cluster of this name still exist: `Leave` forms a cluster beside them, and leaves them
    /// untouched. Without it, no cluster is formed until they are gone. `Adopt` is reserved.
    #[x_kube(validation = Rule::new("self != 'Adopt'")
        .message("retained volumes cannot be adopted yet: set bootstrap.retainedVolumes to Leave for a cluster beside them, or delete them"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_volumes: Option<RetainedVolumes>,
    /// The backup that the cluster's data comes from; without it the cluster begins empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreSpec>,
}

/// What to do where volumes of an earlier cluster of the same name are still there.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
pub enum RetainedVolumes {
    /// Form a cluster beside them.
    Leave,
    /// Take them over.
    Adopt,
}

/// A backup that a new cluster begins with. Its first member is restored from it, and the others copy that one. The new cluster has an ID and a
/// token of its own, and its revisions are raised, so that whoever watched the old one notices.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = Rule::new("has(self.backup) || has(self.store)")
    .message("name an EtcdBackup as backup, or a store"))]
#[x_kube(validation = Rule::new("!has(self.backup) || (!has(self.name) && !has(self.clusterId) && !has(self.before) && !self.unproved)")
    .message("an EtcdBackup says itself which backup it is: name, clusterId, before and unproved are for a store alone"))]
#[x_kube(validation = Rule::new("!has(self.name) || !has(self.before)").message("a name and a time exclude each other"))]
#[serde(rename_all = "camelCase")]
pub struct RestoreSpec {
    /// An EtcdBackup of the same namespace.
    #[schemars(length(min = 1, max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The store that it is in. Needed where no EtcdBackup is named; where one is, its own store and that of this cluster's `spec.backup` are
    /// looked for otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    /// The name of the backup in the store; the newest proved one if absent.
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{8}t[0-9]{6}z-[a-z]{5}$')")
        .message("it must be the name of a backup, for example 20261130t133500z-abcde"))]
    #[schemars(length(max = 23))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// etcd's ID of the cluster that it is of, in hexadecimal, which is needed where the store has backups of several.
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{1,16}$')").message("it must be a hexadecimal number of 64 bits"))]
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The newest that was asked for before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// One that was never proved by restoring it will do, too.
    #[serde(default)]
    pub unproved: bool,
}
