//! The member's volume: its lock, its stamp, what is in the data directory, and the list of spent permits in the pod's
//! emptyDir. It reads and writes whole files durably; it deletes nothing and judges nothing.

use super::access::explained;
use super::boot_counter;
use super::log_identity::{self, HEAD_BYTES};
use super::paths::Paths;
use anyhow::{Context as _, bail};
use etcd_operator_core::gate::{DataState, DiskState, Stamp, StampState};
use etcd_operator_core::names::PermitId;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Takes the volume's lock, unless another process has it.
pub(super) fn try_lock(path: &Path) -> anyhow::Result<Option<Flock<File>>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| explained(path, error))
        .with_context(|| format!("failed to open the volume's lock {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("failed to lock {}", path.display())),
    }
}

/// What is on the volume.
pub(super) fn read(paths: &Paths) -> anyhow::Result<DiskState> {
    Ok(DiskState {
        stamp: read_stamp(&paths.stamp)?,
        boot_counter: boot_counter::read(&paths.boot_counter),
        data: read_data(paths)?,
    })
}

fn read_stamp(path: &Path) -> anyhow::Result<StampState> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(StampState::Absent),
        Err(error) => {
            return Err(explained(path, error))
                .with_context(|| format!("failed to read the stamp {}", path.display()));
        }
    };
    Ok(match serde_json::from_slice::<Stamp>(&bytes) {
        Ok(stamp) => StampState::Present(stamp),
        Err(error) => StampState::Unreadable(error.to_string()),
    })
}

fn read_data(paths: &Paths) -> anyhow::Result<DataState> {
    if let Some(segment) = first_segment(&paths.wal)? {
        return Ok(DataState::Log(log_identity::parse(&head(&segment)?)));
    }
    Ok(if holds_a_file(&paths.data)? { DataState::WithoutLog } else { DataState::Empty })
}

/// The oldest segment of the log, by name.
fn first_segment(wal: &Path) -> anyhow::Result<Option<PathBuf>> {
    let segments = entries(wal)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "wal"));
    Ok(segments.min())
}

fn head(segment: &Path) -> anyhow::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    File::open(segment)
        .and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head))
        .map_err(|error| explained(segment, error))
        .with_context(|| format!("failed to read the head of {}", segment.display()))?;
    Ok(head)
}

/// Whether there is any file below a directory. Directories alone are what a fresh file system or an aborted start
/// leave behind.
fn holds_a_file(directory: &Path) -> anyhow::Result<bool> {
    for path in entries(directory)? {
        let metadata =
            path.symlink_metadata().with_context(|| format!("failed to look at {}", path.display()))?;
        if !metadata.is_dir() || holds_a_file(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Entries of a directory; none if it does not exist.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(explained(directory, error))
                .with_context(|| format!("failed to list {}", directory.display()));
        }
    };
    listing
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .with_context(|| format!("failed to list {}", directory.display()))
}

/// The permits that this pod has spent. A list that can't be read is an error, never an empty one: it would make a
/// spent permit good again.
pub(super) fn spent_permits(path: &Path) -> anyhow::Result<BTreeSet<PermitId>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
    };
    serde_json::from_slice(&bytes)
        .with_context(|| format!("failed to parse the spent permits in {}", path.display()))
}

/// Adds a permit to the spent ones.
pub(super) fn spend(path: &Path, permit: &PermitId) -> anyhow::Result<()> {
    let mut spent = spent_permits(path)?;
    spent.insert(permit.clone());
    write_durably(path, &spent)
}

/// Replaces a file unless it has the content already, so that what stays the same needs no room on a full disk.
pub(super) fn write_if_changed<T: Serialize>(path: &Path, content: &T) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec(content).context("failed to write JSON")?;
    match fs::read(path) {
        Ok(before) if before == bytes => Ok(()),
        Ok(_) | Err(_) => write_durably(path, content),
    }
}

/// Replaces a file by a new content, so that after a crash at any moment it has either the old or the new one, and
/// after the return surely the new one.
pub(crate) fn write_durably<T: Serialize>(path: &Path, content: &T) -> anyhow::Result<()> {
    let Some(directory) = path.parent() else { bail!("{} is in no directory", path.display()) };
    let bytes = serde_json::to_vec(content).context("failed to write JSON")?;
    let partial = path.with_extension("partial");
    let written = (|| {
        let mut file = File::create(&partial)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        File::open(directory)?.sync_all()
    })();
    written
        .map_err(|error| explained(&partial, error))
        .with_context(|| format!("failed to write {}", path.display()))
}
