//! A sandbox that lives as long as one run: it ends with this process, however this process ends.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kube::config::Kubeconfig;
use sandbox::{Lifetime, Sandbox, SandboxConfig};

use super::{Cluster, ClusterChoice, ClusterKind, SandboxImages};

/// The sandbox of one run and the directory that holds all it writes.
pub(super) struct OwnSandbox {
    sandbox: Sandbox,
    state: PathBuf,
}

impl OwnSandbox {
    /// Copies the sandbox's own log, which goes away with it.
    pub(super) fn keep_log(&self, to: &Path) -> Result<()> {
        let from = self.state.join("sandbox.log");
        std::fs::copy(&from, to).map(drop).with_context(|| format!("copying {}", from.display()))
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.sandbox.stop().await.context("stopping the sandbox")?;
        remove(&self.state)
    }
}

pub(super) async fn start(choice: &ClusterChoice, images: &SandboxImages, state: PathBuf) -> Result<Cluster> {
    let sandbox = launch(choice, images, &state, "chaos", Lifetime::WithParent).await;
    let sandbox = match sandbox {
        Ok(sandbox) => sandbox,
        Err(error) => {
            remove(&state)?;
            return Err(error);
        }
    };
    let kubeconfig =
        Kubeconfig::read_from(sandbox.kubeconfig_path()).context("reading the sandbox's kubeconfig")?;
    let mut cluster = Cluster::from_kubeconfig(kubeconfig, None, ClusterKind::Sandbox).await?;
    cluster.owned = Some(OwnSandbox { sandbox, state });
    Ok(cluster)
}

/// Starts a sandbox whose whole state lies below `state`.
pub(super) async fn launch(
    choice: &ClusterChoice,
    images: &SandboxImages,
    state: &Path,
    name: &str,
    lifetime: Lifetime,
) -> Result<Sandbox> {
    require_root()?;
    std::fs::create_dir_all(state).with_context(|| format!("making {}", state.display()))?;
    let state = state.canonicalize().with_context(|| format!("resolving {}", state.display()))?;
    let configuration = SandboxConfig {
        name: name.to_owned(),
        state_directory: state,
        images: images.sources.clone(),
        listen: choice.listen,
        lifetime,
    };
    Sandbox::start(configuration).await.context("starting the sandbox")
}

fn require_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the sandbox makes pid, network and mount namespaces, which needs root here; run it as root, or use \
             --cluster current --context NAME"
        );
    }
    Ok(())
}

pub(super) fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("removing {}", directory.display())),
    }
}
