//! A tree of processes below one re-executed parent: guardian (outside, holds the caller's lifeline), init (PID 1 of
//! namespaces of its own) and server (the trunk, which everything else grows from). The end of any of them, SIGKILL
//! included, ends all below it. What the server does is its own business: see [`Trunk`].

mod config;
mod guardian;
mod init;
mod state;
#[allow(clippy::module_inception)]
mod tree;

pub use config::{Lifetime, TreeConfig};
pub use init::{Handed, keep_open};
pub use state::{StartAnswer, lock};
pub use tree::{StartError, StopError, Tree, vacated};

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What a tree is made for. The value itself is the configuration: it is handed from process to process as JSON.
pub trait Trunk: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// The first word of its processes' roles, and the name of its log and of its record.
    const NAME: &'static str;
    /// What people call it, as in "the sandbox did not start".
    const NOUN: &'static str;
    /// A tree that takes longer than this to say that it is ready is stuck.
    const START_LIMIT: Duration;

    /// Where it stands, and how long.
    fn tree(&self) -> &TreeConfig;

    /// The server: runs until the tree is to end, and sends a [`StartAnswer`].
    ///
    /// # Errors
    /// Whatever ends it; it is written to the log, and to the caller if that still waits.
    fn serve(handed: Handed<Self>) -> anyhow::Result<()>;

    /// Removes what no namespace holds, in the guardian, when every process of the tree has ended. It sees no /proc of its
    /// own: init has mounted another.
    ///
    /// # Errors
    /// Something is left.
    fn clear_up(&self, guardian: u32) -> anyhow::Result<()>;
}

/// The roles in which a program may be started again for a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Guardian,
    Init,
    Server,
}

impl Role {
    const ALL: [Role; 3] = [Role::Guardian, Role::Init, Role::Server];

    /// The first argument that stands for the role.
    fn argument<T: Trunk>(self) -> String {
        let role = match self {
            Role::Guardian => "parent",
            Role::Init => "init",
            Role::Server => "server",
        };
        format!("{}-{role}", T::NAME)
    }

    fn run<T: Trunk>(self) -> anyhow::Result<()> {
        match self {
            Role::Guardian => guardian::run::<T>(),
            Role::Init => init::run::<T>(),
            Role::Server => init::serve::<T>(),
        }
    }
}

/// Runs a role of such a tree if this process was started for one, and never returns then; returns at once otherwise.
///
/// Call it first in `main`, before any thread exists: roles enter namespaces and fork. A role is recognised by its
/// first argument, which starts with the tree's name.
pub fn run_if_reexecuted<T: Trunk>() {
    let Some(argument) = std::env::args().nth(1) else { return };
    let Some(role) = Role::ALL.into_iter().find(|role| role.argument::<T>() == argument) else { return };
    exit_after(&argument, role.run::<T>())
}

/// Ends this process with what a role came to.
pub fn exit_after(role: &str, outcome: anyhow::Result<()>) -> ! {
    match outcome {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{role}: {error:#}");
            std::process::exit(1)
        }
    }
}
