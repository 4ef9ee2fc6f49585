//! Volumes: claims are bound to volumes that are there or that are made for them, grow, lose their volume, and are
//! protected while a pod uses them. Pure; directories are the node's business.
//! Rules: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/>.
//!
//! A volume that is made here names a driver and a handle. The node keeps the directory `volumes/<handle>` for it,
//! creates it with the first mount, and removes it once the PersistentVolume is gone from the API.

mod claim;
mod persistent;
mod protection;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::snapshot::Snapshot;
use super::write::Outcome;

/// The driver of the volumes that are made here, and the provisioner of the default class.
pub(crate) const DRIVER: &str = "directory.sandbox.local";
/// The name of the default class.
pub(crate) const DEFAULT_CLASS: &str = "standard";
/// The name of another class, for those who move from one to another.
const OTHER_CLASS: &str = "fast";

const DEFAULT_CLASS_ANNOTATION: &str = "storageclass.kubernetes.io/is-default-class";
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Brings claims and volumes one step further.
pub(crate) fn reconcile(snapshot: &Snapshot, _now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for claim in snapshot.claims.iter() {
        match protection::of_claim(snapshot, claim) {
            Some(write) => outcome.push(write),
            None => match claim::advance(snapshot, claim) {
                Some(write) => outcome.push(write),
                None => outcome.remarks.extend(claim::why_unbound(snapshot, claim)),
            },
        }
    }
    for volume in snapshot.volumes.iter() {
        match protection::of_volume(volume) {
            Some(write) => outcome.push(write),
            None => outcome.writes.extend(persistent::advance(snapshot, volume)),
        }
    }
    outcome
}

/// The classes that are there from the start.
pub(crate) fn classes() -> [StorageClass; 2] {
    let mut other = default_class();
    other.metadata = ObjectMeta { name: Some(OTHER_CLASS.into()), ..ObjectMeta::default() };
    [default_class(), other]
}

/// The class that claims get which name none: volumes of plain directories, bound at once, able to grow.
pub(crate) fn default_class() -> StorageClass {
    StorageClass {
        metadata: ObjectMeta {
            name: Some(DEFAULT_CLASS.into()),
            annotations: Some([(DEFAULT_CLASS_ANNOTATION.into(), "true".into())].into()),
            ..ObjectMeta::default()
        },
        provisioner: DRIVER.into(),
        allow_volume_expansion: Some(true),
        reclaim_policy: Some("Delete".into()),
        volume_binding_mode: Some("Immediate".into()),
        ..StorageClass::default()
    }
}

/// Whether the volume says that it belongs to this very claim, or to any claim of this name.
fn names_claim(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    reference.is_some_and(|reference| {
        reference.namespace == claim.metadata.namespace
            && reference.name == claim.metadata.name
            && (reference.uid.is_none() || reference.uid == claim.metadata.uid)
    })
}

/// The name of the volume in a claim, if it has one.
fn volume_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.volume_name.as_deref().filter(|name| !name.is_empty())
}

fn class_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref()
}

fn is_bound_completely(claim: &PersistentVolumeClaim) -> bool {
    claim.annotations().contains_key(BIND_COMPLETED)
}
