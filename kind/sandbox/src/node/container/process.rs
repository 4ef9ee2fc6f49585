//! Starts programs in containers through a `sandbox-container` process and tells how they end. The node's process has
//! threads, so it never forks or changes namespaces itself.

use super::spec::{ProcessEvent, ProcessSpec};
use crate::sys::process::Exit;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

/// The first argument by which a process knows that it is the monitor of a container.
pub(crate) const ROLE: &str = "sandbox-container";

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The monitor itself could not be started or reached.
    #[error("failed to start the container's monitor")]
    Monitor(#[from] std::io::Error),
    /// The monitor speaks another language; a bug.
    #[error("failed to understand the container's monitor")]
    Protocol(#[from] serde_json::Error),
    /// The program could not be started, for the given reason.
    #[error("{0}")]
    Program(String),
}

/// A program that runs in a container. Dropping it kills the program.
#[derive(Debug)]
pub(crate) struct RunningProcess {
    /// The program's process in the sandbox's process namespace.
    pub(crate) process: i32,
    monitor: tokio::process::Child,
    events: tokio::io::Lines<BufReader<OwnedReadHalf>>,
}

/// Where the program's output goes.
pub(crate) struct Output {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

impl RunningProcess {
    /// Starts the program; returns once it has replaced its starting process.
    pub(crate) async fn start(spec: &ProcessSpec, output: Output) -> Result<RunningProcess, StartError> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let monitor = tokio::process::Command::new("/proc/self/exe")
            .arg(ROLE)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(output.stdout)
            .stderr(output.stderr)
            .kill_on_drop(true)
            .spawn()?;
        ours.set_nonblocking(true)?;
        let (read, mut write) = UnixStream::from_std(ours)?.into_split();
        let mut line = serde_json::to_vec(spec)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut events = BufReader::new(read).lines();
        match next_event(&mut events).await? {
            Some(ProcessEvent::Started { process }) => Ok(RunningProcess { process, monitor, events }),
            Some(ProcessEvent::Failed { message }) => Err(StartError::Program(message)),
            Some(ProcessEvent::Exited(_)) | None => {
                Err(StartError::Program("the container's monitor ended before the program started".into()))
            }
        }
    }

    /// Waits until the program has ended. A killed monitor takes the program with it and counts as SIGKILL.
    pub(crate) async fn wait(&mut self) -> Exit {
        let event = next_event(&mut self.events).await;
        // Reaps the monitor; how it ended adds nothing to its event.
        let _ = self.monitor.wait().await;
        match event {
            Ok(Some(ProcessEvent::Exited(exit))) => exit,
            Ok(Some(ProcessEvent::Started { .. } | ProcessEvent::Failed { .. }) | None) | Err(_) => {
                Exit::Signal(nix::libc::SIGKILL)
            }
        }
    }
}

async fn next_event(
    events: &mut tokio::io::Lines<BufReader<OwnedReadHalf>>,
) -> Result<Option<ProcessEvent>, StartError> {
    match events.next_line().await? {
        Some(line) => Ok(Some(serde_json::from_str(&line)?)),
        None => Ok(None),
    }
}
