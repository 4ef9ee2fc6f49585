//! Real Kubernetes without Docker: API server, controllers, kubelets and containerd as plain processes, in namespaces of their
//! own below one re-executed parent. Killing the parent ends all of it; the host's own network, mounts and containerd have no
//! part in it. What namespaces do not hold, control groups, is removed when the cluster ends, or by the next that starts.
//!
//! ```text
//! caller ── bare-parent      takes the listener on the host's loopback, makes the namespaces, waits for a reason to end
//!           └─ bare-init     PID 1 of the cluster: reaps, ends with the server
//!              └─ bare-server   starts everything, carries connections from the host, provides volumes
//!                 ├─ etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//!                 └─ bare-node     one per node, in a network and mount namespace of its own
//!                    └─ containerd, kubelet, kube-proxy, and the containers
//! ```

mod addons;
mod component;
mod config;
mod control_groups;
mod control_plane;
mod credentials;
mod forward;
mod network;
mod node;
mod node_files;
mod provisioner;
mod server;
mod tools;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sandbox::tree::{self, Tree};

pub use config::NodeCount;

use super::archives;
use super::start::Start;
use config::{BareConfig, Files};
use control_groups::Hierarchies;

/// A running bare cluster. Dropping one that lives with its parent ends it; a lasting one goes on.
pub(super) struct Bare {
    tree: Tree<BareConfig>,
    kubeconfig: PathBuf,
}

/// Runs a role of a bare cluster if this process was started for one, and never returns then; returns at once otherwise.
///
/// Call it first in `main`, before any thread exists: roles enter namespaces.
pub fn run_if_reexecuted() {
    tree::run_if_reexecuted::<BareConfig>();
    if std::env::args().nth(1).as_deref() == Some(node::ROLE) {
        tree::exit_after(node::ROLE, node::run());
    }
}

impl Bare {
    /// Starts a cluster and returns when pods can run and look up names, unless it is interrupted first: then nothing of it
    /// runs.
    pub(super) async fn launch(start: &Start<'_>, interrupted: impl Future<Output = ()>) -> Result<Bare> {
        let tree = start.tree()?;
        let (tools, programs) = tools::find()?;
        (start.progress)("preparing images");
        // The ones that nodes themselves need come first.
        let images = programs.images().into_iter().chain(start.images.sources.clone());
        let archives = archives::prepare(images, &tree.state_directory).await?;
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let config = BareConfig {
            name: start.name.to_owned(),
            tree,
            nodes: start.choice.nodes,
            control_group: control_groups::name(start.name, &unique[..8]),
            hierarchies: Hierarchies::read()?,
            tools,
            archives,
        };
        control_groups::note(&config.tree.state_directory, &config.control_group)?;
        let tree = Tree::start_unless(&config, interrupted, |message| (start.progress)(message)).await;
        Ok(Bare::of(tree.context("failed to start the bare cluster")?))
    }

    /// Finds the cluster that runs with this state directory, if one does.
    pub(super) fn find(state: &Path) -> Result<Option<Bare>> {
        Ok(Tree::find(state).context("failed to look for the bare cluster")?.map(Bare::of))
    }

    fn of(tree: Tree<BareConfig>) -> Bare {
        Bare { kubeconfig: Files::of(tree.state_directory()).kubeconfig(), tree }
    }

    /// The administrator's access from the host.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The process below which everything runs.
    pub(super) fn process_id(&self) -> u32 {
        self.tree.process_id()
    }

    /// Copies what the components said, which goes away with the cluster.
    pub(super) fn keep_logs(&self, to: &Path) -> Result<()> {
        let state = self.tree.state_directory();
        std::fs::create_dir_all(to).with_context(|| format!("failed to make {}", to.display()))?;
        let logs = Files::of(state).logs();
        let entries =
            std::fs::read_dir(&logs).with_context(|| format!("failed to read {}", logs.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.push(state.join("bare.log"));
        for file in files {
            let name = file.file_name().unwrap_or_default();
            std::fs::copy(&file, to.join(name))
                .with_context(|| format!("failed to copy {}", file.display()))?;
        }
        Ok(())
    }

    /// Returns when the cluster has ended, whoever ended it; an error if it cannot be watched.
    pub(super) async fn ended(&self) -> Result<()> {
        self.tree.ended().await.context("failed to watch the bare cluster")
    }

    /// Ends the cluster; when it returns, nothing of it is left but its state directory.
    pub(super) async fn stop(self) -> Result<()> {
        self.tree.stop().await.context("failed to stop the bare cluster")
    }
}

/// Whether a bare cluster can be started here, as far as that shows before anything is made.
pub(super) fn check(listen: SocketAddr) -> Result<()> {
    tools::check(listen)
}

/// Removes what a cluster kept outside its state directory when its parent has ended, or was killed a moment ago: then its last
/// process is waited for. Removes what other dead clusters of this machine left, too.
pub(super) async fn clear_remains(state: &Path) -> Result<()> {
    let group = control_groups::noted(state)?;
    let cleared = tokio::task::spawn_blocking(move || {
        let hierarchies = Hierarchies::read()?;
        group.iter().try_for_each(|group| hierarchies.remove(group))?;
        hierarchies.sweep()
    });
    cleared.await.context("failed to remove control groups")?
}
