//! The caller's side: starting a sandbox, finding a lasting one, ending it. Makes no namespaces itself, so that it
//! may be called from a program with threads.

use super::config::{ImageReference, Lifetime, SandboxConfig};
use super::state::{self, GuardianRecord, StartAnswer};
use super::{Role, guardian};
use crate::sys::process;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// A sandbox that takes longer than this to start is stuck.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An image names a file that the host does not have.
    #[error("image {image} needs {path}, which cannot be read", path = path.display())]
    Image {
        /// The image.
        image: ImageReference,
        /// The missing file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The state directory cannot be used.
    #[error("preparing the state directory {path}", path = path.display())]
    StateDirectory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The caller did not want it any more. Nothing of it is left but the state directory.
    #[error("interrupted before the sandbox was ready")]
    Interrupted,
    /// The sandbox's process could not be started or spoken to.
    #[error("starting the sandbox's process")]
    Process(#[source] io::Error),
    /// The sandbox said why it cannot start.
    #[error("the sandbox did not start: {0}")]
    Refused(String),
    /// The sandbox ended, or said nothing for a minute.
    #[error("the sandbox {what} before it was ready; its last words, from {log}:\n{words}", log = log.display())]
    Silent {
        /// `ended` or `was silent`.
        what: &'static str,
        /// Where its processes write.
        log: PathBuf,
        /// The last lines of that file.
        words: String,
    },
}

/// Why a sandbox could not be found or ended.
#[derive(Debug, thiserror::Error)]
#[error("{doing} the sandbox in {state_directory}", state_directory = state_directory.display())]
pub struct StopError {
    doing: &'static str,
    state_directory: PathBuf,
    source: io::Error,
}

/// A running sandbox. Dropping one that lives with its parent ends it; a lasting one goes on.
#[derive(Debug)]
pub struct Sandbox {
    state_directory: PathBuf,
    kubeconfig: PathBuf,
    guardian: GuardianRecord,
    /// Held open: its end is the end of a sandbox that lives with its parent.
    lifeline: Option<ChildStdin>,
    /// Of the sandbox that we started ourselves: waited for, so that no zombie is left.
    child: Option<Child>,
}

impl Sandbox {
    /// Starts a sandbox and returns when its API server answers and its node is ready.
    ///
    /// The calling program must call [`run_if_reexecuted`](super::run_if_reexecuted) first in its `main`. Until this has
    /// returned, the sandbox ends with its caller, a lasting one too.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left behind but the state directory.
    pub async fn start(config: SandboxConfig) -> Result<Sandbox, StartError> {
        Sandbox::start_unless(config, std::future::pending()).await
    }

    /// The same, unless `interrupted` comes first: then what was begun is ended, and waited for.
    ///
    /// # Errors
    /// As of [`Sandbox::start`], and [`StartError::Interrupted`].
    pub async fn start_unless(
        config: SandboxConfig,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Sandbox, StartError> {
        check_images(&config)?;
        let config = prepare_state_directory(config)?;
        let mut child = spawn_guardian(&config)?;
        let mut lifeline =
            child.stdin.take().ok_or_else(|| StartError::Process(io::ErrorKind::BrokenPipe.into()))?;
        let started = tokio::select! {
            biased;
            () = interrupted => Err(StartError::Interrupted),
            started = until_ready(&mut child, &mut lifeline, &config) => started,
        };
        match started {
            Ok(guardian) => Ok(Sandbox {
                kubeconfig: state::kubeconfig_path(&config.state_directory),
                state_directory: config.state_directory,
                guardian,
                lifeline: (config.lifetime == Lifetime::WithParent).then_some(lifeline),
                child: Some(child),
            }),
            Err(error) => {
                end_guardian(&mut child, &error).await;
                Err(error)
            }
        }
    }

    /// Finds the sandbox that runs with this state directory, if one does.
    ///
    /// # Errors
    /// The directory's record cannot be read.
    pub fn find(state_directory: &Path) -> Result<Option<Sandbox>, StopError> {
        let record = GuardianRecord::read_living(state_directory).map_err(|source| StopError {
            doing: "finding",
            state_directory: state_directory.to_path_buf(),
            source,
        })?;
        Ok(record.map(|guardian| Sandbox {
            state_directory: state_directory.to_path_buf(),
            kubeconfig: state::kubeconfig_path(state_directory),
            guardian,
            lifeline: None,
            child: None,
        }))
    }

    /// A kubeconfig with all rights.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The process below which everything runs; killing it ends the sandbox.
    pub fn process_id(&self) -> u32 {
        self.guardian.process.unsigned_abs()
    }

    /// Returns when the sandbox has ended, whoever ended it. It ends as a whole, so one process tells of all.
    ///
    /// # Errors
    /// The process could not be watched; this says nothing about the sandbox.
    pub async fn ended(&self) -> Result<(), StopError> {
        let Ok(guardian) = process::open_process(Pid::from_raw(self.guardian.process)) else { return Ok(()) };
        if self.guardian.is_alive() {
            process::wait_for_end(guardian).await.map_err(|source| StopError {
                doing: "watching",
                state_directory: self.state_directory.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Ends the sandbox; when it returns, none of its processes, mounts and namespaces is left.
    ///
    /// # Errors
    /// The process could not be signalled or waited for.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.end().await.map_err(|source| StopError {
            doing: "ending",
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

fn check_images(config: &SandboxConfig) -> Result<(), StartError> {
    for (image, source) in &config.images {
        for path in source.files.values() {
            std::fs::metadata(path).map_err(|source| StartError::Image {
                image: image.clone(),
                path: path.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

/// Makes the directory and every path absolute: the sandbox's processes work elsewhere.
fn prepare_state_directory(mut config: SandboxConfig) -> Result<SandboxConfig, StartError> {
    let path = config.state_directory.clone();
    let failed = |source| StartError::StateDirectory { path: path.clone(), source };
    std::fs::create_dir_all(&path).map_err(failed)?;
    config.state_directory = std::fs::canonicalize(&path).map_err(failed)?;
    for file in config.images.values_mut().flat_map(|image| image.files.values_mut()) {
        *file = std::path::absolute(&*file).map_err(failed)?;
    }
    Ok(config)
}

fn spawn_guardian(config: &SandboxConfig) -> Result<Child, StartError> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(state::log_path(&config.state_directory))
        .map_err(|source| StartError::StateDirectory { path: config.state_directory.clone(), source })?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(Role::Guardian.argument())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    // Ctrl-C in the caller's terminal is for the caller, who then ends us.
    process::in_own_session(&mut command);
    command.spawn().map_err(StartError::Process)
}

async fn until_ready(
    child: &mut Child,
    lifeline: &mut ChildStdin,
    config: &SandboxConfig,
) -> Result<GuardianRecord, StartError> {
    send_config(lifeline, config).await.map_err(StartError::Process)?;
    await_answer(child, &config.state_directory).await?;
    let guardian = GuardianRecord::read_living(&config.state_directory)
        .and_then(|record| record.ok_or_else(|| io::Error::other("it ended at once")))
        .map_err(StartError::Process)?;
    if config.lifetime == Lifetime::Lasting {
        guardian::let_go(lifeline).await.map_err(StartError::Process)?;
    }
    Ok(guardian)
}

/// Ends a guardian whose start came to nothing. Its end takes everything with it; that it has ended already is fine.
async fn end_guardian(child: &mut Child, because: &StartError) {
    let asked = match (because, child.id().and_then(|id| i32::try_from(id).ok())) {
        // In good order, so that everything is gone when it has ended.
        (StartError::Interrupted, Some(id)) => process::signal(Pid::from_raw(id), Signal::SIGTERM).is_ok(),
        _ => false,
    };
    let _ = if asked { child.wait().await.map(drop) } else { child.kill().await };
}

async fn send_config(lifeline: &mut ChildStdin, config: &SandboxConfig) -> io::Result<()> {
    let mut line = serde_json::to_vec(config).map_err(io::Error::other)?;
    line.push(b'\n');
    lifeline.write_all(&line).await?;
    lifeline.flush().await
}

async fn await_answer(child: &mut Child, state_directory: &Path) -> Result<(), StartError> {
    let output = child.stdout.take().ok_or_else(|| StartError::Process(io::ErrorKind::BrokenPipe.into()))?;
    let mut lines = BufReader::new(output).lines();
    let silent = |what| {
        let log = state::log_path(state_directory);
        let words = last_lines(&log, 10);
        StartError::Silent { what, log, words }
    };
    let line =
        tokio::time::timeout(START_LIMIT, lines.next_line()).await.map_err(|_| silent("was silent"))?;
    let Some(line) = line.map_err(StartError::Process)? else { return Err(silent("ended")) };
    match serde_json::from_str(&line).map_err(|error| StartError::Process(io::Error::other(error)))? {
        StartAnswer::Ready => Ok(()),
        StartAnswer::Failed { message } => Err(StartError::Refused(message)),
    }
}

fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
