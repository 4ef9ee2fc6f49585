//! What happens to an object's metadata, status and generation on its way into the store.
//!
//! Follows the `PrepareForCreate` and `PrepareForUpdate` strategies of Kubernetes' registries. Pure.

use serde_json::{Map, Value, json};

use super::cluster::{Inputs, Target};
use super::defects::Defect;
use super::definition::{Definition, Shape};
use super::error::{ApiError, Cause};
use super::json::{drop_member, list, object, set_or_remove, text};

/// Metadata that only the server writes.
const SYSTEM_METADATA: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
];

/// Gives a new object its identity. `name` is decided by the caller.
pub(crate) fn prepare_create(target: &Target, inputs: &mut Inputs<'_>, new: &mut Value) {
    let now = inputs.now_text();
    let metadata = object(new, "metadata");
    for field in
        ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"]
    {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), Value::String(inputs.identifiers.uid()));
    metadata.insert("creationTimestamp".to_owned(), now);
    if tracks_generation(&target.definition) {
        metadata.insert("generation".to_owned(), json!(1));
    }
    if has_status(target) {
        drop_member(new, "status");
    }
}

/// Keeps what this request may not change: spec or status, depending on the subresource, and for some kinds part of the
/// metadata. A status of a built-in kind brings its metadata along, that of a custom resource does not.
pub(crate) fn prepare_update(target: &Target, old: &Value, new: &mut Value) {
    let is_status = target.subresource.as_deref() == Some("status");
    if is_status && target.definition.is_custom() {
        let status = new.get("status").cloned();
        let managed = new.pointer("/metadata/managedFields").cloned();
        *new = old.clone();
        set_or_remove(object(new, "metadata"), "managedFields", managed);
        set_or_remove(new.as_object_mut().expect("a stored object is an object"), "status", status);
        return;
    }
    for pointer in kept_by_status(target).iter().filter(|_| is_status) {
        let parts: Vec<&str> = pointer.split('.').collect();
        let (parent, kept) = match parts.as_slice() {
            [parent, member] => (object(new, parent), (*member, old[*parent].get(*member).cloned())),
            _ => (
                new.as_object_mut().expect("a decoded object is an object"),
                (*pointer, old.get(*pointer).cloned()),
            ),
        };
        set_or_remove(parent, kept.0, kept.1);
    }
    if !is_status && has_status(target) && !Defect::StatusWrittenByMainPath.is_planted() {
        let status = old.get("status").cloned();
        set_or_remove(new.as_object_mut().expect("a decoded object is an object"), "status", status);
    }
}

/// What a write of a status leaves as it is, member by member.
pub(crate) fn kept_by_status(target: &Target) -> &'static [&'static str] {
    let id = &target.definition.id;
    match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => &["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"],
        ("apps", "deployments") => &["spec", "metadata.labels"],
        _ => &["spec"],
    }
}

/// Nobody changes what the server gave an object at its creation.
pub(crate) fn keep_identity(old: &Value, new: &mut Value) {
    let metadata = object(new, "metadata");
    for field in SYSTEM_METADATA.into_iter().chain(["selfLink", "resourceVersion"]) {
        set_or_remove(metadata, field, old["metadata"].get(field).cloned());
    }
}

/// An owner that is named twice in the same words is named once.
pub(crate) fn drop_repeated_owners(new: &mut Value) {
    if let Some(owners) = new.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) {
        let mut seen = Vec::new();
        owners.retain(|owner| {
            let is_new = !seen.contains(owner);
            seen.push(owner.clone());
            is_new
        });
    }
}

/// A change of anything but metadata and status raises the generation.
pub(crate) fn raise_generation(target: &Target, old: &Value, new: &mut Value) {
    let is_status =
        target.subresource.as_deref() == Some("status") && !Defect::StatusRaisesGeneration.is_planted();
    if Defect::GenerationStays.is_planted() {
        return;
    }
    if !is_status && tracks_generation(&target.definition) && content(target, old) != content(target, new) {
        let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0) + 1;
        new["metadata"]["generation"] = json!(generation);
    }
}

/// What an update may not do to metadata: finalizers can't be added to an object that is being deleted, and what the server
/// gave it stays.
pub(crate) fn check_metadata_update(old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.pointer("/metadata/deletionTimestamp").is_some() && !Defect::FinalizersAddedLate.is_planted() {
        let had: Vec<&Value> = list(old.pointer("/metadata/finalizers")).collect();
        let added: Vec<&Value> =
            list(new.pointer("/metadata/finalizers")).filter(|finalizer| !had.contains(finalizer)).collect();
        if !added.is_empty() {
            let shown = added.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let why = "no new finalizers can be added if the object is being deleted, found new finalizers";
            causes.push(Cause::forbidden("metadata.finalizers", &format!("{why} []string{{{shown}}}")));
        }
    }
    let at =
        |object: &Value, field: &str| object["metadata"].get(field).filter(|value| !value.is_null()).cloned();
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (had, has) = (at(old, field), at(new, field));
        // What an object under deletion is missing is put back; a uid may be left out.
        let kept = has.is_none() && (field == "uid" || had.is_some())
            || field == "deletionTimestamp" && had.is_some();
        if let (false, Some(value)) = (kept || had == has, has) {
            causes.push(Cause::invalid(format!("metadata.{field}"), &value, "field is immutable"));
        }
    }
    causes
}

/// The uid of an object that is sent whole is a precondition; a real server says so in the words of its storage.
pub(crate) fn check_uid(target: &Target, old: &Value, sent: &Value) -> Result<(), ApiError> {
    let (sent_uid, uid) = (text(sent, "/metadata/uid"), text(old, "/metadata/uid"));
    if sent_uid.is_empty() || sent_uid == uid {
        return Ok(());
    }
    let (id, name) = (&target.definition.id, text(old, "/metadata/name"));
    let folder = match (target.definition.is_custom(), id.resource.as_str()) {
        (true, resource) => format!("{}/{resource}", id.group),
        (false, "services") => "services/specs".to_owned(),
        (false, resource) => resource.to_owned(),
    };
    let namespace = target.namespace.as_deref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{namespace}{name}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {sent_uid}, UID in object meta: {uid}"
    );
    Err(ApiError::conflict(id, name, &why))
}

/// The resourceVersion that a written object carries is a precondition.
pub(crate) fn check_preconditions(target: &Target, old: &Value, sent: &Value) -> Result<(), ApiError> {
    let id = &target.definition.id;
    let name = text(old, "/metadata/name");
    let (sent_version, version) =
        (text(sent, "/metadata/resourceVersion"), text(old, "/metadata/resourceVersion"));
    let old_is_fine = Defect::OldVersionAccepted.is_planted();
    if !sent_version.is_empty() && sent_version != "0" && sent_version != version && !old_is_fine {
        return Err(ApiError::modified(id, name));
    }
    Ok(())
}

/// Whether two states differ in anything but the times in `managedFields`; those count only where somebody scales.
pub(crate) fn same(target: &Target, old: &Value, new: &Value) -> bool {
    if Defect::NoOpRaisesVersion.is_planted() {
        return false;
    }
    if target.subresource.as_deref() == Some("scale") {
        return old == new;
    }
    fn without_times(value: &Value) -> Value {
        let mut value = value.clone();
        let managed = value.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in managed.into_iter().flatten() {
            drop_member(entry, "time");
        }
        value
    }
    without_times(old) == without_times(new)
}

/// Whether `status` has a subresource in the version spoken.
pub(crate) fn has_status(target: &Target) -> bool {
    match &target.definition.shape {
        Shape::BuiltIn(_) => target.definition.status,
        Shape::Custom(schema) => schema.versions.get(&target.version).is_some_and(|version| version.status),
    }
}

fn tracks_generation(definition: &Definition) -> bool {
    const WITH_GENERATION: [(&str, &str); 12] = [
        ("", "pods"),
        ("apps", "statefulsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
        ("policy", "poddisruptionbudgets"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("networking.k8s.io", "networkpolicies"),
        ("discovery.k8s.io", "endpointslices"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
    ];
    definition.is_custom() || WITH_GENERATION.iter().any(|(group, resource)| definition.is(group, resource))
}

fn content(target: &Target, object: &Value) -> Map<String, Value> {
    let mut content = object.as_object().cloned().unwrap_or_default();
    for member in ["apiVersion", "kind", "metadata"] {
        content.remove(member);
    }
    if target.definition.is("discovery.k8s.io", "endpointslices") {
        // Proxies are told by the labels whose endpoints these are.
        content.insert("labels".to_owned(), object["metadata"]["labels"].clone());
    }
    if has_status(target) && !Defect::StatusRaisesGeneration.is_planted() {
        content.remove("status");
    }
    content
}
