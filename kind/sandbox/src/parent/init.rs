//! The `sandbox-init` process, PID 1 of the sandbox: prepares the mounts, starts the server, reaps what nobody else
//! waits for and ends with the server. When it ends, the kernel ends every process of the sandbox.

use super::Role;
use super::config::SandboxConfig;
use crate::sys::{mount, process};
use anyhow::{Context as _, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// The second argument of init and server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Arguments {
    pub(super) config: SandboxConfig,
    /// Inherited: the API server's socket on the host.
    pub(super) listener: RawFd,
    /// Inherited and only held: the lock on the state directory.
    pub(super) lock: RawFd,
    /// Inherited by init: closed on the other side when the guardian is gone.
    pub(super) lifeline: RawFd,
}

impl Arguments {
    pub(super) fn of_this_process() -> Result<Arguments> {
        let text = std::env::args().nth(2).context("the second argument is missing")?;
        serde_json::from_str(&text).context("parsing the second argument")
    }
}

/// Runs the role.
pub(super) fn run() -> Result<()> {
    let arguments = Arguments::of_this_process()?;
    process::die_with_parent().context("tying the sandbox to its guardian")?;
    let lifeline = process::inherited_descriptor(arguments.lifeline).context("taking the lifeline")?;
    close_on_exec(lifeline.as_fd()).context("keeping the lifeline")?;
    let mut watched = [PollFd::new(lifeline.as_fd(), PollFlags::POLLIN)];
    if poll(&mut watched, PollTimeout::ZERO).context("looking at the lifeline")? > 0 {
        bail!("the guardian was gone before the sandbox started");
    }
    mount::make_everything_private().context("making the mounts private")?;
    mount::process_information(std::path::Path::new("/proc")).context("mounting /proc")?;
    nix::unistd::sethostname("sandbox").context("naming the node")?;
    let server = spawn(Role::Server, &arguments)?;
    let exit = process::reap_until(server).context("reaping")?;
    bail!("the server ended: {exit:?}")
}

/// Starts this program again in a role, with every descriptor that is marked to stay open.
pub(super) fn spawn(role: Role, arguments: &Arguments) -> Result<Pid> {
    let text = serde_json::to_string(arguments).context("writing the arguments")?;
    let child = std::process::Command::new("/proc/self/exe")
        .arg(role.argument())
        .arg(text)
        .stdin(std::process::Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", role.argument()))?;
    Ok(Pid::from_raw(i32::try_from(child.id()).context("reading a process number")?))
}

/// Lets a descriptor survive the next exec.
pub(super) fn keep_open(descriptor: BorrowedFd<'_>) -> nix::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// Closes a descriptor at the next exec.
pub(super) fn close_on_exec(descriptor: impl AsFd) -> nix::Result<()> {
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}
