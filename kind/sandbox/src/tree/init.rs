//! The init process, PID 1 of the tree: prepares the mounts, starts the server, reaps what nobody else waits for and
//! ends with the server. When it ends, the kernel ends every process of the tree.

use super::state::StartAnswer;
use super::{Role, Trunk};
use crate::sys::{mount, process};
use anyhow::{Context as _, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// The second argument of init and server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Arguments<T> {
    pub(super) config: T,
    /// Inherited: the socket on the host.
    pub(super) listener: RawFd,
    /// Inherited and only held: the lock on the state directory.
    pub(super) lock: RawFd,
    /// Inherited by init: closed on the other side when the guardian is gone.
    pub(super) lifeline: RawFd,
}

/// What the server gets.
#[derive(Debug)]
pub struct Handed<T> {
    /// The configuration, as the caller wrote it.
    pub config: T,
    /// Opened on the host, before the namespaces were made.
    pub listener: TcpListener,
    /// Held as long as the server lives: the state directory is its own.
    pub lock: OwnedFd,
}

impl<T: Trunk> Arguments<T> {
    fn of_this_process() -> Result<Self> {
        let text = std::env::args().nth(2).context("the second argument is missing")?;
        serde_json::from_str(&text).context("failed to parse the second argument")
    }
}

/// Runs the role.
pub(super) fn run<T: Trunk>() -> Result<()> {
    let arguments = Arguments::<T>::of_this_process()?;
    process::die_with_parent().context("failed to tie the tree to its guardian")?;
    let lifeline =
        process::inherited_descriptor(arguments.lifeline).context("failed to take the lifeline")?;
    close_on_exec(lifeline.as_fd()).context("failed to keep the lifeline")?;
    let mut watched = [PollFd::new(lifeline.as_fd(), PollFlags::POLLIN)];
    if poll(&mut watched, PollTimeout::ZERO).context("failed to look at the lifeline")? > 0 {
        bail!("the guardian was gone before the tree started");
    }
    mount::make_everything_private().context("failed to make the mounts private")?;
    mount::process_information(std::path::Path::new("/proc")).context("failed to mount /proc")?;
    nix::unistd::sethostname(T::NAME).context("failed to name the host")?;
    let server = spawn::<T>(Role::Server, &arguments)?;
    let exit = process::reap_until(server).context("failed to reap processes")?;
    bail!("the server ended: {exit:?}")
}

/// Runs the server's role.
pub(super) fn serve<T: Trunk>() -> Result<()> {
    let outcome = handed::<T>().and_then(T::serve);
    if let Err(error) = &outcome {
        StartAnswer::Failed { message: format!("{error:#}") }.send();
    }
    outcome
}

fn handed<T: Trunk>() -> Result<Handed<T>> {
    let arguments = Arguments::<T>::of_this_process()?;
    let listener =
        process::inherited_descriptor(arguments.listener).context("failed to take the listener")?;
    let lock = process::inherited_descriptor(arguments.lock).context("failed to take the lock")?;
    close_on_exec(&listener).context("failed to keep the listener")?;
    close_on_exec(&lock).context("failed to keep the lock")?;
    Ok(Handed { config: arguments.config, listener: TcpListener::from(listener), lock })
}

/// Starts this program again in a role, with every descriptor that is marked to stay open.
pub(super) fn spawn<T: Trunk>(role: Role, arguments: &Arguments<T>) -> Result<Pid> {
    let text = serde_json::to_string(arguments).context("failed to write the arguments")?;
    let child = std::process::Command::new("/proc/self/exe")
        .arg(role.argument::<T>())
        .arg(text)
        .stdin(std::process::Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start {}", role.argument::<T>()))?;
    Ok(Pid::from_raw(i32::try_from(child.id()).context("failed to read a process number")?))
}

/// Lets a descriptor survive the next exec, and so be inherited by programs that are started from then on.
///
/// # Errors
/// The kernel's.
pub fn keep_open(descriptor: BorrowedFd<'_>) -> nix::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// Closes a descriptor at the next exec.
fn close_on_exec(descriptor: impl AsFd) -> nix::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}
