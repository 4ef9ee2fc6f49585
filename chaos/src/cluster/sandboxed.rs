//! A sandbox that lives as long as one run: it ends with this process, however this process ends.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kube::config::Kubeconfig;
use nix::sched::{CloneFlags, unshare};
use sandbox::{Lifetime, Sandbox, SandboxConfig};

use super::{Cluster, ClusterChoice, ClusterKind, SandboxImages};

/// How long a sandbox may take to end when nobody holds it any more.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// The sandbox of one run and the directory that holds all it writes.
pub(super) struct OwnSandbox {
    sandbox: Sandbox,
    state: PathBuf,
}

impl OwnSandbox {
    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

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
    let never = std::future::pending();
    let sandbox = launch(choice, images, &state, "chaos", Lifetime::WithParent, never).await;
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

/// Starts a sandbox whose whole state lies below `state`, unless it is interrupted first: then nothing of it runs.
pub(super) async fn launch(
    choice: &ClusterChoice,
    images: &SandboxImages,
    state: &Path,
    name: &str,
    lifetime: Lifetime,
    interrupted: impl Future<Output = ()>,
) -> Result<Sandbox> {
    check(choice.listen)?;
    std::fs::create_dir_all(state).with_context(|| format!("making {}", state.display()))?;
    let state = state.canonicalize().with_context(|| format!("resolving {}", state.display()))?;
    let configuration = SandboxConfig {
        name: name.to_owned(),
        state_directory: state,
        images: images.sources.clone(),
        listen: choice.listen,
        lifetime,
    };
    Sandbox::start_unless(configuration, interrupted).await.context("starting the sandbox")
}

/// Whether a sandbox can be started here: the kernel lets us make its namespaces, and the address is free. Asked by trying,
/// before anything is made.
pub(super) fn check(listen: SocketAddr) -> Result<()> {
    require_namespaces()?;
    let free = TcpListener::bind(listen).map(drop);
    free.with_context(|| {
        format!("the sandbox's API server cannot listen on {listen}; give another address with --listen, port 0 takes a free one")
    })
}

/// A thread of its own makes the namespaces of a sandbox and takes them away with its end.
fn require_namespaces() -> Result<()> {
    let wanted = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    let made = std::thread::spawn(move || unshare(wanted)).join();
    made.map_err(|_| anyhow::anyhow!("the thread that tries to make namespaces panicked"))?.context(
        "the sandbox makes pid, network and mount namespaces, and this user has no right to; run it as root (in a container \
         with CAP_SYS_ADMIN and CAP_NET_ADMIN), or use --cluster current --context NAME",
    )
}

pub(super) fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("removing {}", directory.display())),
    }
}

/// Clears what the opening of a sandbox left when it was broken off: waits until it has ended, then removes its state.
pub(super) async fn clear(state: &Path) -> Result<()> {
    let deadline = Instant::now() + END_PATIENCE;
    while Instant::now() < deadline && matches!(Sandbox::find(state), Ok(Some(_))) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    remove(state)
}
