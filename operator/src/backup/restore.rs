//! Makes the data directory of a new cluster's member from a backup. What is half done never stands where a data directory is looked
//! for: it is made beside it and takes its place at the end.

use super::Context;
use super::args::RestoreArguments;
use super::fetch::{FetchError, fetch};
use super::store::Store;
use super::tools::{ToolError, Tools};
use crate::gate::write_durably;
use etcd_operator_core::backup::manifest::Manifest;
use etcd_operator_core::backup::restoring::{Member, OtherMinor, Revisions, check_minor};
use etcd_operator_core::cluster::desired::EtcdVersion;
use etcd_operator_core::gate::Stamp;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use thiserror::Error;

/// Beside the data directory of an `EtcdCluster`'s member ([`etcd_operator_core::names::STAMP_PATH`]).
const STAMP_FILE: &str = "member.json";
/// How a folder begins in which something is made that has not come to its end.
const UNFINISHED: &str = ".etcd-restore-";

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
    /// The stamp could not be written.
    #[error("failed to write the stamp")]
    Stamp(#[source] anyhow::Error),
    /// No member has such a name.
    #[error("{0:?} is not the name of a member of an EtcdCluster")]
    Name(String),
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

/// The data directory that is made, and whose it is.
#[derive(Debug)]
pub struct Place<'a> {
    data: &'a Path,
    member: Member<'a>,
    revisions: Revisions,
    /// What lies beside it for the start gate, if the member is one of an `EtcdCluster`.
    stamp: Option<Stamp>,
}

impl<'a> Place<'a> {
    /// As the command line says it.
    ///
    /// # Errors
    /// The name is none that a member of an `EtcdCluster` could have.
    pub fn of(arguments: &'a RestoreArguments) -> Result<Self, RestoreError> {
        let member = Member {
            name: &arguments.name,
            initial_cluster: &arguments.initial_cluster,
            token: &arguments.initial_cluster_token,
            peer_urls: &arguments.initial_advertise_peer_urls,
        };
        let stamp =
            arguments.stamp_for.as_ref().map(|uid| Stamp::of_restored(uid, member.name, member.token));
        let stamp = match stamp {
            Some(stamp) => Some(stamp.ok_or_else(|| RestoreError::Name(arguments.name.clone()))?),
            None => None,
        };
        let revisions = match arguments.bump_revision {
            0 => Revisions::Kept,
            by => Revisions::Bumped(by),
        };
        Ok(Self { data: &arguments.data_dir, member, revisions, stamp })
    }

    fn stamp_path(&self) -> PathBuf {
        folder_of(self.data).join(STAMP_FILE)
    }

    /// Whether the same member was restored here before: whoever did it was ended before it could say so.
    fn is_done(&self) -> bool {
        let Some(stamp) = &self.stamp else { return false };
        let found = std::fs::read(self.stamp_path()).ok();
        let found = found.and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
        found.is_some_and(|found| found == *stamp)
    }
}

/// Restores a backup into a data directory that is not there yet.
pub async fn restore(
    context: &Context,
    manifest: &Manifest,
    tools: &Tools,
    place: &Place<'_>,
) -> Result<(), RestoreError> {
    fitting_version(manifest, tools).await?;
    let folder = folder_of(place.data);
    let failed = |source| RestoreError::Folder { folder: folder.display().to_string(), source };
    if place.data.symlink_metadata().is_ok() {
        return if place.is_done() {
            Ok(())
        } else {
            Err(RestoreError::Occupied(place.data.display().to_string()))
        };
    }
    if place.stamp.is_some() {
        // The volume is this member's alone, and whoever was killed here has left half a database.
        remove_unfinished(&folder).map_err(failed)?;
    }
    // Removed when dropped, whatever ends us but SIGKILL; and then it has a name that no etcd looks for.
    let room = TempDir::with_prefix_in(UNFINISHED, &folder).map_err(failed)?;
    let revisions = context.distortion.revisions(place.revisions);
    let work = async {
        let made = make(&context.store, manifest, tools, room.path(), &place.member, revisions).await?;
        if let Some(stamp) = &place.stamp {
            // Before the data: where there is data, it is known whose it is.
            write_durably(&place.stamp_path(), stamp).map_err(RestoreError::Stamp)?;
        }
        std::fs::rename(&made, place.data).map_err(failed)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)
    };
    tokio::select! {
        biased;
        () = context.interrupted.clone() => Err(RestoreError::Interrupted),
        done = work => done,
    }
}

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(data: &Path) -> PathBuf {
    match data.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
