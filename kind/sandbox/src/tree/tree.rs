//! The caller's side: starting a tree, finding a lasting one, ending it. Makes no namespaces itself, so that it may be
//! called from a program with threads.

use super::state::{self, GuardianRecord, StartAnswer};
use super::{Lifetime, Role, Trunk, guardian};
use crate::sys::process;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// A guardian that takes longer than this to end is stuck.
const END_LIMIT: Duration = Duration::from_secs(15);

/// Why a tree did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error("failed to prepare the state directory {path}", path = path.display())]
    StateDirectory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The caller did not want it any more. Nothing of it is left but the state directory.
    #[error("interrupted before the {name} was ready")]
    Interrupted {
        /// What people call the tree.
        name: &'static str,
    },
    /// The guardian could not be started or spoken to.
    #[error("failed to start the process of the {name}")]
    Process {
        /// What people call the tree.
        name: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The tree said why it cannot start.
    #[error("the {name} did not start: {message}")]
    Refused {
        /// What people call the tree.
        name: &'static str,
        /// What it said.
        message: String,
    },
    /// The tree ended, or was not ready in time.
    #[error("the {name} {what} before it was ready; its last words, from {log}:\n{words}", log = log.display())]
    Silent {
        /// What people call the tree.
        name: &'static str,
        /// `ended` or `was silent`.
        what: &'static str,
        /// Where its processes write.
        log: PathBuf,
        /// The last lines of that file.
        words: String,
    },
}

/// Why a tree could not be found or ended.
#[derive(Debug, thiserror::Error)]
#[error("failed to {attempt} the {name} in {state_directory}", state_directory = state_directory.display())]
pub struct StopError {
    attempt: &'static str,
    name: &'static str,
    state_directory: PathBuf,
    source: io::Error,
}

/// A running tree. Dropping one that lives with its parent ends it; a lasting one goes on.
#[derive(Debug)]
pub struct Tree<T> {
    state_directory: PathBuf,
    guardian: GuardianRecord,
    /// Held open: its end is the end of a tree that lives with its parent.
    lifeline: Option<ChildStdin>,
    /// Of the tree that we started ourselves: waited for, so that no zombie is left.
    child: Option<Child>,
    trunk: PhantomData<T>,
}

impl<T: Trunk> Tree<T> {
    /// Starts a tree and returns when it says that it is ready, unless `interrupted` comes first: then what was begun is
    /// ended, and waited for. `progress` hears what the tree says on the way.
    ///
    /// The calling program must call [`run_if_reexecuted`](super::run_if_reexecuted) first in its `main`. Until this has
    /// returned, the tree ends with its caller, a lasting one too.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left behind but the state directory.
    pub async fn start_unless(
        config: &T,
        interrupted: impl Future<Output = ()>,
        progress: impl FnMut(&str),
    ) -> Result<Tree<T>, StartError> {
        let state_directory = config.tree().state_directory.clone();
        let mut child = spawn_guardian::<T>(&state_directory)?;
        let mut lifeline = child.stdin.take().ok_or_else(|| failed::<T>(io::ErrorKind::BrokenPipe.into()))?;
        let started = tokio::select! {
            biased;
            () = interrupted => Err(StartError::Interrupted { name: T::NOUN }),
            started = until_ready(&mut child, &mut lifeline, config, progress) => started,
        };
        match started {
            Ok(guardian) => Ok(Tree {
                state_directory,
                guardian,
                lifeline: (config.tree().lifetime == Lifetime::WithParent).then_some(lifeline),
                child: Some(child),
                trunk: PhantomData,
            }),
            Err(error) => {
                end_guardian(&mut child).await;
                Err(error)
            }
        }
    }

    /// Finds the tree that runs with this state directory, if one does.
    ///
    /// # Errors
    /// The directory's record cannot be read.
    pub fn find(state_directory: &Path) -> Result<Option<Tree<T>>, StopError> {
        let record = GuardianRecord::read_living::<T>(state_directory).map_err(|source| StopError {
            attempt: "find",
            name: T::NOUN,
            state_directory: state_directory.to_path_buf(),
            source,
        })?;
        Ok(record.map(|guardian| Tree {
            state_directory: state_directory.to_path_buf(),
            guardian,
            lifeline: None,
            child: None,
            trunk: PhantomData,
        }))
    }

    /// The directory that it runs with.
    pub fn state_directory(&self) -> &Path {
        &self.state_directory
    }

    /// The process below which everything runs; killing it ends the tree.
    pub fn process_id(&self) -> u32 {
        self.guardian.process.unsigned_abs()
    }

    /// Returns when the tree has ended, whoever ended it. It ends as a whole, so one process tells of all.
    ///
    /// # Errors
    /// The process could not be watched; this says nothing about the tree.
    pub async fn ended(&self) -> Result<(), StopError> {
        let Ok(guardian) = process::open_process(Pid::from_raw(self.guardian.process)) else { return Ok(()) };
        if self.guardian.is_alive() {
            process::wait_for_end(guardian).await.map_err(|source| StopError {
                attempt: "watch",
                name: T::NOUN,
                state_directory: self.state_directory.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Ends the tree; when it returns, none of its processes, mounts and namespaces is left.
    ///
    /// # Errors
    /// The process could not be signalled or waited for.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.end().await.map_err(|source| StopError {
            attempt: "end",
            name: T::NOUN,
            state_directory: self.state_directory.clone(),
            source,
        })
    }

    async fn end(&mut self) -> io::Result<()> {
        let Ok(guardian) = process::open_process(Pid::from_raw(self.guardian.process)) else { return Ok(()) };
        if self.guardian.is_alive() {
            process::signal(Pid::from_raw(self.guardian.process), Signal::SIGTERM)?;
            self.lifeline = None;
            match &mut self.child {
                Some(child) => drop(child.wait().await?),
                None => process::wait_for_end(guardian).await?,
            }
        }
        Ok(())
    }
}

/// Waits until no process of a tree holds this state directory any more: when a guardian is killed, the rest of its tree ends
/// a moment later. What the server started may end a moment later still. Returns at once if there is no such directory.
///
/// # Errors
/// It is still held after [`END_LIMIT`], or cannot be looked at.
pub async fn vacated(state_directory: &Path) -> io::Result<()> {
    let deadline = tokio::time::Instant::now() + END_LIMIT;
    loop {
        match state::lock(state_directory) {
            Ok(_free) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn failed<T: Trunk>(source: io::Error) -> StartError {
    StartError::Process { name: T::NOUN, source }
}

async fn until_ready<T: Trunk>(
    child: &mut Child,
    lifeline: &mut ChildStdin,
    config: &T,
    progress: impl FnMut(&str),
) -> Result<GuardianRecord, StartError> {
    send_config(lifeline, config).await.map_err(failed::<T>)?;
    await_answer::<T>(child, &config.tree().state_directory, progress).await?;
    let guardian = GuardianRecord::read_living::<T>(&config.tree().state_directory)
        .and_then(|record| record.ok_or_else(|| io::Error::other("it ended at once")))
        .map_err(failed::<T>)?;
    if config.tree().lifetime == Lifetime::Lasting {
        guardian::let_go(lifeline).await.map_err(failed::<T>)?;
    }
    Ok(guardian)
}

/// Ends a guardian whose start came to nothing, in good order, so that everything is gone when it has ended. That it has
/// ended already is fine.
async fn end_guardian(child: &mut Child) {
    if let Some(process) = child.id().and_then(|process| i32::try_from(process).ok()) {
        let _ = process::signal(Pid::from_raw(process), Signal::SIGTERM);
    }
    if tokio::time::timeout(END_LIMIT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn spawn_guardian<T: Trunk>(state_directory: &Path) -> Result<Child, StartError> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(state::log_path::<T>(state_directory))
        .map_err(|source| StartError::StateDirectory { path: state_directory.to_path_buf(), source })?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(Role::Guardian.argument::<T>())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    // Ctrl-C in the caller's terminal is for the caller, who then ends us.
    process::in_own_session(&mut command);
    command.spawn().map_err(failed::<T>)
}

async fn send_config<T: Trunk>(lifeline: &mut ChildStdin, config: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(config).map_err(io::Error::other)?;
    line.push(b'\n');
    lifeline.write_all(&line).await?;
    lifeline.flush().await
}

async fn await_answer<T: Trunk>(
    child: &mut Child,
    state_directory: &Path,
    mut progress: impl FnMut(&str),
) -> Result<(), StartError> {
    let output = child.stdout.take().ok_or_else(|| failed::<T>(io::ErrorKind::BrokenPipe.into()))?;
    let mut lines = BufReader::new(output).lines();
    let silent = |what| {
        let log = state::log_path::<T>(state_directory);
        let words = last_lines(&log, 10);
        StartError::Silent { name: T::NOUN, what, log, words }
    };
    let deadline = tokio::time::Instant::now() + T::START_LIMIT;
    loop {
        let line = tokio::time::timeout_at(deadline, lines.next_line()).await;
        let line = line.map_err(|_| silent("was silent"))?.map_err(failed::<T>)?;
        let Some(line) = line else { return Err(silent("ended")) };
        match serde_json::from_str(&line).map_err(|error| failed::<T>(io::Error::other(error)))? {
            StartAnswer::Progress { message } => progress(&message),
            StartAnswer::Ready => return Ok(()),
            StartAnswer::Failed { message } => return Err(StartError::Refused { name: T::NOUN, message }),
        }
    }
}

fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
