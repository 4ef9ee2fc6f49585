//! The way of a volume: available, bound, released, and then kept or deleted by its reclaim policy. Pure.

use k8s_openapi::api::core::v1::PersistentVolume;

use super::{PROVISIONED_BY, names_claim};
use crate::controllers::snapshot::Snapshot;
use crate::controllers::write::Write;
use kube::ResourceExt;

/// The next step of one volume, if there is one to take.
pub(super) fn advance(snapshot: &Snapshot, volume: &PersistentVolume) -> Option<Write> {
    let phase = phase(snapshot, volume);
    let mut told = volume.clone();
    told.status.get_or_insert_default().phase = Some(phase.into());
    if let Some(write) = Write::update_status(volume, &told) {
        return Some(write);
    }
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    let is_made_here = volume.annotations().contains_key(PROVISIONED_BY);
    let is_leaving = volume.metadata.deletion_timestamp.is_some();
    let to_delete = phase == "Released" && policy == Some("Delete") && is_made_here && !is_leaving;
    to_delete.then(|| Write::delete(volume))
}

fn phase(snapshot: &Snapshot, volume: &PersistentVolume) -> &'static str {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else {
        return "Available";
    };
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    let name = reference.name.as_deref().unwrap_or_default();
    let is_there = snapshot.claims.get(namespace, name).is_some_and(|claim| names_claim(volume, claim));
    match (reference.uid.is_some(), is_there) {
        (true, true) => "Bound",
        (true, false) => "Released",
        (false, _) => "Available",
    }
}
