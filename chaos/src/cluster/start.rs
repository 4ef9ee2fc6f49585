//! What every kind of local cluster is told when it starts. Starts nothing.

use std::path::Path;

use anyhow::{Context as _, Result};
use sandbox::{Lifetime, TreeConfig};

use super::{ClusterChoice, SandboxImages};

/// Hears how far a start has come.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// How to start a local cluster.
pub(super) struct Start<'a> {
    pub(super) choice: &'a ClusterChoice,
    pub(super) images: &'a SandboxImages,
    /// Everything that the cluster writes lies below this directory.
    pub(super) state: &'a Path,
    pub(super) name: &'a str,
    pub(super) lifetime: Lifetime,
    pub(super) progress: Progress<'a>,
}

impl Start<'_> {
    /// The same for a tree of processes; the state directory is made.
    pub(super) fn tree(&self) -> Result<TreeConfig> {
        std::fs::create_dir_all(self.state)
            .with_context(|| format!("failed to make {}", self.state.display()))?;
        let state = self.state.canonicalize();
        let state_directory = state.with_context(|| format!("failed to resolve {}", self.state.display()))?;
        Ok(TreeConfig { state_directory, listen: self.choice.listen, lifetime: self.lifetime })
    }
}
