//! Makes the data directory of a new cluster's member from a backup. What is half done never stands where a data directory is looked
//! for: it is made beside it and takes its place at the end.

use super::Context;
use super::fetch::{FetchError, fetch};
use super::tools::{ToolError, Tools};
use etcd_operator_core::backup::manifest::Manifest;
use etcd_operator_core::backup::restoring::{Member, OtherMinor, Revisions, check_minor};
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
    /// etcd is of another minor.
    #[error(transparent)]
    OtherMinor(#[from] OtherMinor),
    /// The snapshot could not be brought.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// `etcdutl` failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Somebody asked us to end.
    #[error("interrupted; nothing is left of it")]
    Interrupted,
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
    check_minor(manifest.etcd_version, tools.version().await?)?;
    if data.symlink_metadata().is_ok() {
        return Err(RestoreError::Occupied(data.display().to_string()));
    }
    let folder = folder_of(data);
    let failed = |source| RestoreError::Folder { folder: folder.display().to_string(), source };
    // Removed when dropped, whatever ends us but SIGKILL; and then it has a name that no etcd looks for.
    let room = TempDir::with_prefix_in(".etcd-restore-", &folder).map_err(failed)?;
    let work = async {
        let (snapshot, made) = (room.path().join("snapshot.db"), room.path().join("data"));
        fetch(&context.store, manifest, &snapshot).await?;
        tools.restore(&snapshot, &made, member, revisions).await?;
        std::fs::rename(&made, data).map_err(failed)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)
    };
    tokio::select! {
        biased;
        () = (context.interrupted)() => Err(RestoreError::Interrupted),
        done = work => done,
    }
}

fn folder_of(data: &Path) -> PathBuf {
    match data.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
