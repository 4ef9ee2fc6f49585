//! Deletion: grace periods, finalizers, and the garbage collection of what is owned.
//!
//! Rules: <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>. Unlike Kubernetes, collection happens
//! in the same step as the write that causes it; who watches sees the same events in the same order. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission::CUSTOM_RESOURCE_FINALIZER;
use super::cluster::{Cluster, Inputs, Target, time_text};
use super::defects::Defect;
use super::error::ApiError;
use super::json::{list, object, text};
use super::{convert, fields, quota};
use crate::store::{GroupResource, ObjectKey, owner_uids};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay, without the reference.
    Orphan,
}

/// `metav1.DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// How far a deletion came.
#[derive(Clone, Debug)]
pub(crate) enum Deletion {
    /// The object is gone; this was its last state.
    Gone(Arc<Value>),
    /// It waits for its node or for finalizers.
    Pending(Arc<Value>),
}

/// Deletes an object, or begins to.
pub(crate) fn delete(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    id: &GroupResource,
    key: &ObjectKey,
    options: &DeleteOptions,
) -> Result<Deletion, ApiError> {
    let stored = cluster.store.get(key).ok_or_else(|| ApiError::not_found(id, &key.name))?;
    let old = convert::completed(&stored);
    check_preconditions(id, &old, options)?;
    let uid = text(&old, "/metadata/uid").to_owned();
    let mut new = Value::clone(&old);
    choose_propagation(key, &mut new, options);
    let crds = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
    if key.resource == crds && has_instances(cluster, &old) {
        let finalizers = object(&mut new, "metadata").entry("finalizers").or_insert_with(|| json!([]));
        if let Some(names) =
            finalizers.as_array_mut().filter(|names| !names.contains(&json!(CUSTOM_RESOURCE_FINALIZER)))
        {
            names.push(json!(CUSTOM_RESOURCE_FINALIZER));
        }
    }
    let grace = grace_seconds(key, &old, options);
    begin(inputs, key, &mut new, grace);
    if is_finished(&new) {
        // A kind with grace periods is first marked, even if its period is nothing.
        if has_grace(key) && new != *old {
            cluster.store.put(key, new);
        }
        let last = remove(cluster, inputs, key).unwrap_or(old);
        return Ok(Deletion::Gone(last));
    }
    let stored = if new == *stored { stored } else { cluster.store.put(key, new) };
    if list(stored.pointer("/metadata/finalizers")).any(|one| one == ORPHAN) {
        orphan_dependents(cluster, inputs, &uid);
        finish_finalizer(cluster, inputs, key, &stored, "/metadata/finalizers", ORPHAN);
    }
    if key.resource == GroupResource::new("", "namespaces") {
        empty_namespace(cluster, inputs, &key.name);
    }
    if key.resource == GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions") {
        delete_instances(cluster, inputs, key, &stored);
    }
    delete_dependents_first(cluster, inputs, &uid);
    // The steps above may have finished the deletion; the caller is told of its beginning.
    Ok(Deletion::Pending(stored))
}

/// Whether nothing holds a deleted object any more: no finalizer, no grace period.
pub(crate) fn is_finished(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
        && object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0) == 0
        && (list(object.pointer("/metadata/finalizers")).next().is_none()
            || Defect::FinalizersIgnored.is_planted())
        && (object["kind"] != "Namespace" || list(object.pointer("/spec/finalizers")).next().is_none())
}

/// Removes an object from the store and follows what hung on it.
pub(crate) fn remove(cluster: &mut Cluster, inputs: &mut Inputs<'_>, key: &ObjectKey) -> Option<Arc<Value>> {
    let last = cluster.store.remove(key)?;
    let dependents = match Defect::DependentsStay.is_planted() {
        true => Vec::new(),
        false => cluster.store.dependents_of(text(&last, "/metadata/uid")),
    };
    for dependent in dependents {
        check_owners(cluster, inputs, &dependent);
    }
    for owner in owner_uids(&last).map(str::to_owned).collect::<Vec<_>>() {
        delete_dependents_first(cluster, inputs, &owner);
    }
    if let Some(namespace) = &key.namespace {
        finish_namespace(cluster, inputs, namespace);
    }
    if key.resource == GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions") {
        cluster.refresh_definition(&last, true);
    }
    finish_definition(cluster, inputs, &key.resource);
    quota::report(cluster, inputs, key, false);
    Some(last)
}

/// Deletes an object none of whose owners exists, and drops references to owners that don't.
pub(crate) fn check_owners(cluster: &mut Cluster, inputs: &mut Inputs<'_>, key: &ObjectKey) {
    let Some(found) = cluster.store.get(key) else { return };
    // What is on its way out is left to whatever holds it, with the references that it has.
    if found.pointer("/metadata/deletionTimestamp").is_some() {
        return;
    }
    let references: Vec<Value> = list(found.pointer("/metadata/ownerReferences")).cloned().collect();
    let present = |reference: &&Value| cluster.store.key_of_uid(text(reference, "/uid")).is_some();
    let kept: Vec<Value> = references.iter().filter(present).cloned().collect();
    if kept.len() == references.len() {
        return;
    }
    if kept.is_empty() {
        delete_quietly(cluster, inputs, key, Propagation::Background);
        return;
    }
    let mut object = Value::clone(&found);
    object["metadata"]["ownerReferences"] = Value::Array(kept);
    put_as_collector(cluster, inputs, key, &found, object);
}

fn delete_quietly(cluster: &mut Cluster, inputs: &mut Inputs<'_>, key: &ObjectKey, how: Propagation) {
    let options = DeleteOptions { propagation: Some(how), ..DeleteOptions::default() };
    let id = key.resource.clone();
    // The only refusal is that it is gone already, which is what we want.
    let _already_gone = delete(cluster, inputs, &id, key, &options);
}

fn check_preconditions(id: &GroupResource, old: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let name = text(old, "/metadata/name");
    let pairs = [
        ("UID", "/metadata/uid", &options.uid, "deleted and then recreated"),
        ("ResourceVersion", "/metadata/resourceVersion", &options.resource_version, "modified"),
    ];
    for (what, pointer, wanted, happened) in pairs {
        let has = text(old, pointer);
        let ignored = match what {
            "UID" => Defect::DeletionIgnoresUid.is_planted(),
            _ => Defect::DeletionIgnoresVersion.is_planted(),
        };
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != has && !ignored) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({has}). \
                 The object might have been {happened}"
            );
            // This refusal names the kind where others name the resource.
            let kind = GroupResource::new(id.group.as_str(), text(old, "/kind"));
            return Err(ApiError::conflict(&kind, name, &why));
        }
    }
    Ok(())
}

fn choose_propagation(key: &ObjectKey, new: &mut Value, options: &DeleteOptions) {
    // As in Kubernetes since its beginning, nobody who deletes a Job without saying more loses its pods.
    let by_default = if key.resource == GroupResource::new("batch", "jobs") {
        Propagation::Orphan
    } else {
        Propagation::Background
    };
    let finalizers = object(new, "metadata").entry("finalizers").or_insert_with(|| json!([]));
    let had_orphan = list(Some(finalizers)).any(|one| one == ORPHAN);
    let policy = options.propagation.unwrap_or(if had_orphan { Propagation::Orphan } else { by_default });
    let mut names: Vec<Value> = list(Some(finalizers)).filter(|one| *one != ORPHAN).cloned().collect();
    match policy {
        Propagation::Foreground if !names.iter().any(|one| one == FOREGROUND) => {
            names.push(json!(FOREGROUND))
        }
        Propagation::Foreground => {}
        Propagation::Background | Propagation::Orphan => {
            if policy == Propagation::Orphan {
                names.push(json!(ORPHAN));
            }
            // An earlier foreground deletion goes on unless this one says otherwise.
            if options.propagation.is_some() {
                names.retain(|one| one != FOREGROUND);
            }
        }
    }
    if names.is_empty() {
        object(new, "metadata").remove("finalizers");
    } else {
        new["metadata"]["finalizers"] = Value::Array(names);
    }
}

/// A change that the garbage collector makes; it takes fields away from their owners.
fn put_as_collector(
    cluster: &mut Cluster,
    inputs: &Inputs<'_>,
    key: &ObjectKey,
    old: &Value,
    mut new: Value,
) {
    if let Some(definition) = cluster.definitions.get(&key.resource).cloned() {
        let version = text(old, "/apiVersion").rsplit('/').next().unwrap_or_default().to_owned();
        let (namespace, name) = (key.namespace.clone(), Some(key.name.clone()));
        let target = Target { definition, version, namespace, name, subresource: None };
        fields::track(&target, Some(old), &mut new, "kube-controller-manager", inputs.now);
    }
    cluster.store.put(key, Value::clone(&convert::completed(&Arc::new(new))));
}

fn orphan_dependents(cluster: &mut Cluster, inputs: &Inputs<'_>, owner: &str) {
    for key in cluster.store.dependents_of(owner) {
        if let Some(found) = cluster.store.get(&key) {
            release(cluster, inputs, &key, &found, owner);
        }
    }
}

/// Takes the references to one owner off an object.
fn release(cluster: &mut Cluster, inputs: &Inputs<'_>, key: &ObjectKey, found: &Value, owner: &str) {
    let mut dependent = found.clone();
    let kept: Vec<Value> = list(found.pointer("/metadata/ownerReferences"))
        .filter(|reference| text(reference, "/uid") != owner)
        .cloned()
        .collect();
    if kept.is_empty() {
        object(&mut dependent, "metadata").remove("ownerReferences");
    } else {
        dependent["metadata"]["ownerReferences"] = Value::Array(kept);
    }
    put_as_collector(cluster, inputs, key, found, dependent);
}

/// Whether an owner is there and is not itself waiting for its dependents to go.
fn stays(cluster: &Cluster, uid: &str) -> bool {
    let found = cluster.store.key_of_uid(uid).and_then(|key| cluster.store.get(key));
    found.is_some_and(|found| {
        found.pointer("/metadata/deletionTimestamp").is_none()
            || !list(found.pointer("/metadata/finalizers")).any(|one| one == FOREGROUND)
    })
}

fn has_grace(key: &ObjectKey) -> bool {
    key.resource == GroupResource::new("", "pods")
}

/// Only pods have a grace period; one that no node runs, or that has ended, needs none.
fn grace_seconds(key: &ObjectKey, pod: &Value, options: &DeleteOptions) -> i64 {
    if !has_grace(key) {
        return 0;
    }
    if Defect::GraceIgnored.is_planted() {
        return 0;
    }
    let ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    if text(pod, "/spec/nodeName").is_empty() || ended {
        return 0;
    }
    let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
    // Less than zero means "at once", with the smallest real period.
    match options.grace_seconds.unwrap_or(own) {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

fn begin(inputs: &Inputs<'_>, key: &ObjectKey, new: &mut Value, grace: i64) {
    let before = new.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let deleting = new.pointer("/metadata/deletionTimestamp").is_some();
    if deleting && before.unwrap_or(0) <= grace {
        return;
    }
    let end = inputs.now.saturating_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(inputs.now);
    let metadata = object(new, "metadata");
    metadata.insert("deletionTimestamp".to_owned(), json!(time_text(end)));
    if key.resource != GroupResource::new("", "namespaces") {
        metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
    }
    if !deleting && let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
    if key.resource == GroupResource::new("", "namespaces") {
        new["status"]["phase"] = json!("Terminating");
    }
}

/// Goes on with a foreground deletion: dependents first, and the owner once none blocks it.
fn delete_dependents_first(cluster: &mut Cluster, inputs: &mut Inputs<'_>, owner: &str) {
    let waits = |cluster: &Cluster| -> Option<(ObjectKey, Arc<Value>)> {
        let key = cluster.store.key_of_uid(owner)?.clone();
        let found = cluster.store.get(&key)?;
        let waits = found.pointer("/metadata/deletionTimestamp").is_some()
            && list(found.pointer("/metadata/finalizers")).any(|one| one == FOREGROUND);
        waits.then_some((key, found))
    };
    if waits(cluster).is_none() {
        return;
    }
    for dependent in cluster.store.dependents_of(owner) {
        let Some(found) = cluster.store.get(&dependent) else { continue };
        if found.pointer("/metadata/deletionTimestamp").is_some() {
            continue;
        }
        let others = owner_uids(&found).filter(|uid| *uid != owner);
        if others.into_iter().any(|uid| stays(cluster, uid)) {
            // It stays with them, and so must not hold up this one.
            release(cluster, inputs, &dependent, &found, owner);
            continue;
        }
        let has_own = !cluster.store.dependents_of(text(&found, "/metadata/uid")).is_empty();
        let how = if has_own { Propagation::Foreground } else { Propagation::Background };
        delete_quietly(cluster, inputs, &dependent, how);
    }
    let blocks = |key: &ObjectKey| {
        let found = cluster.store.get(key);
        found.is_some_and(|found| {
            list(found.pointer("/metadata/ownerReferences"))
                .any(|one| text(one, "/uid") == owner && one["blockOwnerDeletion"] == Value::Bool(true))
        })
    };
    if cluster.store.dependents_of(owner).iter().any(blocks) {
        return;
    }
    if let Some((key, found)) = waits(cluster) {
        finish_finalizer(cluster, inputs, &key, &found, "/metadata/finalizers", FOREGROUND);
    }
}

/// Takes one finalizer away and removes the object if that was the last thing that held it.
fn finish_finalizer(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    key: &ObjectKey,
    found: &Value,
    pointer: &str,
    finalizer: &str,
) {
    let mut object = found.clone();
    if let Some(names) = object.pointer_mut(pointer).and_then(Value::as_array_mut) {
        names.retain(|one| one != finalizer);
        if names.is_empty() && pointer == "/metadata/finalizers" {
            super::json::object(&mut object, "metadata").remove("finalizers");
        }
    }
    if is_finished(&object) {
        remove(cluster, inputs, key);
    } else {
        cluster.store.put(key, object);
    }
}

fn empty_namespace(cluster: &mut Cluster, inputs: &mut Inputs<'_>, namespace: &str) {
    for key in cluster.store.keys_in_namespace(namespace) {
        delete_quietly(cluster, inputs, &key, Propagation::Background);
    }
    describe_namespace(cluster, inputs, namespace);
    finish_namespace(cluster, inputs, namespace);
}

/// Says in the namespace's status what is left in it.
fn describe_namespace(cluster: &mut Cluster, inputs: &Inputs<'_>, namespace: &str) {
    let Some(found) = cluster.namespace(namespace) else { return };
    let described = super::namespace::described(cluster, inputs, &found);
    if described != *found {
        cluster.store.put(&namespace_key(namespace), described);
    }
}

fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey { resource: GroupResource::new("", "namespaces"), namespace: None, name: name.to_owned() }
}

fn finish_namespace(cluster: &mut Cluster, inputs: &mut Inputs<'_>, namespace: &str) {
    let Some(found) = cluster.namespace(namespace) else { return };
    let deleting = found.pointer("/metadata/deletionTimestamp").is_some();
    // Content that goes while the namespace is being emptied does not end it; the emptying does.
    let described = list(found.pointer("/status/conditions")).next().is_some();
    if deleting && described && cluster.store.keys_in_namespace(namespace).is_empty() {
        describe_namespace(cluster, inputs, namespace);
        let found = cluster.namespace(namespace).unwrap_or(found);
        let key = namespace_key(namespace);
        finish_finalizer(cluster, inputs, &key, &found, "/spec/finalizers", "kubernetes");
    }
}

fn has_instances(cluster: &Cluster, crd: &Value) -> bool {
    let resource = GroupResource::new(text(crd, "/spec/group"), text(crd, "/spec/names/plural"));
    !cluster.store.list(&resource, None).is_empty()
}

/// Deletes all instances of a custom resource whose definition is being deleted.
fn delete_instances(cluster: &mut Cluster, inputs: &mut Inputs<'_>, _key: &ObjectKey, crd: &Value) {
    let resource = GroupResource::new(text(crd, "/spec/group"), text(crd, "/spec/names/plural"));
    for (key, _) in cluster.store.list(&resource, None) {
        delete_quietly(cluster, inputs, &key, Propagation::Background);
    }
    finish_definition(cluster, inputs, &resource);
}

fn finish_definition(cluster: &mut Cluster, inputs: &mut Inputs<'_>, resource: &GroupResource) {
    let crds = GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions");
    let key = ObjectKey { resource: crds, namespace: None, name: format!("{resource}") };
    let Some(crd) = cluster.store.get(&key) else { return };
    let deleting = crd.pointer("/metadata/deletionTimestamp").is_some();
    if deleting && cluster.store.list(resource, None).is_empty() {
        finish_finalizer(cluster, inputs, &key, &crd, "/metadata/finalizers", CUSTOM_RESOURCE_FINALIZER);
    }
}
