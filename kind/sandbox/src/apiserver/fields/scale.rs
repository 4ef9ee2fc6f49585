//! Whose the replicas are, seen from an object and from its `scale`.
//!
//! A scale shows, of the object's `managedFields`, who owns the replicas; a write through it changes that, and is carried
//! back. What is carried back leaves no time, and stands beside what its owner has of the object otherwise: so does
//! Kubernetes' `ScaleHandler`, whose rules these are. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::set::FieldSet;
use super::{Entry, read_entries, write_entries};

const SCALE_VERSION: &str = "autoscaling/v1";
const REPLICAS: &str = "spec.replicas";

/// Where each version of a resource keeps its replicas, as a path with dots; nothing in a version that can't be scaled.
pub(crate) type ReplicasPaths = BTreeMap<String, Option<String>>;

/// Gives a scale the owners of its object's replicas.
pub(crate) fn show(parent: &Value, paths: &ReplicasPaths, scale: &mut Value) {
    let shown = read_entries(parent).into_iter().filter(|entry| owns_replicas(entry, paths)).map(|entry| {
        Entry { api_version: SCALE_VERSION.to_owned(), fields: FieldSet::of_path(REPLICAS), ..entry }
    });
    write_entries(scale, shown.collect());
}

/// Carries the owners that a scale has after a write back to its object, which speaks a version.
pub(crate) fn carry_back(scale: &Value, paths: &ReplicasPaths, version: &str, parent: &mut Value) {
    let mut scaled = read_entries(scale);
    let mut result = Vec::new();
    for entry in read_entries(parent).into_iter().filter(|entry| paths.contains_key(&entry.api_version)) {
        if !owns_replicas(&entry, paths) {
            result.push(entry);
            continue;
        }
        // Only appliers, whom their version does not tell apart, are found again.
        if let Some(at) = scaled.iter().position(|one| one.owner() == entry.owner()) {
            scaled.remove(at);
            result.push(entry);
            continue;
        }
        let path = paths.get(&entry.api_version).and_then(Option::as_deref).unwrap_or_default();
        let fields = entry.fields.difference(&FieldSet::of_path(path));
        result.push(Entry { fields, ..entry });
    }
    let path = paths.get(version).and_then(Option::as_deref).unwrap_or_default();
    let added = scaled.into_iter().filter(|entry| entry.fields.has_path(REPLICAS));
    result.extend(added.map(|entry| Entry {
        api_version: version.to_owned(),
        fields: FieldSet::of_path(path),
        time: Value::Null,
        ..entry
    }));
    write_entries(parent, result);
}

fn owns_replicas(entry: &Entry, paths: &ReplicasPaths) -> bool {
    let path = paths.get(&entry.api_version).and_then(Option::as_deref);
    path.is_some_and(|path| entry.fields.has_path(path))
}
