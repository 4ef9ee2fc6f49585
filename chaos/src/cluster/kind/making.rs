//! Who makes a kind cluster right now. A start that is killed leaves kind and its calls of the engine running, which would go on
//! to make nodes: whoever ends the cluster must find and end them first.
//!
//! Two facts in the state directory tell: its lock, which the maker and all that it started hold, and the process group of the
//! call that runs. The second counts only while the first holds, so that a number in use by others is never taken for it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sandbox::tree;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The file of the state directory that names the process group.
const GROUP_FILE: &str = "kind-process-group";

/// Held while a cluster is made.
pub(super) struct Making {
    state: PathBuf,
    _lock: Flock<File>,
}

impl Making {
    /// Takes the state directory. An error if somebody else makes a cluster there.
    pub(super) fn begin(state: &Path) -> Result<Making> {
        let lock = tree::lock(state)
            .and_then(|lock| tree::keep_open(lock.as_fd()).map(|()| lock).map_err(io::Error::from))
            .with_context(|| format!("another kind cluster may be starting in {}", state.display()))?;
        Ok(Making { state: state.to_owned(), _lock: lock })
    }

    /// Runs a call to its end, with `input` on its standard input. Dropped before that, it ends with all that it started.
    pub(super) async fn run(&self, command: &mut Command, input: Option<&[u8]>) -> Result<Output> {
        if input.is_some() {
            command.stdin(std::process::Stdio::piped());
        }
        let mut child = command.spawn().context("failed to start kind")?;
        let mut group = Group::new(&self.state, child.id())?;
        if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
            pipe.write_all(text).await.context("failed to tell kind its configuration")?;
        }
        let output = child.wait_with_output().await.context("failed to wait for kind")?;
        group.has_ended();
        Ok(output)
    }
}

/// Whether somebody makes a cluster in this state directory.
pub(super) fn is_making(state: &Path) -> Result<bool> {
    match tree::lock(state) {
        Ok(_free) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("failed to look at the lock of {}", state.display()))
        }
    }
}

/// Ends whoever makes a cluster in this state directory and waits until all have ended. Returns whether there was anybody.
pub(super) async fn end(state: &Path) -> Result<bool> {
    if !is_making(state)? {
        return Ok(false);
    }
    if let Some(group) = recorded_group(state)? {
        kill_group(group).context("failed to end the start that goes on")?;
    }
    let waited = tree::vacated(state).await;
    waited.with_context(|| format!("failed to wait for the start that goes on in {}", state.display()))?;
    Ok(true)
}

/// The process group of a call that runs; dropping it ends the group and forgets it.
struct Group {
    id: Option<Pid>,
    file: PathBuf,
}

impl Group {
    /// The group that `leader` began; none if it has ended already.
    fn new(state: &Path, leader: Option<u32>) -> Result<Group> {
        let id = leader
            .map(i32::try_from)
            .transpose()
            .context("failed to read a process number")?
            .map(Pid::from_raw);
        let group = Group { id, file: state.join(GROUP_FILE) };
        if let Some(id) = id {
            std::fs::write(&group.file, id.to_string()).context("failed to note kind's process group")?;
        }
        Ok(group)
    }

    /// Its number may be given to others from now on.
    fn has_ended(&mut self) {
        self.id = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that cannot be ended from here ends when its call does, and one that is not forgotten is found ended.
        let _ = self.id.map(kill_group);
        let _ = std::fs::remove_file(&self.file);
    }
}

fn recorded_group(state: &Path) -> Result<Option<Pid>> {
    match std::fs::read_to_string(state.join(GROUP_FILE)) {
        Ok(text) => Ok(text.trim().parse().ok().map(Pid::from_raw)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("failed to read kind's process group"),
    }
}

/// That it has ended already is fine.
fn kill_group(group: Pid) -> nix::Result<()> {
    match killpg(group, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error),
    }
}
