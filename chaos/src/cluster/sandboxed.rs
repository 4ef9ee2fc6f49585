//! Starting a sandbox: Kubernetes in one process, which needs nothing but etcd images.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, unshare};
use sandbox::{Sandbox, SandboxConfig};

use super::start::Start;

/// Starts a sandbox, unless it is interrupted first: then nothing of it runs.
pub(super) async fn launch(start: &Start<'_>, interrupted: impl Future<Output = ()>) -> Result<Sandbox> {
    let configuration = SandboxConfig {
        name: start.name.to_owned(),
        tree: start.tree()?,
        images: start.images.sources.clone(),
    };
    Sandbox::start_unless(configuration, interrupted).await.context("failed to start the sandbox")
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
