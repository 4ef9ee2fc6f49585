//! Clusters made on this machine: the sandbox and the bare one, each below one process, and kind's, below its container engine.
//! One set of verbs for all; what each is made of is its own module's business.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kube::config::Kubeconfig;
use sandbox::{Lifetime, Sandbox};

use super::bare::{self, Bare};
use super::kind::{self, Kind};
use super::start::{Progress, Start};
use super::{Cluster, ClusterChoice, ClusterKind, SandboxImages, lasting, not_ours, sandboxed};

/// A running cluster of this machine. Dropping one that lives with its parent ends it; a lasting one goes on.
pub(super) enum LocalCluster {
    Sandbox(Sandbox),
    Bare(Bare),
    Kind(Kind),
}

/// How far a cluster has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Somebody starts it; nobody can use it yet.
    Starting,
    /// It can be used.
    Running,
    /// Its start ended in the middle, and nobody goes on with it.
    BrokenOff,
}

/// Whether such a cluster can be started here, as far as that shows before anything is made.
pub(super) fn check(choice: &ClusterChoice) -> Result<()> {
    match choice.kind {
        ClusterKind::Sandbox => sandboxed::check(choice.listen),
        ClusterKind::Bare => bare::check(choice.listen),
        ClusterKind::Kind => kind::check(),
        ClusterKind::Current => bail!(not_ours()),
    }
}

impl LocalCluster {
    /// Starts one that passed [`check`], unless it is interrupted first: then nothing of it runs.
    pub(super) async fn launch(
        start: Start<'_>,
        interrupted: impl Future<Output = ()>,
    ) -> Result<LocalCluster> {
        match start.choice.kind {
            ClusterKind::Sandbox => sandboxed::launch(&start, interrupted).await.map(LocalCluster::Sandbox),
            ClusterKind::Bare => Bare::launch(&start, interrupted).await.map(LocalCluster::Bare),
            ClusterKind::Kind => Kind::launch(&start, interrupted).await.map(LocalCluster::Kind),
            ClusterKind::Current => bail!(not_ours()),
        }
    }

    /// Finds the one that runs with this state directory, if one does.
    pub(super) fn find(kind: ClusterKind, state: &Path) -> Result<Option<LocalCluster>> {
        match kind {
            ClusterKind::Sandbox => {
                let found = Sandbox::find(state).context("failed to look for the cluster")?;
                Ok(found.map(LocalCluster::Sandbox))
            }
            ClusterKind::Bare => Ok(Bare::find(state)?.map(LocalCluster::Bare)),
            ClusterKind::Kind => Ok(Kind::find(state)?.map(LocalCluster::Kind)),
            ClusterKind::Current => bail!(not_ours()),
        }
    }

    /// The file that clients read.
    pub(super) fn kubeconfig(&self) -> &Path {
        match self {
            LocalCluster::Sandbox(sandbox) => sandbox.kubeconfig_path(),
            LocalCluster::Bare(bare) => bare.kubeconfig(),
            LocalCluster::Kind(kind) => kind.kubeconfig(),
        }
    }

    /// The process below which all of it runs, if there is one.
    pub(super) fn process_id(&self) -> Option<u32> {
        match self {
            LocalCluster::Sandbox(sandbox) => Some(sandbox.process_id()),
            LocalCluster::Bare(bare) => Some(bare.process_id()),
            LocalCluster::Kind(_) => None,
        }
    }

    /// How far it has come. Its kubeconfig appears when it can be used.
    pub(super) fn stage(&self) -> Result<Stage> {
        if self.kubeconfig().exists() {
            return Ok(Stage::Running);
        }
        let is_being_made = match self {
            // Their processes end with whoever starts them.
            LocalCluster::Sandbox(_) | LocalCluster::Bare(_) => true,
            LocalCluster::Kind(kind) => kind.is_being_made()?,
        };
        Ok(if is_being_made { Stage::Starting } else { Stage::BrokenOff })
    }

    /// Connects to it.
    pub(super) async fn connect(&self) -> Result<Cluster> {
        let kind = match self {
            LocalCluster::Sandbox(_) => ClusterKind::Sandbox,
            LocalCluster::Bare(_) => ClusterKind::Bare,
            LocalCluster::Kind(_) => ClusterKind::Kind,
        };
        let kubeconfig =
            Kubeconfig::read_from(self.kubeconfig()).context("failed to read the cluster's kubeconfig")?;
        Cluster::from_kubeconfig(kubeconfig, None, kind).await
    }

    /// Returns when it has ended, whoever ended it; an error if it cannot be watched.
    pub(super) async fn ended(&self) -> Result<()> {
        match self {
            LocalCluster::Sandbox(sandbox) => sandbox.ended().await.context("failed to watch the sandbox"),
            LocalCluster::Bare(bare) => bare.ended().await,
            // Nobody here can tell; failing calls do.
            LocalCluster::Kind(_) => std::future::pending().await,
        }
    }

    pub(super) async fn stop(self) -> Result<()> {
        match self {
            LocalCluster::Sandbox(sandbox) => sandbox.stop().await.context("failed to stop the sandbox"),
            LocalCluster::Bare(bare) => bare.stop().await,
            LocalCluster::Kind(kind) => kind.stop().await,
        }
    }
}

/// The cluster of one run and the directory that holds all it writes: it ends with this process, however this process ends.
pub(super) struct OwnCluster {
    cluster: LocalCluster,
    state: PathBuf,
}

impl OwnCluster {
    pub(super) fn cluster(&self) -> &LocalCluster {
        &self.cluster
    }

    /// Copies what the cluster's own processes said, which goes away with it, into the directory `to`.
    pub(super) fn keep_logs(&self, to: &Path) -> Result<()> {
        match &self.cluster {
            LocalCluster::Sandbox(_) => {
                let from = self.state.join("sandbox.log");
                let copied = std::fs::copy(&from, to.join("sandbox.log"));
                copied.map(drop).with_context(|| format!("failed to copy {}", from.display()))
            }
            LocalCluster::Bare(bare) => bare.keep_logs(&to.join("cluster")),
            LocalCluster::Kind(kind) => kind.keep_logs(&to.join("cluster")),
        }
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.cluster.stop().await?;
        remove(&self.state)
    }
}

/// Starts the cluster of one run, unless it is interrupted first: then nothing of it is left.
pub(super) async fn start(
    choice: &ClusterChoice,
    images: &SandboxImages,
    state: PathBuf,
    interrupted: impl Future<Output = ()>,
    progress: Progress<'_>,
) -> Result<Cluster> {
    check(choice)?;
    let lifetime = Lifetime::WithParent;
    let (name, state) = match choice.kind {
        // It can outlive a run that is killed: then it is found by its name, like a lasting one.
        ClusterKind::Kind => lasting::of_this_process(choice.kind)?,
        ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Current => ("chaos".to_owned(), state),
    };
    let start = Start { choice, images, state: &state, name: &name, lifetime, progress };
    let own = match LocalCluster::launch(start, interrupted).await {
        Ok(cluster) => OwnCluster { cluster, state },
        Err(error) => {
            clear_remains(choice.kind, &state).await?;
            return Err(error);
        }
    };
    match own.cluster.connect().await {
        Ok(mut cluster) => {
            cluster.owned = Some(own);
            Ok(cluster)
        }
        Err(error) => {
            own.stop().await?;
            Err(error)
        }
    }
}

/// Ends the one that runs with this state directory, if one does, and removes all that it kept.
pub(super) async fn end(kind: ClusterKind, state: &Path) -> Result<()> {
    if let Some(cluster) = LocalCluster::find(kind, state)? {
        cluster.stop().await?;
    }
    clear_remains(kind, state).await
}

/// Removes all that a cluster kept whose parent has ended, or was killed a moment ago: then the rest of it is waited for.
pub(super) async fn clear_remains(kind: ClusterKind, state: &Path) -> Result<()> {
    let vacated = async || {
        let waited = sandbox::tree::vacated(state).await;
        waited.with_context(|| format!("failed to wait for the last process that uses {}", state.display()))
    };
    match kind {
        ClusterKind::Sandbox => vacated().await?,
        ClusterKind::Bare => {
            vacated().await?;
            bare::clear_remains(state).await?;
        }
        // Its engine has said that it is gone, and whoever made it has ended.
        ClusterKind::Kind | ClusterKind::Current => {}
    }
    remove(state)
}

fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("failed to remove {}", directory.display())),
    }
}
