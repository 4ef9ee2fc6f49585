//! The API group `etcd.operators.rs`: what users write and read. No logic lives here.

mod amount;
mod as_written;
pub mod backup;
mod bootstrap;
pub mod cluster;
pub mod condition;
mod described;
pub mod etcd;
pub mod image;
pub mod pod;
pub mod schedule;
pub mod service;
pub mod status;
pub mod storage;
pub mod store;
mod tls;

pub use amount::{Amount, ResourcesSpec};
pub use as_written::AsWritten;
pub use backup::{
    BackupPhase, ClusterBackupSpec, DeletionPolicy, EtcdBackup, EtcdBackupSpec, EtcdBackupStatus,
};
pub use bootstrap::{BootstrapSpec, RestoreSpec, RetainedVolumes};
pub use cluster::{EtcdCluster, EtcdClusterSpec, RolloutSpec};
pub use etcd::{CompactionMode, EtcdSettings, LogLevel, MetricsLevel, OptionValue, TracingSettings};
pub use image::{ImageSpec, PullPolicy, PullSecret};
pub use pod::{PodSettings, PodUser};
pub use schedule::{
    ConcurrencyPolicy, EtcdBackupSchedule, EtcdBackupScheduleSpec, EtcdBackupScheduleStatus, RetentionSpec,
};
pub use service::{PeerServiceSettings, ServiceSettings, ServiceType, TrafficPolicy};
pub use status::{
    Acknowledged, BackupSummary, BootstrapRecord, EtcdClusterStatus, HoldStatus, MemberHealth, MemberStatus,
    TlsStatus,
};
pub use storage::{AccessMode, StorageMedium, StorageSpec};
pub use store::{AzureStore, ConfigMapEntry, GcsStore, S3Store, StoreSpec, VolumeStore};
pub use tls::{ClientCertificates, TlsSpec};

/// API group of every kind that the operator registers.
pub const GROUP: &str = "etcd.operators.rs";
/// The version that this build writes and stores.
pub const VERSION: &str = "v1beta1";
/// The kind of a cluster.
pub const KIND: &str = "EtcdCluster";
/// The registry path of etcd's own images, used when the spec names none.
pub const DEFAULT_IMAGE_REPOSITORY: &str = "quay.io/coreos/etcd";
