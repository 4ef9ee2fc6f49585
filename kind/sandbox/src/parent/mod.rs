//! A sandbox as a tree of processes: what it is told, how a caller starts, finds and ends it, and its server, which
//! adds one monitor per container. What API server, controllers and node do is none of its business.

mod config;
mod sandbox;
mod server;

pub use config::{ImageReference, ImageSource, SandboxConfig};
pub use sandbox::{Sandbox, StartError};

use crate::node::container::{process as container_process, shim};
use crate::tree;

/// Runs a role of the sandbox if this process was started for one, and never returns then; returns at once otherwise.
///
/// Call it first in `main`, before any thread exists: roles enter namespaces and fork. A role is recognised by its
/// first argument, which starts with `sandbox-`.
pub fn run_if_reexecuted() {
    tree::run_if_reexecuted::<SandboxConfig>();
    if std::env::args().nth(1).as_deref() == Some(container_process::ROLE) {
        tree::exit_after(container_process::ROLE, shim::run());
    }
}
