//! What a store holds, from the paths in it: backups, and uploads that were begun and not ended. Pure: whoever asks has listed the
//! store. What is not ours is not in it, and so is never named to be deleted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::layout::{BackupId, Part};
use super::manifest::{Manifest, Proof, Upload};
use super::name::BackupName;
use crate::names::ClusterId;

/// Clocks of machines may differ by so much before anything is concluded from them: that nobody carries an upload on, or that a backup is old.
pub const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(10);

/// What lies in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The parts of each folder that has our form.
    pub folders: BTreeMap<BackupId, BTreeSet<Part>>,
}

impl Inventory {
    /// Sorts the paths of ours below the store's own folder.
    pub fn of(paths: impl IntoIterator<Item = String>) -> Inventory {
        let mut inventory = Inventory::default();
        for (id, part) in paths.into_iter().filter_map(|path| BackupId::of_path(&path)) {
            inventory.folders.entry(id).or_default().insert(part);
        }
        inventory
    }

    /// Folders that have a manifest, and so a backup.
    pub fn backups(&self) -> impl Iterator<Item = &BackupId> {
        self.folders.iter().filter(|(_, parts)| parts.contains(&Part::Manifest)).map(|(id, _)| id)
    }

    /// Folders of a cluster with an upload that was begun, and not ended.
    pub fn begun(&self, cluster: ClusterId) -> impl Iterator<Item = &BackupId> {
        let is_begun = move |(id, parts): &(&BackupId, &BTreeSet<Part>)| {
            id.cluster == cluster && parts.contains(&Part::Upload)
        };
        self.folders.iter().filter(is_begun).map(|(id, _)| id)
    }
}

/// Whether nobody carries an upload on any more.
pub fn is_given_up(upload: &Upload, now: Timestamp) -> bool {
    now > upload.given_up_at.saturating_add(CLOCK_DIFFERENCE).unwrap_or(Timestamp::MAX)
}

/// A backup with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// What it is of.
    pub manifest: Manifest,
    /// That it was restored, if it was.
    pub proof: Option<Proof>,
}

impl Backup {
    /// What orders backups of one cluster: revisions only ever grow, and clocks go back. Greater is newer.
    pub fn age(&self) -> (i64, Timestamp) {
        (self.manifest.data.revision, self.manifest.asked_for_at)
    }
}

/// Which backup is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The one of this name.
    Named(BackupName),
    /// The newest.
    Newest {
        /// Asked for before this moment.
        before: Option<Timestamp>,
        /// One that was never restored counts as well.
        unproved: bool,
    },
}

/// Why no backup is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// The store has none at all.
    #[error("there is no backup in this store")]
    Empty,
    /// None of this cluster.
    #[error("there is no backup of cluster {cluster}; there are backups of {}", listed(others))]
    NoneOfCluster {
        /// The one that was asked for.
        cluster: ClusterId,
        /// Those that are there.
        others: BTreeSet<ClusterId>,
    },
    /// Several clusters have backups there.
    #[error("there are backups of several clusters: {}; say of which", listed(clusters))]
    SeveralClusters {
        /// They.
        clusters: BTreeSet<ClusterId>,
    },
    /// No backup has this name.
    #[error("there is no backup {name}; {}", known(names))]
    NoSuchName {
        /// The name.
        name: BackupName,
        /// Those that are there.
        names: Vec<BackupName>,
    },
    /// All are later.
    #[error("no backup was asked for before {0}")]
    NoneBefore(Timestamp),
    /// None was ever restored.
    #[error(
        "none of the {0} backups has been proved by restoring it; prove one, or say that an unproved one will do"
    )]
    NoneProved(usize),
}

fn listed(clusters: &BTreeSet<ClusterId>) -> String {
    clusters.iter().map(ClusterId::to_string).collect::<Vec<_>>().join(", ")
}

fn known(names: &[BackupName]) -> String {
    match names.last() {
        Some(newest) => format!("there are {}, the newest is {newest}", names.len()),
        None => "there are none".to_owned(),
    }
}

/// The backup that is meant. What is newest follows from its revision and from when it was asked for, never from a name.
///
/// # Errors
/// There is none, or it is not clear which.
pub fn find<'a>(
    backups: &'a [Backup],
    cluster: Option<ClusterId>,
    wanted: &Wanted,
) -> Result<&'a Backup, NotFound> {
    let clusters: BTreeSet<ClusterId> = backups.iter().map(|backup| backup.manifest.cluster_id).collect();
    let mut of_cluster: Vec<&Backup> = backups
        .iter()
        .filter(|backup| cluster.is_none_or(|cluster| backup.manifest.cluster_id == cluster))
        .collect();
    of_cluster.sort_by_key(|backup| backup.age());
    match cluster {
        _ if backups.is_empty() => return Err(NotFound::Empty),
        Some(cluster) if of_cluster.is_empty() => {
            return Err(NotFound::NoneOfCluster { cluster, others: clusters });
        }
        Some(_) | None => {}
    }
    match wanted {
        Wanted::Named(name) => {
            let found = of_cluster.iter().find(|backup| backup.manifest.name == *name);
            found.copied().ok_or_else(|| NotFound::NoSuchName {
                name: name.clone(),
                names: of_cluster.iter().map(|backup| backup.manifest.name.clone()).collect(),
            })
        }
        Wanted::Newest { .. } if cluster.is_none() && clusters.len() > 1 => {
            Err(NotFound::SeveralClusters { clusters })
        }
        Wanted::Newest { before, unproved } => {
            let is_early =
                |backup: &&&Backup| before.is_none_or(|before| backup.manifest.asked_for_at < before);
            let early: Vec<&&Backup> = of_cluster.iter().filter(is_early).collect();
            if let (true, Some(before)) = (early.is_empty(), before) {
                return Err(NotFound::NoneBefore(*before));
            }
            let newest = early.iter().rev().find(|backup| *unproved || backup.proof.is_some());
            newest.map(|backup| **backup).ok_or(NotFound::NoneProved(early.len()))
        }
    }
}
