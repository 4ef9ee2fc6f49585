//! What happens to an object's metadata, status and generation on its way into the store.
//!
//! Follows the `PrepareForCreate` and `PrepareForUpdate` strategies of Kubernetes' registries. Pure.

use serde_json::{Map, Value, json};

use super::cluster::{Inputs, Target};
use super::definition::{Definition, Shape};
use super::error::{ApiError, Cause};
use super::json::{list, object, set_or_remove, text};

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

/// Keeps what this request may not change: the server's metadata, and spec or status depending on the subresource.
pub(crate) fn prepare_update(target: &Target, old: &Value, new: &mut Value) {
    if target.subresource.as_deref() == Some("status") {
        let status = new.get("status").cloned();
        let managed = new.pointer("/metadata/managedFields").cloned();
        *new = old.clone();
        set_or_remove(object(new, "metadata"), "managedFields", managed);
        set_or_remove(new.as_object_mut().expect("a stored object is an object"), "status", status);
        return;
    }
    let old_metadata = old["metadata"].as_object().cloned().unwrap_or_default();
    let metadata = object(new, "metadata");
    for field in SYSTEM_METADATA.into_iter().chain(["selfLink", "resourceVersion"]) {
        set_or_remove(metadata, field, old_metadata.get(field).cloned());
    }
    if has_status(target) {
        let status = old.get("status").cloned();
        set_or_remove(new.as_object_mut().expect("a decoded object is an object"), "status", status);
    }
    if tracks_generation(&target.definition) && content(target, old) != content(target, new) {
        let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0) + 1;
        new["metadata"]["generation"] = json!(generation);
    }
}

/// Finalizers can't be added to an object that is being deleted.
pub(crate) fn check_metadata_update(old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.pointer("/metadata/deletionTimestamp").is_some() {
        let had: Vec<&Value> = list(old.pointer("/metadata/finalizers")).collect();
        let added: Vec<&Value> =
            list(new.pointer("/metadata/finalizers")).filter(|finalizer| !had.contains(finalizer)).collect();
        if !added.is_empty() {
            let shown = added.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let why = "no new finalizers can be added if the object is being deleted, found new finalizers";
            causes.push(Cause::forbidden("metadata.finalizers", &format!("{why} []string{{{shown}}}")));
        }
    }
    causes
}

/// The uid and resourceVersion that a written object carries are preconditions.
pub(crate) fn check_preconditions(target: &Target, old: &Value, sent: &Value) -> Result<(), ApiError> {
    let id = &target.definition.id;
    let name = text(old, "/metadata/name");
    let (sent_uid, uid) = (text(sent, "/metadata/uid"), text(old, "/metadata/uid"));
    if !sent_uid.is_empty() && sent_uid != uid {
        let why = format!("Precondition failed: UID in precondition: {sent_uid}, UID in object meta: {uid}");
        return Err(ApiError::conflict(id, name, &why));
    }
    let (sent_version, version) =
        (text(sent, "/metadata/resourceVersion"), text(old, "/metadata/resourceVersion"));
    if !sent_version.is_empty() && sent_version != "0" && sent_version != version {
        return Err(ApiError::modified(id, name));
    }
    Ok(())
}

/// Whether two states differ in anything but the times in `managedFields`.
pub(crate) fn same(old: &Value, new: &Value) -> bool {
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
    const WITH_GENERATION: [(&str, &str); 10] = [
        ("", "pods"),
        ("apps", "statefulsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
        ("policy", "poddisruptionbudgets"),
        ("networking.k8s.io", "networkpolicies"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
    ];
    definition.is_custom() || WITH_GENERATION.iter().any(|(group, resource)| definition.is(group, resource))
}

fn content(target: &Target, object: &Value) -> Map<String, Value> {
    let mut content = object.as_object().cloned().unwrap_or_default();
    for member in ["apiVersion", "kind", "metadata"] {
        content.remove(member);
    }
    if has_status(target) {
        content.remove("status");
    }
    content
}

fn drop_member(value: &mut Value, member: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(member);
    }
}
