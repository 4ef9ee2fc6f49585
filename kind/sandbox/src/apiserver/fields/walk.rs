//! Walking objects by their topology: which fields one has, in which two differ, and merging.
//!
//! The algorithms of Kubernetes' `structured-merge-diff`, on JSON. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::set::FieldSet;
use super::topology::{ListKind, Place, item_element};

/// The fields that a value sets: its leaves, and the items of its keyed lists.
pub(crate) fn fields_of(place: Place<'_>, value: &Value) -> FieldSet {
    match value {
        Value::Object(members) if !members.is_empty() && !place.is_atomic_map() => {
            let mut set = FieldSet::default();
            for (name, child) in members {
                let mut below = fields_of(place.member(name), child);
                // Who chooses a key owns it, whatever stands below.
                below.owned |= !place.names(name);
                set.insert(format!("f:{name}"), below);
            }
            set
        }
        Value::Array(items) if !items.is_empty() && place.list_kind() != ListKind::Atomic => {
            let kind = place.list_kind();
            let mut set = FieldSet::default();
            for item in items {
                let Some(element) = item_element(&kind, item) else { return FieldSet::leaf() };
                let mut below =
                    if kind == ListKind::Set { FieldSet::leaf() } else { fields_of(place.item(), item) };
                below.owned = true;
                set.insert(element, below);
            }
            set
        }
        // A list of items with owners that has no item says nothing.
        Value::Array(_) if place.list_kind() != ListKind::Atomic => FieldSet::default(),
        _ => FieldSet::leaf(),
    }
}

/// Every path of a value, containers included: what is lost when the value goes.
pub(crate) fn all_paths(place: Place<'_>, value: &Value) -> FieldSet {
    changed(place, None, value)
}

/// The fields of `new` that `old` lacks or has with another value. A container that is new counts itself, beside what it
/// holds; one that was null before does not.
pub(crate) fn changed(place: Place<'_>, old: Option<&Value>, new: &Value) -> FieldSet {
    if old == Some(new) {
        return FieldSet::default();
    }
    let none = Value::Null;
    let before = old.unwrap_or(&none);
    let mut set = match new {
        Value::Object(members) if !members.is_empty() && !place.is_atomic_map() => {
            let mut set = FieldSet::default();
            for (name, child) in members {
                set.insert(format!("f:{name}"), changed(place.member(name), before.get(name), child));
            }
            set
        }
        Value::Array(items) if !items.is_empty() && place.list_kind() != ListKind::Atomic => {
            match changed_items(place, before.as_array().map_or(&[], Vec::as_slice), items) {
                Some(set) => set,
                None => return FieldSet::leaf(),
            }
        }
        _ if is_empty_container(before) && old.is_some() && is_empty_container(new) => {
            return FieldSet::default();
        }
        // What became empty, or null, is told by what was removed.
        Value::Null if before.is_object() && !place.is_atomic_map() => return FieldSet::default(),
        Value::Null if before.is_array() && place.list_kind() != ListKind::Atomic => {
            return FieldSet::default();
        }
        Value::Object(_) if before.is_object() && !place.is_atomic_map() => return FieldSet::default(),
        Value::Array(_) if before.is_array() && place.list_kind() != ListKind::Atomic => {
            return FieldSet::default();
        }
        _ => return FieldSet::leaf(),
    };
    set.owned |= old.is_none();
    set
}

fn is_empty_container(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn changed_items(place: Place<'_>, before: &[Value], items: &[Value]) -> Option<FieldSet> {
    let kind = place.list_kind();
    let (before, after) = (grouped(&kind, before)?, grouped(&kind, items)?);
    let mut set = FieldSet::default();
    for (element, new) in after {
        let old = before.get(&element).map_or(&[][..], Vec::as_slice);
        let below = match (old, new.as_slice()) {
            ([_], [_]) if kind == ListKind::Set => FieldSet::default(),
            (_, [_]) if kind == ListKind::Set => FieldSet::leaf(),
            ([old], [new]) => FieldSet { owned: false, ..changed(place.item(), Some(old), new) },
            (_, [new]) => FieldSet { owned: true, ..changed(place.item(), None, new) },
            // Items that can't be told apart are one value.
            (old, new) if old == new => FieldSet::default(),
            _ => FieldSet::leaf(),
        };
        set.insert(element, below);
    }
    Some(set)
}

/// Items by their path element, those that share one together; `None` when one has no key.
fn grouped<'a>(kind: &ListKind, items: &'a [Value]) -> Option<BTreeMap<String, Vec<&'a Value>>> {
    let mut found: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for item in items {
        found.entry(item_element(kind, item)?).or_default().push(item);
    }
    Some(found)
}

/// What results when `applied` is laid over `live`.
pub(crate) fn merge(place: Place<'_>, live: Option<&Value>, applied: &Value) -> Value {
    match (live, applied) {
        (Some(Value::Object(before)), Value::Object(members)) if !place.is_atomic_map() => {
            let mut result = before.clone();
            for (name, child) in members {
                result.insert(name.clone(), merge(place.member(name), before.get(name), child));
            }
            Value::Object(result)
        }
        (Some(Value::Array(before)), Value::Array(items)) if place.list_kind() != ListKind::Atomic => {
            merge_lists(place, before, items).unwrap_or_else(|| applied.clone())
        }
        _ => applied.clone(),
    }
}

fn merge_lists(place: Place<'_>, live: &[Value], applied: &[Value]) -> Option<Value> {
    let kind = place.list_kind();
    let before = by_element(&kind, live)?;
    let wanted = by_element(&kind, applied)?;
    let merged = |element: &str| match (before.get(element), wanted.get(element)) {
        (old, Some(new)) if kind != ListKind::Set => merge(place.item(), old.copied(), new),
        (Some(one), _) | (None, Some(one)) => Value::clone(one),
        (None, None) => Value::Null,
    };
    let order =
        |items: &[Value]| items.iter().filter_map(|item| item_element(&kind, item)).collect::<Vec<_>>();
    let elements = merged_order(&order(live), &order(applied));
    Some(Value::Array(elements.iter().map(|element| merged(element)).collect()))
}

/// Both orders as one: what is applied stands in the applied order, and what is not stands where it stood among the items that
/// both have. No list names an element twice.
fn merged_order(live: &[String], applied: &[String]) -> Vec<String> {
    let (in_live, in_applied): (BTreeSet<_>, BTreeSet<_>) = (live.iter().collect(), applied.iter().collect());
    let mut shared = applied.iter().filter(|element| in_live.contains(element)).peekable();
    let (mut old, mut new) = (live.iter().peekable(), applied.iter().peekable());
    let mut order = Vec::new();
    loop {
        match (old.peek().copied(), new.peek().copied()) {
            (None, None) => return order,
            // Applied too, but another item that both have comes first: its turn comes with the applied order.
            (Some(left), Some(right))
                if left != right
                    && in_applied.contains(left)
                    && shared.peek().is_some_and(|next| *next != left) =>
            {
                old.next();
            }
            (Some(left), _) if !in_applied.contains(left) => {
                order.push(left.clone());
                old.next();
            }
            (left, right) => {
                if left == right || left.is_some_and(|left| order.contains(left)) {
                    old.next();
                }
                if let Some(right) = right {
                    order.push(right.clone());
                    new.next();
                    shared.next_if(|next| *next == right);
                }
            }
        }
    }
}

/// Items by their path element; `None` when one has no key or a key is there twice.
fn by_element<'a>(kind: &ListKind, items: &'a [Value]) -> Option<BTreeMap<String, &'a Value>> {
    let mut found = BTreeMap::new();
    for item in items {
        if found.insert(item_element(kind, item)?, item).is_some() {
            return None;
        }
    }
    Some(found)
}
