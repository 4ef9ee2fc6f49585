//! Between the version that a client speaks and the one that is stored.
//!
//! Custom resources convert by strategy `None` (`apiVersion` changes, and what the other version does not know is dropped); the two event APIs show one object in two
//! forms, as in `k8s.io/kubernetes/pkg/apis/events/v1/conversion.go`. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::Target;
use super::definition::Shape;
use super::structural;

/// Core event fields and what the events API calls them.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// An object in the stored form.
pub(crate) fn to_storage(target: &Target, mut object: Value) -> Value {
    if target.definition.is("events.k8s.io", "events") {
        rename(&mut object, |(core, events)| (events, core));
        object["apiVersion"] = json!("v1");
    }
    if let Shape::Custom(schema) = &target.definition.shape
        && schema.storage_version != target.version
    {
        object["apiVersion"] = json!(target.definition.api_version(&schema.storage_version));
        // What the stored version does not know is lost, and what it sets by default is set.
        if let Some(stored) = schema.versions.get(&schema.storage_version) {
            structural::prune(&stored.schema, &mut object);
            structural::default(&stored.schema, &mut object);
        }
    }
    object
}

/// Whether an object is stored without what every reader is shown: its next write stores that, and so is none that
/// changes nothing. A claim begins without the phase that it is read with.
pub(crate) fn is_incomplete(stored: Option<&Value>) -> bool {
    stored.is_some_and(|stored| {
        stored["kind"] == "PersistentVolumeClaim" && stored.pointer("/status/phase").is_none()
    })
}

/// A stored object as it is read, in the version in which it is stored.
pub(crate) fn completed(object: &Arc<Value>) -> Arc<Value> {
    if !is_incomplete(Some(object)) {
        return object.clone();
    }
    let mut object = Value::clone(object);
    object["status"]["phase"] = json!("Pending");
    Arc::new(object)
}

/// A stored object in the target's version.
pub(crate) fn from_storage(target: &Target, object: &Arc<Value>) -> Arc<Value> {
    if is_incomplete(Some(object)) {
        return completed(object);
    }
    if object["apiVersion"] == json!(target.api_version()) {
        return object.clone();
    }
    let mut object = Value::clone(object);
    if target.definition.is("events.k8s.io", "events") {
        rename(&mut object, |pair| pair);
        super::builtin::complete(&super::builtin::Kind::of("events.k8s.io", "Event"), &mut object);
    }
    object["apiVersion"] = json!(target.api_version());
    if let Shape::Custom(schema) = &target.definition.shape
        && let Some(spoken) = schema.versions.get(&target.version)
    {
        structural::prune(&spoken.schema, &mut object);
    }
    Arc::new(object)
}

fn rename(object: &mut Value, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(members) = object.as_object_mut() else { return };
    for (from, to) in EVENT_FIELDS.map(direction) {
        if let Some(value) = members.remove(from) {
            members.insert(to.to_owned(), value);
        }
    }
}
