//! Manifests and proofs for the tests of this folder. It tests nothing itself.

use super::manifest::{Hash, Manifest, Proof, Snapshot};
use super::name::BackupName;
use crate::cluster::desired::EtcdVersion;
use crate::names::{ClusterId, MemberId};

const VERSION: EtcdVersion = EtcdVersion { major: 3, minor: 6, patch: 16 };

/// The manifest of a backup of one and the same cluster.
pub(crate) fn manifest(name: &str, asked_for: &str, revision: i64) -> Manifest {
    let asked_for_at = asked_for.parse().expect("a moment");
    Manifest {
        name: BackupName::parse(name).expect("a name"),
        cluster_id: ClusterId(0xcdf8_1819_4e3a_8c32),
        member_id: MemberId(0x8e9e_05c5_2164_694d),
        etcd_version: VERSION,
        schedule: None,
        run: None,
        asked_for_at,
        stored_at: asked_for_at,
        authentication: false,
        data: Hash { revision, compact_revision: 1, hash: 0xabcd_ef01 },
        snapshot: Snapshot {
            stored_bytes: 123_456_789,
            stored_sha256: "0".repeat(64),
            bytes: 234_567_890,
            database_sha256: "1".repeat(64),
        },
        encrypted_for: None,
        written_by: "etcd-operator 0.1.0".to_owned(),
    }
}

/// A proof of it.
pub(crate) fn proof(manifest: &Manifest) -> Proof {
    Proof {
        name: manifest.name.clone(),
        proved_at: manifest.stored_at,
        etcd_version: VERSION,
        revision: manifest.data.revision,
        keys: Some(5307),
        data: manifest.data,
        written_by: manifest.written_by.clone(),
    }
}
