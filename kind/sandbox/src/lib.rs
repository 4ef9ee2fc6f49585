//! Kubernetes for tests, in one process: an API server with Kubernetes' semantics, the built-in controllers, a node.
//!
//! Never a place for knowledge of etcd or of the operator: it only knows Kubernetes.

pub mod apiserver;
pub mod certificates;
pub mod connections;
pub mod controllers;
mod cron;
mod net;
mod node;
mod parent;
pub mod store;
mod sys;
pub mod tree;

pub use parent::{ImageReference, ImageSource, Sandbox, SandboxConfig, StartError, run_if_reexecuted};
pub use tree::{Lifetime, StopError, TreeConfig};

/// Processes, mounts and network of this machine, for whoever else makes clusters on it. One step per function, no policy.
pub mod host {
    pub use crate::net::netlink;
    pub use crate::net::root::{disable_ipv6, set as set_kernel_parameter};
    pub use crate::sys::{mount, process};
}
