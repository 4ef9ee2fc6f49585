//! Makes the data directory of a new cluster's member from a backup. What is half done never stands where a data directory is looked
//! for: it is made beside it and takes its place at the end.

use super::Context;
use super::args::RestoreArguments;
use super::fetch::{FetchError, fetch};
use super::tools::{ToolError, Tools};
use crate::gate::write_durably;
use etcd_operator_core::backup::manifest::Manifest;
use etcd_operator_core::backup::outcome::RestoredFrom;
use etcd_operator_core::backup::restoring::{Member, OtherMinor, Revisions, check_minor};
use etcd_operator_core::cluster::desired::EtcdVersion;
use etcd_operator_core::gate::Stamp;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use thiserror::Error;

/// Beside the data directory of an `EtcdCluster`'s member ([`etcd_operator_core::names::STAMP_PATH`]).
const STAMP_FILE: &str = "member.json";
/// The database in a data directory.
const DATABASE: &str = "member/snap/db";
/// The start gate's lock of the volume ([`etcd_operator_core::names::LOCK_PATH`]).
const LOCK_FILE: &str = "lock";
/// What the stamp of a member that was restored has besides.
const RESTORED_FROM: &str = "restoredFrom";
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
    /// Somebody else works on the volume.
    #[error("another process holds {0}: the volume is in use")]
    InUse(String),
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
    context: &Context,
    manifest: &Manifest,
    tools: &Tools,
    room: &Path,
    member: &Member<'_>,
    revisions: Revisions,
) -> Result<PathBuf, MakeError> {
    let (snapshot, data) = (room.join("snapshot.db"), room.join("data"));
    fetch(&context.store, &context.keys, manifest, &snapshot).await?;
    tools.restore(&snapshot, &data, member, revisions).await?;
    Ok(data)
}

/// The data directory that is made, and whose it is.
#[derive(Debug)]
pub struct Place<'a> {
    data: &'a Path,
    member: Member<'a>,
    revisions: Revisions,
    /// The UID of the `EtcdCluster`, if the member is one's: then the start gate's stamp goes with the data.
    cluster_uid: Option<&'a str>,
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
        let revisions = match arguments.bump_revision {
            0 => Revisions::Kept,
            by => Revisions::Bumped(by),
        };
        let cluster_uid = arguments.stamp_for.as_deref();
        let place = Self { data: &arguments.data_dir, member, revisions, cluster_uid };
        if cluster_uid.is_some() && place.stamp(None).is_none() {
            return Err(RestoreError::Name(arguments.name.clone()));
        }
        Ok(place)
    }

    /// The stamp of what was restored from this.
    fn stamp(&self, from: Option<&RestoredFrom>) -> Option<Stamp> {
        let from = from.and_then(|from| serde_json::to_value(from).ok());
        let from = from.map(|from| (RESTORED_FROM.to_owned(), from)).into_iter().collect();
        Stamp::of_restored(self.cluster_uid?, self.member.name, self.member.token, from)
    }

    fn stamp_path(&self) -> PathBuf {
        folder_of(self.data).join(STAMP_FILE)
    }

    /// What the same member was restored from here before, if it was: whoever did it was ended before it could say so.
    fn is_done(&self) -> Option<RestoredFrom> {
        let wanted = self.stamp(None)?;
        let found: Stamp = serde_json::from_slice(&std::fs::read(self.stamp_path()).ok()?).ok()?;
        let is_same = (&found.cluster_uid, &found.member, &found.token)
            == (&wanted.cluster_uid, &wanted.member, &wanted.token);
        serde_json::from_value(found.later.get(RESTORED_FROM).filter(|_| is_same)?.clone()).ok()
    }

    /// The volume's lock, as the start gate takes it: one process at a time.
    fn lock(&self) -> Result<Option<Flock<File>>, RestoreError> {
        if self.cluster_uid.is_none() {
            return Ok(None);
        }
        let path = folder_of(self.data).join(LOCK_FILE);
        let failed = |source| RestoreError::Folder { folder: path.display().to_string(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        locked.map(Some).map_err(|(_, _)| RestoreError::InUse(path.display().to_string()))
    }
}

/// Restores a backup into a data directory that is not there yet; what it was restored from.
pub async fn restore(
    context: &Context,
    manifest: &Manifest,
    tools: &Tools,
    place: &Place<'_>,
) -> Result<RestoredFrom, RestoreError> {
    fitting_version(manifest, tools).await?;
    let folder = folder_of(place.data);
    let failed = |source| RestoreError::Folder { folder: folder.display().to_string(), source };
    let _lock = place.lock()?;
    if place.data.symlink_metadata().is_ok() {
        return place.is_done().ok_or_else(|| RestoreError::Occupied(place.data.display().to_string()));
    }
    if place.cluster_uid.is_some() {
        // The volume is this member's alone, and whoever was killed here has left half a database.
        remove_unfinished(&folder).map_err(failed)?;
    }
    // Removed when dropped, whatever ends us but SIGKILL; and then it has a name that no etcd looks for.
    let room = TempDir::with_prefix_in(UNFINISHED, &folder).map_err(failed)?;
    let revisions = context.distortion.revisions(place.revisions);
    let from = RestoredFrom {
        backup: manifest.name.clone(),
        database_bytes: manifest.snapshot.bytes,
        authentication: manifest.authentication,
    };
    let work = async {
        let made = make(context, manifest, tools, room.path(), &place.member, revisions).await?;
        if let Some(stamp) = place.stamp(Some(&from)) {
            // Before the data: where there is data, it is known whose it is.
            write_durably(&place.stamp_path(), &stamp).map_err(RestoreError::Stamp)?;
        }
        // What is looked for under its name must be there after a power failure, whatever etcdutl has left to the system.
        File::open(made.join(DATABASE)).and_then(|database| database.sync_all()).map_err(failed)?;
        std::fs::rename(&made, place.data).map_err(failed)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)
    };
    tokio::select! {
        biased;
        () = context.interrupted.clone() => Err(RestoreError::Interrupted),
        done = work => done.map(|()| from.clone()),
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
