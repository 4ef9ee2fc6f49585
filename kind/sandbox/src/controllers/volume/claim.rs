//! The way of a claim: default class, a fitting volume or a new one, bound, grown, lost. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, ObjectReference, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimStatus, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{
    BIND_COMPLETED, BOUND_BY_CONTROLLER, DEFAULT_CLASS_ANNOTATION, DRIVER, PROVISIONED_BY, VOLUME_PROTECTION,
    class_name, is_bound_completely, names_claim, volume_name,
};
use crate::controllers::pods::selects;
use crate::controllers::quantity::thousandths;
use crate::controllers::snapshot::Snapshot;
use crate::controllers::write::{Announcement, Severity, Write};

/// The next step of one claim, if there is one to take.
pub(super) fn advance(snapshot: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Write> {
    if phase(claim) == Some("Lost") {
        return None;
    }
    match volume_name(claim) {
        Some(name) => follow_volume(snapshot, claim, snapshot.volumes.get("", name)),
        None if claim.metadata.deletion_timestamp.is_some() => None,
        None => find_volume(snapshot, claim),
    }
}

fn phase(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.status.as_ref()?.phase.as_deref()
}

/// A claim that names its volume: bound to it, or waiting for it, or without it for ever.
fn follow_volume(
    snapshot: &Snapshot,
    claim: &PersistentVolumeClaim,
    volume: Option<&Arc<PersistentVolume>>,
) -> Option<Write> {
    let Some(volume) = volume else {
        return if is_bound_completely(claim) {
            lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        } else {
            pend(claim)
        };
    };
    let is_free = volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_none());
    if is_free && !is_bound_completely(claim) {
        return reserve(volume, claim);
    }
    if !names_claim(volume, claim) {
        return if is_bound_completely(claim) {
            lose(
                claim,
                "ClaimMisbound",
                "Two claims are bound to the same volume, this one is bound incorrectly",
            )
        } else {
            pend(claim)
        };
    }
    complete(claim, volume).or_else(|| grow(snapshot, claim, volume))
}

fn lose(claim: &PersistentVolumeClaim, reason: &'static str, message: &str) -> Option<Write> {
    let mut lost = claim.clone();
    lost.status = Some(PersistentVolumeClaimStatus {
        phase: Some("Lost".into()),
        ..PersistentVolumeClaimStatus::default()
    });
    Write::update_status(claim, &lost).map(|write| write.warn(claim, reason, message))
}

fn pend(claim: &PersistentVolumeClaim) -> Option<Write> {
    let mut pending = claim.clone();
    pending.status.get_or_insert_default().phase = Some("Pending".into());
    Write::update_status(claim, &pending)
}

/// A claim without a volume: takes the class, then a volume that reserved itself for it, a fitting one, or a new one.
fn find_volume(snapshot: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Write> {
    let Some(class) = class_name(claim) else {
        return default_class_for(snapshot, claim).or_else(|| pend(claim));
    };
    if let Some(volume) = snapshot.volumes.iter().find(|volume| names_claim(volume, claim)) {
        return reserve(volume, claim).or_else(|| point(claim, volume));
    }
    if let Some(volume) = smallest_fitting(snapshot, claim, class) {
        return reserve(volume, claim);
    }
    let class = snapshot.storage_classes.get("", class).filter(|class| class.provisioner == DRIVER);
    match class.filter(|class| !waits_for_a_pod(snapshot, class, claim)) {
        Some(class) => Some(provision(claim, class)),
        None => pend(claim),
    }
}

/// What users are told of a claim that has no volume and gets none now.
pub(super) fn why_unbound(snapshot: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Announcement> {
    if volume_name(claim).is_some()
        || claim.metadata.deletion_timestamp.is_some()
        || phase(claim) == Some("Lost")
    {
        return None;
    }
    let about =
        |severity, reason, message: String| Some(Announcement::about(claim, severity, reason, message));
    let Some(name) = class_name(claim).filter(|name| !name.is_empty()) else {
        let message = "no persistent volumes available for this claim and no storage class is set";
        return about(Severity::Normal, "FailedBinding", message.to_owned());
    };
    let Some(class) = snapshot.storage_classes.get("", name) else {
        let message = format!("storageclass.storage.k8s.io {name:?} not found");
        return about(Severity::Warning, "ProvisioningFailed", message);
    };
    if class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer") {
        if !waits_for_a_pod(snapshot, class, claim) {
            return None;
        }
        let message = "waiting for first consumer to be created before binding";
        return about(Severity::Normal, "WaitForFirstConsumer", message.to_owned());
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
        class.provisioner
    );
    about(Severity::Normal, "ExternalProvisioning", message)
}

fn waits_for_a_pod(snapshot: &Snapshot, class: &StorageClass, claim: &PersistentVolumeClaim) -> bool {
    let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
    let waits = class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer");
    waits && !snapshot.pods.in_namespace(namespace).any(|pod| super::protection::uses(pod, claim))
}

fn default_class_for(snapshot: &Snapshot, claim: &PersistentVolumeClaim) -> Option<Write> {
    let is_default = |class: &&Arc<StorageClass>| {
        class.annotations().get(DEFAULT_CLASS_ANNOTATION).is_some_and(|value| value == "true")
    };
    let class = snapshot.storage_classes.iter().find(is_default)?;
    let mut classed = claim.clone();
    classed.spec.get_or_insert_default().storage_class_name = class.metadata.name.clone();
    Write::update(claim, &classed)
}

fn smallest_fitting<'a>(
    snapshot: &'a Snapshot,
    claim: &PersistentVolumeClaim,
    class: &str,
) -> Option<&'a Arc<PersistentVolume>> {
    let spec = claim.spec.as_ref()?;
    let asked = thousandths(requested(claim)?)?;
    let fits = |volume: &&Arc<PersistentVolume>| {
        let Some(held) = volume.spec.as_ref() else { return false };
        let modes = held.access_modes.clone().unwrap_or_default();
        held.claim_ref.is_none()
            && volume.metadata.deletion_timestamp.is_none()
            && held.storage_class_name.as_deref().unwrap_or_default() == class
            && spec.access_modes.iter().flatten().all(|mode| modes.contains(mode))
            && spec.selector.as_ref().is_none_or(|selector| selects(Some(selector), &volume.metadata))
            && capacity(volume).and_then(thousandths).is_some_and(|size| size >= asked)
    };
    snapshot.volumes.iter().filter(fits).min_by_key(|volume| capacity(volume).and_then(thousandths))
}

fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

fn capacity(volume: &PersistentVolume) -> Option<&Quantity> {
    volume.spec.as_ref()?.capacity.as_ref()?.get("storage")
}

/// Writes the claim into the volume, so that no other claim can take it.
fn reserve(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Write> {
    let mut reserved = volume.clone();
    let spec = reserved.spec.get_or_insert_default();
    let by_user = spec.claim_ref.is_some();
    let held = spec.claim_ref.take().unwrap_or_default();
    spec.claim_ref =
        Some(ObjectReference { resource_version: held.resource_version, ..claim_reference(claim) });
    if !by_user {
        reserved.annotations_mut().insert(BOUND_BY_CONTROLLER.into(), "yes".into());
    }
    Write::update(volume, &reserved)
}

fn claim_reference(claim: &PersistentVolumeClaim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("PersistentVolumeClaim".into()),
        namespace: claim.metadata.namespace.clone(),
        name: claim.metadata.name.clone(),
        uid: claim.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// Writes the volume into the claim.
fn point(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Write> {
    let mut pointed = claim.clone();
    if volume_name(claim).is_none() {
        pointed.annotations_mut().insert(BOUND_BY_CONTROLLER.into(), "yes".into());
    }
    pointed.annotations_mut().insert(BIND_COMPLETED.into(), "yes".into());
    pointed.spec.get_or_insert_default().volume_name = volume.metadata.name.clone();
    Write::update(claim, &pointed)
}

/// Completes the binding on the claim's side: annotations, then the status.
fn complete(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Write> {
    if let Some(write) = reserve_uid(volume, claim).or_else(|| point(claim, volume)) {
        return Some(write);
    }
    if phase(claim) == Some("Bound") {
        return None;
    }
    let mut bound = claim.clone();
    let spec = volume.spec.clone().unwrap_or_default();
    let status = bound.status.get_or_insert_default();
    status.phase = Some("Bound".into());
    status.access_modes = spec.access_modes;
    status.capacity = spec.capacity;
    Write::update_status(claim, &bound)
}

fn reserve_uid(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Write> {
    let reference = volume.spec.as_ref()?.claim_ref.as_ref()?;
    if reference.uid.is_some() { None } else { reserve(volume, claim) }
}

/// Makes the volume as large as the claim asks, then the claim's status say so.
fn grow(snapshot: &Snapshot, claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Write> {
    let asked = requested(claim)?;
    let held = capacity(volume)?;
    let may_grow = class_name(claim).and_then(|class| snapshot.storage_classes.get("", class));
    let may_grow = may_grow
        .is_some_and(|class| class.allow_volume_expansion == Some(true) && class.provisioner == DRIVER);
    if may_grow && thousandths(asked)? > thousandths(held)? {
        let mut grown = volume.clone();
        let spec = grown.spec.get_or_insert_default();
        spec.capacity.get_or_insert_default().insert("storage".into(), asked.clone());
        return Write::update(volume, &grown);
    }
    let mut told = claim.clone();
    told.status.get_or_insert_default().capacity = volume.spec.as_ref()?.capacity.clone();
    let message = format!("Volume {} has {}", volume.name_any(), held.0);
    Write::update_status(claim, &told).map(|write| write.announce(claim, "VolumeResizeSuccessful", message))
}

fn provision(claim: &PersistentVolumeClaim, class: &StorageClass) -> Write {
    let name = format!("pvc-{}", claim.uid().unwrap_or_default());
    let spec = claim.spec.clone().unwrap_or_default();
    let volume = PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            annotations: Some([(PROVISIONED_BY.into(), DRIVER.into())].into()),
            finalizers: Some(vec![VOLUME_PROTECTION.into()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: spec.resources.and_then(|resources| resources.requests),
            claim_ref: Some(claim_reference(claim)),
            csi: Some(CSIPersistentVolumeSource {
                driver: DRIVER.into(),
                volume_handle: name.clone(),
                ..CSIPersistentVolumeSource::default()
            }),
            mount_options: class.mount_options.clone(),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone().or(Some("Delete".into())),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    };
    Write::create(&volume).announce(
        claim,
        "ProvisioningSucceeded",
        format!("Successfully provisioned volume {name}"),
    )
}
