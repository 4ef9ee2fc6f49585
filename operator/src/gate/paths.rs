//! Where the gate reads and writes. In a pod these are fixed; tests put all of them below one directory.

use etcd_operator_core::names;
use std::path::{Path, PathBuf};

/// Every path that the gate uses.
#[derive(Debug, Clone)]
pub struct Paths {
    /// File whose lock says who uses the volume.
    pub lock: PathBuf,
    /// The stamp, beside the data directory.
    pub stamp: PathBuf,
    /// How often etcd was started on this disk, beside the stamp.
    pub boot_counter: PathBuf,
    /// etcd's data directory.
    pub data: PathBuf,
    /// etcd's write-ahead log, below the data directory.
    pub wal: PathBuf,
    /// Permits that this pod has spent. On the pod's own emptyDir, so it is as old as the pod.
    pub spent_permits: PathBuf,
    /// The configuration file that etcd gets.
    pub etcd_configuration: PathBuf,
    /// The authorities of its peers, likewise.
    pub peer_authorities: PathBuf,
    /// The authorities of its clients.
    pub client_authorities: PathBuf,
    /// Annotations of the pod, as the downward API writes them.
    pub annotations: PathBuf,
    /// UID of the pod, likewise.
    pub pod_uid: PathBuf,
    /// The etcd binary.
    pub etcd: PathBuf,
    /// Where Kubernetes looks for the last words of a container.
    pub termination_message: PathBuf,
}

/// Where etcd's own images have their binary.
const ETCD_BINARY: &str = "/usr/local/bin/etcd";

/// Name of the boot counter's file at the volume's root.
const BOOT_COUNTER: &str = "boot-counter";

/// Kubernetes' default for a container's `terminationMessagePath`.
const TERMINATION_MESSAGE: &str = "/dev/termination-log";

/// Name of the list of spent permits in the gate's directory.
const SPENT_PERMITS: &str = "spent-permits.json";

impl Paths {
    /// The paths in a member's pod.
    pub fn in_pod() -> Self {
        Self::below(Path::new("/"))
    }

    /// The same paths below another root.
    pub fn below(root: &Path) -> Self {
        let path = |absolute: &str| root.join(absolute.trim_start_matches('/'));
        Self {
            lock: path(names::LOCK_PATH),
            stamp: path(names::STAMP_PATH),
            boot_counter: path(names::VOLUME_PATH).join(BOOT_COUNTER),
            data: path(names::DATA_DIRECTORY),
            wal: path(names::WAL_DIRECTORY),
            spent_permits: path(names::GATE_DIRECTORY).join(SPENT_PERMITS),
            etcd_configuration: path(names::ETCD_CONFIGURATION_PATH),
            peer_authorities: path(names::PEER_AUTHORITIES_PATH),
            client_authorities: path(names::CLIENT_AUTHORITIES_PATH),
            annotations: path(names::POD_INFO_DIRECTORY).join("annotations"),
            pod_uid: path(names::POD_INFO_DIRECTORY).join("uid"),
            etcd: path(ETCD_BINARY),
            termination_message: path(TERMINATION_MESSAGE),
        }
    }
}
