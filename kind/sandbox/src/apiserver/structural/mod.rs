//! Structural schemas of CustomResourceDefinitions: pruning and defaulting; checking is in [`check`] and [`rules`].
//!
//! Rules: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>.
//! Pure.

pub(crate) mod check;
pub(crate) mod rules;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// Drops members that the schema does not name, and nulls where none is allowed; returns the paths of the former.
/// The root's `apiVersion`, `kind` and `metadata` are left alone.
pub(crate) fn prune(schema: &Value, value: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    prune_at(schema, value, "", true, &mut dropped);
    dropped
}

/// What the metadata of any object may have.
const OBJECT_METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

fn prune_at(schema: &Value, value: &mut Value, path: &str, root: bool, dropped: &mut Vec<String>) {
    if is_set(schema, "x-kubernetes-embedded-resource")
        && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.retain(|name, _| OBJECT_METADATA.contains(&name.as_str()));
    }
    let keeps_unknown = is_set(schema, "x-kubernetes-preserve-unknown-fields");
    let root = root || is_set(schema, "x-kubernetes-embedded-resource");
    match value {
        Value::Object(members) => {
            let properties = schema.get("properties");
            let additional = schema.get("additionalProperties");
            members.retain(|name, child| {
                if root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let path = join(path, name);
                let named = properties.and_then(|properties| properties.get(name));
                match named.or_else(|| additional.filter(|any| any.is_object())) {
                    Some(schema) if child.is_null() && !is_set(schema, "nullable") => false,
                    Some(schema) => {
                        prune_at(schema, child, &path, false, dropped);
                        true
                    }
                    None if keeps_unknown || additional == Some(&Value::Bool(true)) => true,
                    None => {
                        dropped.push(path);
                        false
                    }
                }
            });
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter_mut().enumerate() {
                    prune_at(schema, item, &format!("{path}[{index}]"), false, dropped);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fills in the schema's defaults, within filled-in defaults too.
pub(crate) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, schema) in properties {
                    if let (false, Some(default)) = (members.contains_key(name), schema.get("default")) {
                        members.insert(name.clone(), default.clone());
                    }
                }
            }
            for (name, child) in members {
                let named = schema.get("properties").and_then(|properties| properties.get(name));
                if let Some(schema) = named.or_else(|| schema.get("additionalProperties")) {
                    default(schema, child);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| default(schema, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(super) fn is_set(schema: &Value, flag: &str) -> bool {
    schema.get(flag) == Some(&Value::Bool(true))
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
