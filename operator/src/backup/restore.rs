//! Makes the data directory of a new cluster's member from a backup. What is half done never stands where a data directory is looked
//! for: it is made beside it and takes its place at the end.

use super::Context;
use super::fetch::{FetchError, fetch};
use super::store::Store;
use super::tools::{ToolError, Tools};
use etcd_operator_core::backup::manifest::Manifest;
use etcd_operator_core::backup::restoring::{Member, OtherMinor, Revisions, check_minor};
use etcd_operator_core::cluster::desired::EtcdVersion;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use thiserror::Error;

/// Why there is no data directory.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Something is there.
    #[error("{0} is there already: a restore never replaces data; name a folder that is not there")]
    Occupied(String),
    /// Its folder cannot be written to.
    #[error("failed to write to {folder}")]
    Folder {
        /// Which.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// Somebody asked us to end.
    #[error("interrupted; nothing is left of it")]
    Interrupted,
}

/// Why no data directory was made of a backup.
#[derive(Debug, Error)]
pub enum MakeError {
    /// etcd is of another minor.
    #[error(transparent)]
    OtherMinor(#[from] OtherMinor),
    /// The snapshot could not be brought.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// `etcdutl` failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

/// The version of etcd that a backup would be restored with, if it may be.
pub async fn fitting_version(manifest: &Manifest, tools: &Tools) -> Result<EtcdVersion, MakeError> {
    let version = tools.version().await?;
    check_minor(manifest.etcd_version, version)?;
    Ok(version)
}

/// Makes a data directory in a folder that is ours, which holds the snapshot too; where it is.
pub async fn make(
    store: &Store,
    manifest: &Manifest,
    tools: &Tools,
    room: &Path,
    member: &Member<'_>,
    revisions: Revisions,
) -> Result<PathBuf, MakeError> {
    let (snapshot, data) = (room.join("snapshot.db"), room.join("data"));
    fetch(store, manifest, &snapshot).await?;
    tools.restore(&snapshot, &data, member, revisions).await?;
    Ok(data)
}

/// Restores a backup into a data directory that is not there yet.
pub async fn restore(
    context: &Context,
    manifest: &Manifest,
    tools: &Tools,
    data: &Path,
    member: &Member<'_>,
    revisions: Revisions,
) -> Result<(), RestoreError> {
    fitting_version(manifest, tools).await?;
    if data.symlink_metadata().is_ok() {
        return Err(RestoreError::Occupied(data.display().to_string()));
    }
    let folder = folder_of(data);
    let failed = |source| RestoreError::Folder { folder: folder.display().to_string(), source };
    // Removed when dropped, whatever ends us but SIGKILL; and then it has a name that no etcd looks for.
    let room = TempDir::with_prefix_in(".etcd-restore-", &folder).map_err(failed)?;
    let work = async {
        let made = make(&context.store, manifest, tools, room.path(), member, revisions).await?;
        std::fs::rename(&made, data).map_err(failed)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)
    };
    tokio::select! {
        biased;
        () = context.interrupted.clone() => Err(RestoreError::Interrupted),
        done = work => done,
    }
}

fn folder_of(data: &Path) -> PathBuf {
    match data.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
