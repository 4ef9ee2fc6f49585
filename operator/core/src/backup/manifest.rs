//! What the objects beside a snapshot say, as JSON that people can read. Fields may be added; a change of what one means is a new version
//! of the format, which older builds refuse. It looks at no snapshot.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::encryption::Recipient;
use super::layout::{BackupId, Part};
use super::name::BackupName;
use crate::cluster::desired::EtcdVersion;
use crate::cluster::observed::DataHash;
use crate::names::{ClusterId, MemberId};

/// What every object of ours says that it is.
const FORMAT: &str = "etcd.operators.rs/backup";
/// The version of the format that all builds read.
const FIRST: u32 = 1;
/// The version of a manifest whose snapshot is encrypted, which earlier builds would take for a damaged one; and the latest that this build
/// reads.
const ENCRYPTED: u32 = 2;

/// The first fields of every object, by which ours are told from others'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// What one of our objects says.
pub trait Document: Serialize + DeserializeOwned {
    /// Which object it is.
    const PART: Part;

    /// The version of the format that a build needs to know to understand it.
    fn version(&self) -> u32 {
        FIRST
    }
}

/// Why an object does not say what it should.
#[derive(Debug, thiserror::Error)]
pub enum NoDocument {
    /// It is not JSON, or not what it should be.
    #[error("it is not what an operator wrote")]
    Foreign(#[source] serde_json::Error),
    /// It is somebody else's JSON.
    #[error("it is of the format {0:?}, and not ours ({FORMAT:?})")]
    Format(String),
    /// It was written by a later operator.
    #[error("it is of version {0} of the format; this build reads {ENCRYPTED}: use a later one")]
    Later(u32),
    /// It is of another backup than its place says.
    #[error("it is of backup {said}, and lies in the folder of {place}")]
    Misplaced {
        /// What it says.
        said: String,
        /// Where it lies.
        place: String,
    },
}

/// The text of an object.
pub fn write<D: Document>(document: &D) -> String {
    #[derive(Serialize)]
    struct Whole<'a, D> {
        #[serde(flatten)]
        header: Header,
        #[serde(flatten)]
        document: &'a D,
    }
    let header = Header { format: FORMAT.to_owned(), version: document.version() };
    let text = serde_json::to_string_pretty(&Whole { header, document }).expect("plain fields are JSON");
    text + "\n"
}

/// Reads an object.
///
/// # Errors
/// It is not one of ours, or a later operator's.
pub fn read<D: Document>(bytes: &[u8]) -> Result<D, NoDocument> {
    let header: Header = serde_json::from_slice(bytes).map_err(NoDocument::Foreign)?;
    if header.format != FORMAT {
        return Err(NoDocument::Format(header.format));
    }
    if header.version > ENCRYPTED {
        return Err(NoDocument::Later(header.version));
    }
    serde_json::from_slice(bytes).map_err(NoDocument::Foreign)
}

/// Reads the manifest that lies in a backup's folder.
///
/// # Errors
/// It is not one of ours, or of another backup: somebody copied it there.
pub fn read_at(place: &BackupId, bytes: &[u8]) -> Result<Manifest, NoDocument> {
    let manifest: Manifest = read(bytes)?;
    let said = manifest.id();
    if said == *place {
        return Ok(manifest);
    }
    Err(NoDocument::Misplaced { said: said.to_string(), place: place.to_string() })
}

/// What a snapshot is of. Its existence says that the snapshot came over whole and was stored whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The backup's name.
    pub name: BackupName,
    /// The cluster by etcd's own ID.
    pub cluster_id: ClusterId,
    /// The member that it was taken from.
    pub member_id: MemberId,
    /// The version of etcd that this member ran.
    pub etcd_version: EtcdVersion,
    /// The schedule that it was taken by, as `namespace/name`: only its retention ever deletes it. Nothing of one taken by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// What the attempts of one Job have in common: one that was not proved goes when the next one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it was asked for. Every write acknowledged before is in it.
    pub asked_for_at: Timestamp,
    /// When the snapshot was stored.
    pub stored_at: Timestamp,
    /// Whether users and roles were in force: they are in the snapshot, and so they are after a restore.
    pub authentication: bool,
    /// A revision that the snapshot has, and the hash of the data up to it, by the member that it was taken from.
    pub data: Hash,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The key of age that the snapshot is encrypted for; nothing if it is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_for: Option<Recipient>,
    /// The program that wrote it.
    pub written_by: String,
}

/// etcd's hash of all keys and values up to a revision (HashKV).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hash {
    /// Up to this revision.
    pub revision: i64,
    /// What was before this one has been compacted away.
    pub compact_revision: i64,
    /// The hash.
    pub hash: u32,
}

/// The object with the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Its length as it lies in the store, compressed and perhaps encrypted.
    pub stored_bytes: u64,
    /// The SHA-256 of these bytes.
    pub stored_sha256: String,
    /// Its length as etcd sent it, with the digest at its end.
    pub bytes: u64,
    /// The SHA-256 of the database, which etcd appended.
    pub database_sha256: String,
}

/// That a backup was restored into an etcd of its minor, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The backup's name.
    pub name: BackupName,
    /// When.
    pub proved_at: Timestamp,
    /// The version of etcd that it was restored into.
    pub etcd_version: EtcdVersion,
    /// The very last revision in it.
    pub revision: i64,
    /// How many keys there are at that revision; nothing where users and roles are in force and no user was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// The hash of what was restored, up to the revision in the manifest.
    pub data: Hash,
    /// The program that wrote it.
    pub written_by: String,
}

/// An upload that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// The store's ID of it; nothing for a folder, which knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// What all attempts of the same work have in common, as in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it began.
    pub began_at: Timestamp,
    /// When whoever began it gives it up at the latest.
    pub given_up_at: Timestamp,
    /// The program that wrote it.
    pub written_by: String,
}

impl Document for Manifest {
    const PART: Part = Part::Manifest;

    fn version(&self) -> u32 {
        if self.encrypted_for.is_some() { ENCRYPTED } else { FIRST }
    }
}

impl Document for Proof {
    const PART: Part = Part::Proof;
}

impl Document for Upload {
    const PART: Part = Part::Upload;
}

impl Manifest {
    /// Where it belongs.
    pub fn id(&self) -> BackupId {
        BackupId { cluster: self.cluster_id, name: self.name.clone() }
    }
}

impl From<DataHash> for Hash {
    fn from(hash: DataHash) -> Hash {
        let DataHash { revision, compact_revision, hash } = hash;
        Hash { revision, compact_revision, hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::tests::manifest;

    #[test]
    fn builds_that_know_nothing_of_encryption_refuse_what_is_encrypted_and_read_all_else() {
        let plain = manifest("20261130t133500z-abcde", "2026-11-30T13:35:00Z", 48_121);
        let encrypted = Manifest { encrypted_for: Some(Recipient("age1key".to_owned())), ..plain.clone() };
        for (manifest, version) in [(plain, 1), (encrypted, 2)] {
            let text = write(&manifest);
            assert!(text.contains(&format!("\"version\": {version}")), "{text}");
            assert_eq!(read::<Manifest>(text.as_bytes()).unwrap(), manifest);
            let later = text.replacen(&format!("\"version\": {version}"), "\"version\": 3", 1);
            let refused = read::<Manifest>(later.as_bytes()).unwrap_err().to_string();
            assert_eq!(refused, "it is of version 3 of the format; this build reads 2: use a later one");
        }
    }
}
