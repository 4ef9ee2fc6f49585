//! Builds single changes: patches and deletions with their preconditions. Never decides which.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::{Action, Delete, Kind, Patch, PatchOperation, PatchPurpose, Target};
use crate::cluster::render::compare::escape;
use crate::cluster::target;
use crate::cluster::world::Keeper;
use crate::names::{ANNOTATION_FINGERPRINT, ANNOTATION_PREVIOUS_TARGET, ANNOTATION_VERSION, CLUSTER_UID};

/// The live object as a target.
pub(super) fn target(kind: Kind, object: &impl Resource) -> Target {
    Target {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

/// The live object that keeps a member's record, as a target.
pub(super) fn target_of_keeper(keeper: Keeper<'_>) -> Target {
    match keeper {
        Keeper::Claim(claim) => target(Kind::PersistentVolumeClaim, claim),
        Keeper::StatefulSet(live) => target(Kind::StatefulSet, live),
    }
}

/// A patch that is sent only to the object that was seen.
pub(super) fn patch(target: Target, operations: Vec<PatchOperation>, purpose: PatchPurpose) -> Action {
    let same_object = PatchOperation::Test { path: "/metadata/uid".to_owned(), value: json!(target.uid) };
    let operations = [vec![same_object], operations].concat();
    Action::Patch(Patch { target, operations, purpose })
}

/// Deletes the object that was seen.
pub(super) fn delete(kind: Kind, object: &impl Resource, because: &str) -> Action {
    Action::Delete(Delete {
        target: target(kind, object),
        resource_version: None,
        grace_period_seconds: None,
        because: because.to_owned(),
    })
}

/// The test that nobody has written to the object since it was seen.
pub(crate) fn unchanged(metadata: &ObjectMeta) -> PatchOperation {
    PatchOperation::Test {
        path: "/metadata/resourceVersion".to_owned(),
        value: json!(metadata.resource_version.clone().unwrap_or_default()),
    }
}

/// Sets annotations, whether or not the object has any.
pub(super) fn annotate(metadata: &ObjectMeta, values: &BTreeMap<String, String>) -> Vec<PatchOperation> {
    set_entries("/metadata/annotations", metadata.annotations.as_ref(), values)
}

/// Sets labels, whether or not the object has any.
pub(super) fn label(metadata: &ObjectMeta, values: &BTreeMap<String, String>) -> Vec<PatchOperation> {
    set_entries("/metadata/labels", metadata.labels.as_ref(), values)
}

fn set_entries(
    path: &str,
    present: Option<&BTreeMap<String, String>>,
    values: &BTreeMap<String, String>,
) -> Vec<PatchOperation> {
    if present.is_none_or(BTreeMap::is_empty) {
        return vec![PatchOperation::Add { path: path.to_owned(), value: json!(values) }];
    }
    let set = |(key, value): (&String, &String)| PatchOperation::Add {
        path: format!("{path}/{}", escape(key)),
        value: Value::String(value.clone()),
    };
    values.iter().map(set).collect()
}

/// Takes one annotation away, which must be there.
pub(super) fn remove_annotation(key: &str) -> PatchOperation {
    PatchOperation::Remove { path: format!("/metadata/annotations/{}", escape(key)) }
}

/// Takes one label away, which must be there.
pub(super) fn remove_label(key: &str) -> PatchOperation {
    PatchOperation::Remove { path: format!("/metadata/labels/{}", escape(key)) }
}

/// The test that an annotation still says what was seen.
pub(super) fn annotation_is(key: &str, value: &str) -> PatchOperation {
    PatchOperation::Test {
        path: format!("/metadata/annotations/{}", escape(key)),
        value: Value::String(value.to_owned()),
    }
}

/// Records what a member should run from now on; what follows is rendered from that. With it, what the member ran well
/// before, by its digest.
pub(super) fn set_target(
    keeper: Keeper<'_>,
    wanted: &target::Target,
    previous: Option<String>,
    because: &str,
) -> Action {
    let mut annotations = BTreeMap::from([
        (keeper.target_key().to_owned(), wanted.to_annotation()),
        (ANNOTATION_VERSION.to_owned(), wanted.version.to_string()),
    ]);
    annotations.extend(previous.map(|digest| (ANNOTATION_PREVIOUS_TARGET.to_owned(), digest)));
    let operations = annotate(keeper.metadata(), &annotations);
    let purpose = PatchPurpose::SetTarget { because: because.to_owned() };
    patch(target_of_keeper(keeper), operations, purpose)
}

/// Those of the wanted entries that are missing or different.
pub(super) fn differing(
    present: Option<&BTreeMap<String, String>>,
    wanted: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let is_there = |key: &String, value: &String| present.and_then(|present| present.get(key)) == Some(value);
    wanted.into_iter().filter(|(key, value)| !is_there(key, value)).collect()
}

/// Whether an object bears the label by which objects are told apart now. One that does not was made by an earlier operator, and gets
/// it without anybody having changed anything.
pub(super) fn bears_uid(metadata: &ObjectMeta) -> bool {
    metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(CLUSTER_UID))
}

/// What a change of a rendered object is for. If the digest on the live object is the one that would be written, then what
/// differs is somebody else's doing.
pub(super) fn purpose(fields: Vec<String>, digest_is_current: bool) -> PatchPurpose {
    if digest_is_current {
        return PatchPurpose::Restore { fields };
    }
    let only_the_digest = || vec![format!("/metadata/annotations/{}", escape(ANNOTATION_FINGERPRINT))];
    let fields = if fields.is_empty() { only_the_digest() } else { fields };
    PatchPurpose::Follow { fields }
}
