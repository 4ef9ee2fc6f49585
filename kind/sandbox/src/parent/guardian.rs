//! The `sandbox-parent` process: takes the listener while it still sees the host, makes the sandbox's namespaces, and
//! then waits for one of three things: the caller is gone, a signal, the sandbox has ended. It runs one thread.

use super::config::{Lifetime, SandboxConfig};
use super::state::{self, GuardianRecord, StartAnswer};
use super::{Role, init};
use crate::sys::process;
use anyhow::{Context as _, Result, bail};
use nix::fcntl::Flock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

/// Runs the role. The configuration is the first line on standard input; the input stays open as the lifeline.
pub(super) fn run() -> Result<()> {
    let config = read_config()?;
    match start(&config) {
        Err(error) => {
            StartAnswer::Failed { message: format!("{error:#}") }.send();
            Err(error)
        }
        Ok(started) => {
            let reason = wait(&config, &started)?;
            process::signal(started.init, Signal::SIGKILL).context("ending the sandbox")?;
            let exit = process::wait_for(started.init).context("waiting for the sandbox to end")?;
            GuardianRecord::remove(&config.state_directory).context("removing the record of the sandbox")?;
            match reason {
                Reason::CallerGone | Reason::Signal => Ok(()),
                Reason::SandboxEnded => bail!("the sandbox ended by itself: {exit:?}"),
            }
        }
    }
}

struct Started {
    init: Pid,
    signals: SignalFd,
    /// Closed by our end, whichever way; init looks at it once.
    _lifeline: std::io::PipeWriter,
    /// Dropping it would unlock the directory for the whole tree.
    _lock: Flock<File>,
}

enum Reason {
    CallerGone,
    Signal,
    SandboxEnded,
}

fn read_config() -> Result<SandboxConfig> {
    let mut line = String::new();
    // Nothing else is written until we have answered, so the buffer cannot swallow anything else.
    std::io::stdin().lock().read_line(&mut line).context("reading the sandbox's configuration")?;
    serde_json::from_str(&line).context("parsing the sandbox's configuration")
}

fn start(config: &SandboxConfig) -> Result<Started> {
    let lock = state::lock(&config.state_directory)
        .with_context(|| format!("another sandbox may be running in {}", config.state_directory.display()))?;
    GuardianRecord::own()
        .and_then(|record| record.write(&config.state_directory))
        .context("recording the sandbox's process")?;
    let listener =
        TcpListener::bind(config.listen).with_context(|| format!("listening on {}", config.listen))?;
    unshare(
        CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .context("making namespaces for the sandbox (this needs root, or CAP_SYS_ADMIN)")?;
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().context("blocking signals")?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).context("receiving signals")?;
    let (read, lifeline) = std::io::pipe().context("making the lifeline of the sandbox")?;
    let inherited = [listener.as_fd(), lock.as_fd(), read.as_fd()];
    for descriptor in inherited {
        init::keep_open(descriptor).context("handing a descriptor to the sandbox")?;
    }
    let arguments = init::Arguments {
        config: config.clone(),
        listener: listener.as_raw_fd(),
        lock: lock.as_raw_fd(),
        lifeline: read.as_raw_fd(),
    };
    let init = init::spawn(Role::Init, &arguments)?;
    std::io::stdout().flush().ok();
    Ok(Started { init, signals, _lifeline: lifeline, _lock: lock })
}

/// The caller's word that it has a lasting sandbox, which no longer ends with it.
const LET_GO: &[u8] = b"\n";

/// Tells the guardian at the other end of `lifeline` to go on without its caller. To be said once, after it answered.
pub(super) async fn let_go(lifeline: &mut ChildStdin) -> std::io::Result<()> {
    lifeline.write_all(LET_GO).await?;
    lifeline.flush().await
}

/// Waits for a reason to end. A lasting sandbox too ends with its caller until that lets it go: a caller that ended in
/// the middle of the start told nobody of the sandbox.
fn wait(config: &SandboxConfig, started: &Started) -> Result<Reason> {
    let sandbox = process::open_process(started.init).context("watching the sandbox")?;
    let stdin = std::io::stdin();
    let mut watched = vec![
        PollFd::new(sandbox.as_fd(), PollFlags::POLLIN),
        PollFd::new(started.signals.as_fd(), PollFlags::POLLIN),
        PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error).context("waiting for a reason to end"),
        }
        let ready: Vec<bool> = watched.iter().map(|one| one.any().unwrap_or(false)).collect();
        match ready.as_slice() {
            [true, ..] => return Ok(Reason::SandboxEnded),
            [_, true, ..] => match started.signals.read_signal().context("reading a signal")? {
                Some(signal) if signal.ssi_signo == Signal::SIGHUP as u32 => {}
                Some(_) | None => return Ok(Reason::Signal),
            },
            [_, _, true] => match (config.lifetime, is_let_go(stdin.as_fd())?) {
                (Lifetime::Lasting, true) => watched.truncate(2),
                (Lifetime::Lasting, false) | (Lifetime::WithParent, _) => return Ok(Reason::CallerGone),
            },
            _ => {}
        }
    }
}

/// Whether what arrived is the caller's word, and not the end of the lifeline.
fn is_let_go(lifeline: BorrowedFd<'_>) -> Result<bool> {
    let mut word = [0; LET_GO.len()];
    Ok(nix::unistd::read(lifeline, &mut word).context("reading the caller's word")? > 0)
}
