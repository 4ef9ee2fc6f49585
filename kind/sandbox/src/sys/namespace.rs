//! Namespaces: making those that the containers of a pod share, and entering them. Both change the calling *thread*,
//! so they run on a fresh thread that ends, or in a process with one thread.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What the containers of one pod share. The namespaces live as long as these descriptors or a process inside.
#[derive(Debug)]
pub(crate) struct PodNamespaces {
    pub(crate) network: OwnedFd,
    pub(crate) hostname: OwnedFd,
    pub(crate) ipc: OwnedFd,
}

/// Makes the namespaces of a pod on a thread of its own and runs `configure` inside them.
///
/// `before` runs on the same thread while it is still in the caller's namespaces (to open a socket there); its result
/// is handed to `configure`.
pub(crate) fn make_pod_namespaces<B, E: From<std::io::Error> + Send>(
    before: impl FnOnce() -> Result<B, E> + Send,
    configure: impl FnOnce(B) -> Result<(), E> + Send,
) -> Result<PodNamespaces, E> {
    let work = || -> Result<PodNamespaces, E> {
        let outside = before()?;
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)
            .map_err(std::io::Error::from)?;
        let namespaces =
            PodNamespaces { network: open_own("net")?, hostname: open_own("uts")?, ipc: open_own("ipc")? };
        configure(outside)?;
        Ok(namespaces)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("pod-namespaces".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| {
            Err(std::io::Error::other("the thread that makes namespaces panicked").into())
        })
    })
}

/// Runs `work` on a fresh thread inside a network namespace. Sockets opened there stay there.
pub(crate) fn inside_network<T: Send>(
    network: &OwnedFd,
    work: impl FnOnce() -> std::io::Result<T> + Send,
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("inside-network".into()).spawn_scoped(scope, || {
            setns(network.as_fd(), CloneFlags::CLONE_NEWNET)?;
            work()
        })?;
        thread
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("the thread inside a network namespace panicked")))
    })
}

/// Enters the namespace which this path (below /proc) stands for.
pub(crate) fn enter(path: &Path, kind: CloneFlags) -> std::io::Result<()> {
    let namespace = File::open(path)?;
    Ok(setns(namespace.as_fd(), kind)?)
}

/// Opens a namespace of the calling thread.
fn open_own(kind: &str) -> std::io::Result<OwnedFd> {
    Ok(File::open(format!("/proc/thread-self/ns/{kind}"))?.into())
}
