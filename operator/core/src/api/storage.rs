//! What users say of the members' volumes. Never decides.
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;

/// The volume of each member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StorageSpec {
    /// How much each member's volume holds. A larger size is asked of the volumes that are there, if their class lets them grow; a
    /// smaller one is held. etcd's database may grow to a quarter of it, at least 16 MiB and at most 8 GiB.
    #[serde(default = "default_storage_size")]
    pub size: Amount,
    /// The StorageClass of the volumes; the default class of the Kubernetes cluster if absent. A change replaces one member at a
    /// time, and each new one votes before the old one goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// Who may mount a volume: `ReadWriteOnce`, if absent, one node, `ReadWriteOncePod` one pod, where the storage driver can tell them apart. A
    /// change replaces one member at a time, as another class does.
    #[serde(default, skip_serializing_if = "AccessMode::is_default")]
    pub access_mode: AccessMode,
}

impl Default for StorageSpec {
    fn default() -> Self {
        StorageSpec {
            size: default_storage_size(),
            storage_class_name: None,
            access_mode: AccessMode::default(),
        }
    }
}

/// Four times etcd's default quota of 2 GiB: the database, its copy during defragmentation, the log and snapshots.
fn default_storage_size() -> Amount {
    Amount("8Gi".to_owned())
}

/// Who may mount a volume.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessMode {
    /// One node.
    #[default]
    ReadWriteOnce,
    /// One pod.
    ReadWriteOncePod,
}

impl AccessMode {
    /// As Kubernetes has it.
    pub fn as_str(self) -> &'static str {
        match self {
            AccessMode::ReadWriteOnce => "ReadWriteOnce",
            AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == AccessMode::default()
    }
}
