//! What a tree leaves in its state directory so that another process can find it: the lock and the guardian's process. A file alone proves nothing: the process's start time must agree.

use super::Trunk;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The guardian of a running tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GuardianRecord {
    pub(super) process: i32,
    /// Clock ticks since the machine started, so that a reused number is not taken for the guardian.
    pub(super) start_time: u64,
}

/// What the tree answers on its standard output, one line each; after `Ready` and `Failed` nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartAnswer {
    /// A step of the start began.
    Progress {
        /// What is done now, for people.
        message: String,
    },
    /// All that was asked for is there.
    Ready,
    /// The tree could not start.
    Failed {
        /// What was tried and why it failed.
        message: String,
    },
}

impl StartAnswer {
    /// Writes the answer to standard output.
    pub fn send(&self) {
        use std::io::Write as _;
        let line = serde_json::to_string(self).expect("an answer is plain data");
        // If the caller has gone, nobody waits for an answer.
        let _ = writeln!(io::stdout(), "{line}");
    }
}

impl GuardianRecord {
    /// The record of the calling process.
    pub(super) fn own() -> io::Result<GuardianRecord> {
        let process = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        Ok(GuardianRecord { process, start_time: start_time(process)? })
    }

    /// Reads the record, if its process still runs.
    pub(super) fn read_living<T: Trunk>(state_directory: &Path) -> io::Result<Option<GuardianRecord>> {
        let text = match std::fs::read_to_string(path::<T>(state_directory)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let record: GuardianRecord = serde_json::from_str(&text).map_err(io::Error::other)?;
        Ok(record.is_alive().then_some(record))
    }

    /// Whether this very process still runs.
    pub(super) fn is_alive(&self) -> bool {
        start_time(self.process).is_ok_and(|start| start == self.start_time)
    }

    /// Writes the record. It appears whole or not at all: whoever looks for a tree may look in the middle of a start.
    pub(super) fn write<T: Trunk>(&self, state_directory: &Path) -> io::Result<()> {
        let path = path::<T>(state_directory);
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(self).map_err(io::Error::other)?)?;
        std::fs::rename(new, path)
    }

    pub(super) fn remove<T: Trunk>(state_directory: &Path) -> io::Result<()> {
        std::fs::remove_file(path::<T>(state_directory))
    }
}

/// Takes the state directory for this process and those that inherit the lock, see [`super::keep_open`].
///
/// # Errors
/// `WouldBlock` when somebody else holds it, `NotFound` when there is no such directory.
pub fn lock(state_directory: &Path) -> io::Result<Flock<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(state_directory.join("lock"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| io::Error::from(error))
}

/// What the tree's own processes have to say.
pub(super) fn log_path<T: Trunk>(state_directory: &Path) -> PathBuf {
    state_directory.join(format!("{}.log", T::NAME))
}

fn path<T: Trunk>(state_directory: &Path) -> PathBuf {
    state_directory.join(format!("{}.json", T::NAME))
}

/// Field 22 of /proc/PID/stat, see proc(5); the command name before it may hold spaces, but ends at the last `)`.
/// A zombie has ended: it is not found.
fn start_time(process: i32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = text.rsplit(')').next().unwrap_or_default();
    let mut fields = fields.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return Err(io::ErrorKind::NotFound.into());
    }
    fields
        .nth(18)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("unreadable /proc/PID/stat"))
}
