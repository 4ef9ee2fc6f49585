//! What the node asks of a `sandbox-container` process, and what that process answers. Plain data; reads and writes
//! nothing.

use crate::sys::capability::CapabilitySet;
use crate::sys::process::Exit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One process to start: everything is decided, nothing is looked up later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessSpec {
    pub(crate) place: Place,
    /// The program and its arguments, never empty.
    pub(crate) command: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_directory: PathBuf,
    pub(crate) identity: Identity,
    /// A path below /proc that stands for the input; there is none without it.
    pub(crate) stdin: Option<PathBuf>,
    /// The input is a terminal, which becomes the program's own.
    pub(crate) terminal: bool,
}

/// Where the process runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In a new container of a pod.
    New(NewContainer),
    /// Inside a container that runs already; the path is its first process below /proc.
    Existing {
        /// For example `/proc/42`.
        process: PathBuf,
    },
}

/// A container of a pod: own mounts and processes, the pod's network, host name and IPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewContainer {
    /// Paths below /proc that stand for the pod's namespaces.
    pub(crate) network: PathBuf,
    pub(crate) hostname: PathBuf,
    pub(crate) ipc: PathBuf,
    /// The process namespace to join (`targetContainerName` of an ephemeral container); a new one otherwise.
    pub(crate) processes: Option<PathBuf>,
    pub(crate) root: RootSpec,
}

/// The root file system of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RootSpec {
    /// An existing directory on which the root is assembled (in the container's own mount namespace).
    pub(crate) directory: PathBuf,
    /// Read-only files or directories of the image: path in the container to path on the host.
    pub(crate) image: BTreeMap<PathBuf, PathBuf>,
    /// Volumes and single files, in the order in which they are mounted.
    pub(crate) mounts: Vec<MountSpec>,
    pub(crate) read_only: bool,
    /// Leaves /proc and /sys writable.
    pub(crate) privileged: bool,
}

/// One file or directory shown in a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MountSpec {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// As whom the process runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) supplementary_groups: Vec<u32>,
    pub(crate) capabilities: CapabilitySet,
    pub(crate) no_new_privileges: bool,
}

/// One line from the `sandbox-container` process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ProcessEvent {
    /// The program runs; the number is in the sandbox's process namespace.
    Started {
        /// The container's first process.
        process: i32,
    },
    /// The program could not be started.
    Failed {
        /// What was tried and why it failed.
        message: String,
    },
    /// The program ended.
    Exited(Exit),
}
