//! Which objects a backup is made of, and where they lie in a store: `<cluster ID>/<backup>/<part>`. Nothing else spells a path.

use std::fmt;

use super::name::BackupName;
use crate::names::ClusterId;

/// A backup by its place: which cluster it is of, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupId {
    /// etcd's ID of the cluster. A cluster that was made anew, or from a backup, has another one.
    pub cluster: ClusterId,
    /// Its name.
    pub name: BackupName,
}

/// One object of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The snapshot as etcd sent it, with its digest at the end, compressed by zstd, and encrypted if its manifest says for whom.
    Snapshot,
    /// What the snapshot is of. Written last: without it there is no backup.
    Manifest,
    /// That it was restored, and what was found.
    Proof,
    /// The upload that is under way, so that whoever comes later can end it. Gone once the manifest is there.
    Upload,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 4] = [Part::Snapshot, Part::Manifest, Part::Proof, Part::Upload];

    /// The last part of its path.
    pub fn file(self) -> &'static str {
        match self {
            Part::Snapshot => "snapshot.db.zst",
            Part::Manifest => "manifest.json",
            Part::Proof => "proof.json",
            Part::Upload => "upload.json",
        }
    }
}

impl BackupId {
    /// The path of one of its objects, below the store's own folder.
    pub fn path(&self, part: Part) -> String {
        format!("{}/{}/{}", self.cluster, self.name, part.file())
    }

    /// What lies at a path below the store's folder; nothing if it is not ours.
    pub fn of_path(path: &str) -> Option<(BackupId, Part)> {
        let mut parts = path.split('/');
        let (cluster, name, file) = (parts.next()?, parts.next()?, parts.next()?);
        let id = BackupId { cluster: ClusterId::parse(cluster)?, name: BackupName::parse(name).ok()? };
        // Written in one way only, so that two paths are never the same backup.
        let is_ours = parts.next().is_none() && id.cluster.to_string() == cluster;
        let part = Part::ALL.into_iter().find(|part| part.file() == file)?;
        is_ours.then_some((id, part))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of cluster {}", self.name, self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_where_it_was_put() {
        let name = BackupName::parse("20261130t133500z-abcde").unwrap();
        let id = BackupId { cluster: ClusterId(0xc0ffee), name };
        for part in Part::ALL {
            assert_eq!(BackupId::of_path(&id.path(part)), Some((id.clone(), part)));
        }
    }

    #[test]
    fn what_somebody_else_put_there_is_not_ours() {
        for path in [
            "readme.txt",
            "c0ffee/20261130t133500z-abcde",
            "c0ffee/20261130t133500z-abcde/other.json",
            "c0ffee/20261130t133500z-abcde/manifest.json/x",
            "00c0ffee/20261130t133500z-abcde/manifest.json",
            "C0FFEE/20261130t133500z-abcde/manifest.json",
            "xyz/20261130t133500z-abcde/manifest.json",
            "c0ffee/today/manifest.json",
        ] {
            assert_eq!(BackupId::of_path(path), None, "{path}");
        }
    }
}
