//! Create and update: the one road by which objects enter the store.
//!
//! Pure. Patches compute the new object and then come here, so that no write avoids defaults, validation or ownership.

use std::sync::Arc;

use serde_json::{Value, json};

use super::auth::User;
use super::authorize::escalation;
use super::cluster::{Cluster, Inputs, Target};
use super::decode::{FieldValidation, decode_and_tell, decode_applied};
use super::definition::Shape;
use super::error::ApiError;
use super::json::{list, object, text};
use super::{
    admission, builtin, collect, convert, defaults, fields, limits, pod_security, quota, service, strategy,
    validation,
};
use crate::store::ObjectKey;

/// How a write is recorded and how strict it is.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) manager: String,
    pub(crate) field_validation: FieldValidation,
    /// The write is a server-side apply, whose ownership has been computed already.
    pub(crate) applied: bool,
    /// Who writes; nobody when the server itself does.
    pub(crate) user: Option<User>,
    /// The object was sent whole, not made by a patch.
    pub(crate) whole: bool,
}

impl WriteOptions {
    /// For the server's own writes.
    pub(crate) fn own() -> Self {
        Self::of("kube-apiserver")
    }

    /// For what a program of Kubernetes' own writes.
    pub(crate) fn of(manager: &str) -> Self {
        let manager = manager.to_owned();
        Self { manager, field_validation: FieldValidation::Lenient, applied: false, user: None, whole: false }
    }
}

/// Creates an object. The target names a collection, or for an apply the object itself.
pub(crate) fn create(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    sent: Value,
    options: &WriteOptions,
) -> Result<Arc<Value>, ApiError> {
    let mut new = decode_and_tell(target, sent, options.field_validation, &mut inputs.warnings)?;
    place_in_namespace(cluster, target, &mut new)?;
    if !text(&new, "/metadata/resourceVersion").is_empty() && text(&new, "/metadata/resourceVersion") != "0" {
        return Err(ApiError::storage("resourceVersion should not be set on objects to be created"));
    }
    let name = choose_name(cluster, inputs, target, &mut new)?;
    strategy::prepare_create(target, inputs, &mut new);
    defaults::apply(target, &mut new);
    strategy::drop_repeated_owners(&mut new);
    record(target, None, &mut new, options, inputs);
    admission::on_create(cluster, inputs, target, &mut new)?;
    let causes = validation::on_create(target, &new);
    refuse(target, &name, &causes)?;
    check_escalation(cluster, target, options, None, &new)?;
    limits::check(cluster, target, &new)?;
    pod_security::check(cluster, target, None, &new)?;
    quota::check(cluster, inputs, target, None, &new)?;
    complete(target, &mut new);
    let key = target.definition.key(target.namespace.as_deref(), &name);
    if let Some(there) = cluster.store.get(&key) {
        let deleting = there.pointer("/metadata/deletionTimestamp").is_some();
        return Err(match deleting {
            true => ApiError::still_exists(&target.definition.id, &name),
            false => ApiError::already_exists(&target.definition.id, &name),
        });
    }
    let stored = cluster.store.put(&key, convert::to_storage(target, new));
    after_write(cluster, inputs, &key, &stored);
    quota::report(cluster, inputs, &key, true);
    Ok(convert::from_storage(target, &stored))
}

/// Replaces an object, or its status, by what was sent.
pub(crate) fn update(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    sent: Value,
    options: &WriteOptions,
) -> Result<Arc<Value>, ApiError> {
    let mut new = match options.applied {
        true => decode_applied(target, sent)?,
        false => decode_and_tell(target, sent, options.field_validation, &mut inputs.warnings)?,
    };
    check_place(target, &new)?;
    let (key, stored) = cluster.existing(target)?;
    let old = convert::from_storage(target, &stored);
    if options.whole {
        strategy::check_uid(target, &old, &new)?;
    }
    strategy::check_preconditions(target, &old, &new)?;
    defaults::apply(target, &mut new);
    if options.whole {
        strategy::drop_repeated_owners(&mut new);
    }
    // Whose change it is, is written down of what was sent, before the server puts back what can't be changed.
    record(target, Some(&old), &mut new, options, inputs);
    strategy::drop_repeated_owners(&mut new);
    strategy::prepare_update(target, &old, &mut new);
    let immutable = strategy::check_metadata_update(&old, &new);
    strategy::keep_identity(&old, &mut new);
    complete(target, &mut new);
    strategy::raise_generation(target, &old, &mut new);
    admission::on_update(&old, target, &mut new);
    let causes = validation::on_update(target, &old, &new, &immutable);
    refuse(target, &key.name, &causes)?;
    check_escalation(cluster, target, options, Some(&old), &new)?;
    pod_security::check(cluster, target, Some(&old), &new)?;
    admission::check_growth(cluster, target, &old, &new)?;
    if target.definition.is("", "services") && target.subresource.is_none() {
        service::allocate_ports(cluster, &mut new)?;
    }
    if target.definition.is("", "persistentvolumeclaims") && target.subresource.is_none() {
        limits::check(cluster, target, &new)?;
    }
    quota::check(cluster, inputs, target, Some(&old), &new)?;
    // What admission added is nobody's.
    let options = WriteOptions { applied: true, ..options.clone() };
    replace(cluster, inputs, target, &old, new, &options)
}

/// Writes down whose change this is, unless an apply has done so already.
fn record(
    target: &Target,
    old: Option<&Value>,
    new: &mut Value,
    options: &WriteOptions,
    inputs: &Inputs<'_>,
) {
    complete(target, new);
    if !options.applied {
        fields::track(target, old, new, &options.manager, inputs.now);
    }
}

/// The name and the namespace that an object carries must be those of the path.
pub(crate) fn check_place(target: &Target, new: &Value) -> Result<(), ApiError> {
    let (name, sent) = (target.name.as_deref().unwrap_or_default(), text(new, "/metadata/name"));
    if sent.is_empty() {
        return Err(ApiError::bad_request("name must be provided"));
    }
    if sent != name {
        let why = format!("the name of the object ({sent}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(why));
    }
    let sent = text(new, "/metadata/namespace");
    if !sent.is_empty() && target.namespace.as_deref() != Some(sent) {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(why));
    }
    Ok(())
}

/// Stores a checked object in place of the old one, unless nothing changed, and records whose change it was.
pub(crate) fn replace(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    old: &Arc<Value>,
    mut new: Value,
    options: &WriteOptions,
) -> Result<Arc<Value>, ApiError> {
    record(target, Some(old), &mut new, options, inputs);
    let key = target.key()?;
    if strategy::same(target, old, &new) && !convert::is_incomplete(cluster.store.get(&key).as_deref()) {
        return Ok(old.clone());
    }
    if collect::is_finished(&new) && !collect::is_finished(old) {
        // Taking away what held a deleted object is not stored: watchers see the deletion of what was there.
        collect::remove(cluster, inputs, &key);
        return Ok(Arc::new(new));
    }
    let stored = cluster.store.put(&key, convert::to_storage(target, new));
    after_write(cluster, inputs, &key, &stored);
    quota::report(cluster, inputs, &key, false);
    Ok(convert::from_storage(target, &stored))
}

/// Built-in objects are stored as Go would write them.
pub(crate) fn complete(target: &Target, new: &mut Value) {
    match &target.definition.shape {
        Shape::BuiltIn(typed) => builtin::complete(&typed.kind, new),
        Shape::Custom(_) => {
            if let Some(metadata) = new.get_mut("metadata") {
                builtin::complete(builtin::Kind::metadata(), metadata);
            }
        }
    }
}

/// Everything that follows from a write: definitions, namespace contents, collection, the end of a deletion.
pub(crate) fn after_write(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    key: &ObjectKey,
    stored: &Arc<Value>,
) {
    admission::after_write(cluster, inputs, key, stored);
    if collect::is_finished(stored) {
        collect::remove(cluster, inputs, key);
    } else {
        collect::check_owners(cluster, inputs, key);
    }
}

fn check_escalation(
    cluster: &Cluster,
    target: &Target,
    options: &WriteOptions,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), ApiError> {
    options.user.as_ref().map_or(Ok(()), |user| escalation::check(cluster, user, target, old, new))
}

fn refuse(target: &Target, name: &str, causes: &[super::error::Cause]) -> Result<(), ApiError> {
    match causes {
        [] => Ok(()),
        causes => {
            // Both event APIs refuse by the name of the core one.
            let group = Some(target.definition.id.group.as_str()).filter(|group| *group != "events.k8s.io");
            Err(ApiError::invalid(group.unwrap_or_default(), &target.definition.kind, name, causes))
        }
    }
}

fn place_in_namespace(cluster: &Cluster, target: &Target, new: &mut Value) -> Result<(), ApiError> {
    let Some(namespace) = target.namespace.as_deref().filter(|_| target.definition.namespaced) else {
        if target.definition.namespaced {
            return Err(ApiError::method_not_allowed());
        }
        object(new, "metadata").remove("namespace");
        return Ok(());
    };
    let sent = text(new, "/metadata/namespace");
    if !sent.is_empty() && sent != namespace {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(why));
    }
    object(new, "metadata").insert("namespace".to_owned(), json!(namespace));
    let name = text(new, "/metadata/name");
    match cluster.namespace(namespace) {
        None => Err(ApiError::not_found(&crate::store::GroupResource::new("", "namespaces"), namespace)),
        Some(found) if found.pointer("/metadata/deletionTimestamp").is_some() => {
            Err(ApiError::namespace_terminating(&target.definition.id, name, namespace))
        }
        Some(_) => Ok(()),
    }
}

/// The name sent, or a free one made from `generateName`.
fn choose_name(
    cluster: &Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    new: &mut Value,
) -> Result<String, ApiError> {
    let sent = text(new, "/metadata/name");
    if let Some(expected) = target.name.as_deref().filter(|expected| !sent.is_empty() && sent != *expected) {
        let why = format!("the name of the object ({sent}) does not match the name on the URL ({expected})");
        return Err(ApiError::bad_request(why));
    }
    let name = match (target.name.as_deref().unwrap_or(sent), text(new, "/metadata/generateName")) {
        ("", "") => {
            let cause = super::error::Cause::required("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(
                &target.definition.id.group,
                &target.definition.kind,
                "",
                &[cause],
            ));
        }
        ("", prefix) => {
            // Kubernetes shortens the prefix so that the name fits 63 characters, and tries again on a collision.
            let prefix: String = prefix.chars().take(58).collect();
            let taken =
                |name: &str| cluster.store.get(&target.definition.key(target.namespace.as_deref(), name));
            let mut made = format!("{prefix}{}", inputs.identifiers.name_suffix());
            for _ in 0..8 {
                if taken(&made).is_none() {
                    break;
                }
                made = format!("{prefix}{}", inputs.identifiers.name_suffix());
            }
            made
        }
        (name, _) => name.to_owned(),
    };
    object(new, "metadata").insert("name".to_owned(), json!(name));
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = list(new.pointer("/metadata/finalizers")).find(|one| !seen.insert(one.to_string())) {
        return Err(ApiError::bad_request(format!("metadata.finalizers: duplicate {twice}")));
    }
    Ok(name)
}
