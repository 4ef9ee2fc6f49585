//! What an applier no longer sends goes, unless somebody else owns it.
//!
//! The pruning of Kubernetes' `structured-merge-diff`, step by step: it takes away more than the applier's leaves (members
//! that the schema names go with what was set below them) and then puts back what others own. Pure.

use serde_json::{Map, Value};

use super::set::FieldSet;
use super::topology::{ListKind, Place, item_element};
use super::walk::fields_of;

/// The object without what was given up: `last` is what the applier owned before, `owned` what all own now.
pub(super) fn prune(place: Place<'_>, merged: &Value, last: &FieldSet, owned: &FieldSet) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let last = with_containers(place, last);
    let without = without_items(place, merged, &last);
    // Back comes what is owned.
    let kept = fields(place, &without).union(&with_containers(place, owned));
    let without = without_items(place, merged, &fields(place, merged).difference(&kept));
    // And what the applier never owned.
    let gone = fields(place, merged).difference(&fields(place, &without)).intersection(&last);
    without_items(place, merged, &gone)
}

fn fields(place: Place<'_>, value: &Value) -> FieldSet {
    with_containers(place, &fields_of(place, value))
}

/// The set, with every member that the schema names counted where something below it is.
fn with_containers(place: Place<'_>, set: &FieldSet) -> FieldSet {
    let mut result = FieldSet { owned: set.owned, ..FieldSet::default() };
    for (element, below) in &set.children {
        let member = element.strip_prefix("f:");
        let inner = match member {
            Some(name) => place.member(name),
            None if element.starts_with("k:") => place.item(),
            None => Place::Unknown,
        };
        let mut below = with_containers(inner, below);
        below.owned |= member.is_some_and(|name| place.names(name));
        result.insert(element.clone(), below);
    }
    result
}

/// The value without what is in a set, whole containers included. What loses all its items becomes null.
fn without_items(place: Place<'_>, value: &Value, gone: &FieldSet) -> Value {
    let left = |child: &Value, inner: Place<'_>, below: Option<&FieldSet>| match below {
        Some(below) if below.owned => None,
        Some(below) if !below.is_empty() => Some(without_items(inner, child, below)),
        Some(_) | None => Some(child.clone()),
    };
    match value {
        Value::Object(members) if !place.is_atomic_map() => {
            let mut kept = Map::new();
            for (name, child) in members {
                let below = gone.children.get(&format!("f:{name}"));
                if let Some(child) = left(child, place.member(name), below) {
                    kept.insert(name.clone(), child);
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Value::Array(items) if place.list_kind() != ListKind::Atomic => {
            let kind = place.list_kind();
            let kept = items.iter().filter_map(|item| {
                let below = item_element(&kind, item).and_then(|element| gone.children.get(&element));
                left(item, place.item(), below)
            });
            let kept: Vec<Value> = kept.collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        Value::Object(_) | Value::Array(_) => Value::Null,
        scalar => scalar.clone(),
    }
}
