//! The guardian's process: takes the listener while it still sees the host, makes the namespaces, and then waits for one
//! of three things: the caller is gone, a signal, the tree has ended. It runs one thread.

use super::state::{self, GuardianRecord, StartAnswer};
use super::{Lifetime, Role, Trunk, init};
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
pub(super) fn run<T: Trunk>() -> Result<()> {
    let config: T = read_config()?;
    match start(&config) {
        Err(error) => {
            StartAnswer::Failed { message: format!("{error:#}") }.send();
            Err(error)
        }
        Ok(started) => {
            let reason = wait(&config, &started)?;
            process::signal(started.init, Signal::SIGKILL).context("failed to end the tree")?;
            let exit = process::wait_for(started.init).context("failed to wait for the tree to end")?;
            config.clear_up(std::process::id()).context("failed to remove what the tree left")?;
            GuardianRecord::remove::<T>(&config.tree().state_directory)
                .context("failed to remove the tree's record")?;
            match reason {
                Reason::CallerGone | Reason::Signal => Ok(()),
                Reason::Ended => bail!("the {} ended by itself: {exit:?}", T::NOUN),
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
    Ended,
}

fn read_config<T: Trunk>() -> Result<T> {
    let mut line = String::new();
    // Nothing else is written until we have answered, so the buffer cannot swallow anything else.
    std::io::stdin().lock().read_line(&mut line).context("failed to read the configuration")?;
    serde_json::from_str(&line).context("failed to parse the configuration")
}

fn start<T: Trunk>(config: &T) -> Result<Started> {
    let state_directory = &config.tree().state_directory;
    let lock = state::lock(state_directory)
        .with_context(|| format!("another {} may be running in {}", T::NOUN, state_directory.display()))?;
    GuardianRecord::own()
        .and_then(|record| record.write::<T>(state_directory))
        .context("failed to record the guardian's process")?;
    let address = config.tree().listen;
    let listener = TcpListener::bind(address).with_context(|| format!("failed to listen on {address}"))?;
    unshare(
        CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .context("failed to make namespaces (this needs root, or CAP_SYS_ADMIN)")?;
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().context("failed to block signals")?;
    let signals =
        SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).context("failed to receive signals")?;
    let (read, lifeline) = std::io::pipe().context("failed to make the lifeline")?;
    let inherited = [listener.as_fd(), lock.as_fd(), read.as_fd()];
    for descriptor in inherited {
        init::keep_open(descriptor).context("failed to hand a descriptor to the tree")?;
    }
    let arguments = init::Arguments {
        config: config.clone(),
        listener: listener.as_raw_fd(),
        lock: lock.as_raw_fd(),
        lifeline: read.as_raw_fd(),
    };
    let init = init::spawn::<T>(Role::Init, &arguments)?;
    std::io::stdout().flush().ok();
    Ok(Started { init, signals, _lifeline: lifeline, _lock: lock })
}

/// The caller's word that it has a lasting tree, which no longer ends with it.
const LET_GO: &[u8] = b"\n";

/// Tells the guardian at the other end of `lifeline` to go on without its caller. To be said once, after it answered.
pub(super) async fn let_go(lifeline: &mut ChildStdin) -> std::io::Result<()> {
    lifeline.write_all(LET_GO).await?;
    lifeline.flush().await
}

/// Waits for a reason to end. A lasting tree too ends with its caller until that lets it go: a caller that ended in the
/// middle of the start told nobody of the tree.
fn wait<T: Trunk>(config: &T, started: &Started) -> Result<Reason> {
    let tree = process::open_process(started.init).context("failed to watch the tree")?;
    let stdin = std::io::stdin();
    let mut watched = vec![
        PollFd::new(tree.as_fd(), PollFlags::POLLIN),
        PollFd::new(started.signals.as_fd(), PollFlags::POLLIN),
        PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error).context("failed to wait for a reason to end"),
        }
        let ready: Vec<bool> = watched.iter().map(|one| one.any().unwrap_or(false)).collect();
        match ready.as_slice() {
            [true, ..] => return Ok(Reason::Ended),
            [_, true, ..] => match started.signals.read_signal().context("failed to read a signal")? {
                Some(signal) if signal.ssi_signo == Signal::SIGHUP as u32 => {}
                Some(_) | None => return Ok(Reason::Signal),
            },
            [_, _, true] => match (config.tree().lifetime, is_let_go(stdin.as_fd())?) {
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
    Ok(nix::unistd::read(lifeline, &mut word).context("failed to read the caller's word")? > 0)
}
