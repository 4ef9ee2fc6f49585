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
#[x_kube(validation = Rule::new("!has(self.medium) || self.medium != 'Memory' || \
    (!has(self.storageClassName) && !has(self.accessMode))")
    .message("a volume in memory has no storageClassName and no accessMode"))]
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
    /// What a volume is kept in: `Disk` or `Memory`. With `Memory` a member's data is in its pod's own memory, of which it may take
    /// `size`, and which counts against the limit of the container. Any new pod, and any restart of its node, is then a lost member: it
    /// is replaced by another one, which copies the data from the others. If a majority of the pods is lost at once, the data is lost
    /// for good. No member is ever restarted for a change: each is replaced once its successor votes. Needs a `size` of the cluster of 3
    /// at least, and no `storageClassName` and `accessMode`. A change of it replaces one member at a time.
    #[serde(default, skip_serializing_if = "StorageMedium::is_default")]
    pub medium: StorageMedium,
}

impl Default for StorageSpec {
    fn default() -> Self {
        StorageSpec {
            size: default_storage_size(),
            storage_class_name: None,
            access_mode: AccessMode::default(),
            medium: StorageMedium::default(),
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

/// What volumes are kept in.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StorageMedium {
    /// Persistent volumes.
    #[default]
    Disk,
    /// The memory of the pod.
    Memory,
}

impl StorageMedium {
    /// The word in the spec, and in that of a pod.
    pub fn as_str(self) -> &'static str {
        match self {
            StorageMedium::Disk => "Disk",
            StorageMedium::Memory => "Memory",
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == StorageMedium::default()
    }
}
