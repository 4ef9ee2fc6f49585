//! Finalizers that keep a claim while a pod uses it, and a volume while it is bound. Pure.
//! Rules: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection>.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};

use super::{CLAIM_PROTECTION, VOLUME_PROTECTION};
use crate::controllers::snapshot::{Snapshot, Stored};
use crate::controllers::write::Write;

/// The change of the claim's finalizer that is due.
pub(super) fn of_claim(snapshot: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Write> {
    if claim.metadata.deletion_timestamp.is_none() {
        return add(claim, CLAIM_PROTECTION);
    }
    let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
    // A pod that was never bound can't have mounted anything, and will not be bound to a claim that is leaving.
    let is_bound = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let is_used = snapshot.pods.in_namespace(namespace).any(|pod| is_bound(pod) && uses(pod, claim));
    if is_used { None } else { remove(claim, CLAIM_PROTECTION) }
}

/// The change of the volume's finalizer that is due.
pub(super) fn of_volume(volume: &PersistentVolume) -> Option<Write> {
    if volume.metadata.deletion_timestamp.is_none() {
        return add(volume, VOLUME_PROTECTION);
    }
    let is_bound = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    if is_bound { None } else { remove(volume, VOLUME_PROTECTION) }
}

/// Whether the pod names the claim.
pub(super) fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut sources = volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref());
    sources.any(|source| Some(&source.claim_name) == claim.metadata.name.as_ref())
}

fn add<K: Stored>(object: &K, finalizer: &str) -> Option<Write> {
    let mut protected = object.clone();
    let finalizers = protected.meta_mut().finalizers.get_or_insert_default();
    if !finalizers.iter().any(|held| held == finalizer) {
        finalizers.push(finalizer.to_owned());
    }
    Write::update(object, &protected)
}

fn remove<K: Stored>(object: &K, finalizer: &str) -> Option<Write> {
    let mut released = object.clone();
    let finalizers = released.meta_mut().finalizers.get_or_insert_default();
    finalizers.retain(|held| held != finalizer);
    if finalizers.is_empty() {
        released.meta_mut().finalizers = None;
    }
    Write::update(object, &released)
}
