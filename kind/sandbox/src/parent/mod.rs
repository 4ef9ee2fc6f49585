//! Everything of a sandbox lives below one re-executed process: guardian (outside, holds the caller's lifeline), init
//! (PID 1 of the sandbox's namespaces), server (API server, controllers, node), and one monitor per container. This
//! module starts, finds and ends that tree; what the server does is none of its business.

mod config;
mod guardian;
mod init;
mod sandbox;
mod server;
mod state;

pub use config::{ImageReference, ImageSource, Lifetime, SandboxConfig};
pub use sandbox::{Sandbox, StartError, StopError};

use crate::node::container::{process as container_process, shim};

/// The roles in which this program may be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Guardian,
    Init,
    Server,
    Container,
}

impl Role {
    const ALL: [Role; 4] = [Role::Guardian, Role::Init, Role::Server, Role::Container];

    /// The first argument that stands for the role.
    fn argument(self) -> &'static str {
        match self {
            Role::Guardian => "sandbox-parent",
            Role::Init => "sandbox-init",
            Role::Server => "sandbox-server",
            Role::Container => container_process::ROLE,
        }
    }

    fn run(self) -> anyhow::Result<()> {
        match self {
            Role::Guardian => guardian::run(),
            Role::Init => init::run(),
            Role::Server => server::run(),
            Role::Container => shim::run(),
        }
    }
}

/// Runs a role of the sandbox if this process was started for one, and never returns then; returns at once otherwise.
///
/// Call it first in `main`, before any thread exists: roles enter namespaces and fork. A role is recognised by its
/// first argument, which starts with `sandbox-`.
pub fn run_if_reexecuted() {
    let Some(argument) = std::env::args().nth(1) else { return };
    let Some(role) = Role::ALL.into_iter().find(|role| role.argument() == argument) else { return };
    match role.run() {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{argument}: {error:#}");
            std::process::exit(1)
        }
    }
}
