//! The API group `etcd.operators.rs`: what users write and read. No logic lives here.

mod amount;
pub mod cluster;
pub mod condition;
pub mod status;

pub use amount::{Amount, ResourcesSpec};
pub use cluster::{
    BootstrapMode, EtcdCluster, EtcdClusterSpec, ImageSpec, PodSettings, PodUser, RolloutSpec, StorageSpec,
};
pub use status::{BootstrapRecord, EtcdClusterStatus, HoldStatus, MemberHealth, MemberStatus};

/// API group of every kind that the operator registers.
pub const GROUP: &str = "etcd.operators.rs";
/// The version that this build writes and stores.
pub const VERSION: &str = "v1beta1";
/// The kind of a cluster.
pub const KIND: &str = "EtcdCluster";
/// The registry path of etcd's own images, used when the spec names none.
pub const DEFAULT_IMAGE_REPOSITORY: &str = "quay.io/coreos/etcd";
