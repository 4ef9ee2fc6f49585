//! Kubernetes for tests, in one process: an API server with Kubernetes' semantics, the built-in controllers, a node.
//!
//! Never a place for knowledge of etcd or of the operator: it only knows Kubernetes.

pub mod apiserver;
pub mod controllers;
mod cron;
mod net;
mod node;
mod parent;
pub mod store;
mod sys;

pub use parent::{
    ImageReference, ImageSource, Lifetime, Sandbox, SandboxConfig, StartError, StopError, run_if_reexecuted,
};
