//! What a store holds, read for people and programs. What cannot be read is named, and hides nothing else.

use super::store::{DocumentError, Store, StoreError};
use etcd_operator_core::backup::inventory::{Backup, Inventory};
use etcd_operator_core::backup::layout::Part;
use etcd_operator_core::backup::manifest::{Manifest, Proof};
use etcd_operator_core::backup::proof::is_of;
use etcd_operator_core::cluster::render::quantity::for_people;
use serde::Serialize;

/// All backups of a store.
#[derive(Debug)]
pub struct Listed {
    /// Those that can be read, by cluster and name.
    pub backups: Vec<Backup>,
    /// What cannot be read, and why.
    pub unreadable: Vec<DocumentError>,
    /// All that lies there, by place.
    pub places: Inventory,
}

/// Reads all manifests and proofs.
pub async fn list(store: &Store) -> Result<Listed, StoreError> {
    let places = store.list().await?;
    let (mut backups, mut unreadable) = (Vec::new(), Vec::new());
    for id in places.backups() {
        let manifest = match store.manifest(id).await {
            Ok(Some(manifest)) => manifest,
            // Deleted meanwhile.
            Ok(None) => continue,
            // A store that fails says nothing of what lies in it: another backup is no answer.
            Err(DocumentError::Store(error)) => return Err(error),
            Err(error) => {
                unreadable.push(error);
                continue;
            }
        };
        let has_proof = places.folders[id].contains(&Part::Proof);
        let proof = if has_proof { store.document(id).await } else { Ok(None) };
        let proof = match proof {
            Ok(proof) => proof.filter(|proof| is_of(&manifest, proof)),
            Err(DocumentError::Store(error)) => return Err(error),
            Err(error) => {
                unreadable.push(error);
                None
            }
        };
        backups.push(Backup { manifest, proof });
    }
    Ok(Listed { backups, unreadable, places })
}

/// A table for people.
pub fn table(backups: &[Backup]) -> String {
    let head = ["NAME", "CLUSTER", "ETCD", "REVISION", "SIZE", "STORED", "PROVED", "KEYS"].map(str::to_owned);
    let rows = backups.iter().map(|backup| {
        let Backup { manifest, proof } = backup;
        let of_proof = |said: &dyn Fn(&Proof) -> String| proof.as_ref().map_or("-".to_owned(), said);
        let keys = proof.as_ref().and_then(|proof| proof.keys);
        [
            manifest.name.to_string(),
            manifest.cluster_id.to_string(),
            manifest.etcd_version.to_string(),
            manifest.data.revision.to_string(),
            for_people(manifest.snapshot.bytes),
            for_people(manifest.snapshot.stored_bytes),
            of_proof(&|proof| format!("{:.0}", proof.proved_at)),
            keys.map_or("-".to_owned(), |keys| keys.to_string()),
        ]
    });
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..8).map(width).collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The same for programs: one document, a list.
pub fn json(backups: &[Backup]) -> String {
    #[derive(Serialize)]
    struct Item<'a> {
        manifest: &'a Manifest,
        proof: &'a Option<Proof>,
    }
    let items: Vec<Item<'_>> =
        backups.iter().map(|Backup { manifest, proof }| Item { manifest, proof }).collect();
    serde_json::to_string_pretty(&items).expect("plain fields are JSON") + "\n"
}
