//! Strategic merge patch for built-in kinds: a merge patch that merges keyed lists item by item.
//!
//! Directives: `$patch` (`replace`, `delete`), `$retainKeys`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`
//! (ignored). Pure.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::fields::topology::Place;
use super::json::list;

/// Merges a patch into an object.
pub(crate) fn merge(place: Place<'_>, object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    merge_value(place, object, patch)
}

fn merge_value(place: Place<'_>, live: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Value::Object(changes) = patch else {
        *live = patch.clone();
        return Ok(());
    };
    if place.patch_replaces() && live.is_object() && !changes.contains_key("$patch") {
        *live = patch.clone();
        return Ok(());
    }
    if changes.get("$patch").is_some_and(|directive| directive == "replace") {
        *live = Value::Object(without_directives(changes));
        return Ok(());
    }
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let members = live.as_object_mut().expect("it was just made an object");
    if let Some(kept) = changes.get("$retainKeys") {
        members.retain(|name, _| list(Some(kept)).any(|one| one == name));
    }
    for (name, change) in changes {
        if let Some(of) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(items) = members.get_mut(of).and_then(Value::as_array_mut) {
                items.retain(|item| !list(Some(change)).any(|gone| gone == item));
            }
        } else if name.starts_with('$') {
            continue;
        } else if change.is_null() {
            members.remove(name);
        } else if let (Value::Array(changes), place) = (change, place.member(name)) {
            let live = members.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
            merge_list(place, live, changes)?;
        } else {
            let live = members.entry(name.clone()).or_insert(Value::Null);
            merge_value(place.member(name), live, change)?;
        }
    }
    Ok(())
}

fn merge_list(place: Place<'_>, live: &mut Value, changes: &[Value]) -> Result<(), ApiError> {
    let replace =
        changes.iter().any(|change| change.get("$patch").is_some_and(|directive| directive == "replace"));
    let (Some(key), false, Value::Array(before)) = (place.patch_key(), replace, &*live) else {
        let kept = changes.iter().filter(|change| change.get("$patch").is_none());
        *live = Value::Array(kept.cloned().collect());
        return Ok(());
    };
    let same = |one: &Value, other: &Value| {
        if key.is_empty() { one == other } else { one.get(key) == other.get(key) }
    };
    let mut items = before.clone();
    for change in changes {
        if !key.is_empty() && change.get(key).is_none() {
            let why = format!("map: {change} does not contain declared merge key: {key}");
            return Err(ApiError::internal(why));
        }
        let at = items.iter().position(|item| same(item, change));
        let delete = change.get("$patch").is_some_and(|directive| directive == "delete");
        match (at, delete) {
            (Some(_), true) => items.retain(|item| !same(item, change)),
            (None, true) => {}
            (Some(at), false) if !key.is_empty() => merge_value(place.item(), &mut items[at], change)?,
            (Some(_), false) => {}
            (None, false) => items.push(change.clone()),
        }
    }
    *live = Value::Array(in_order(items, before, changes, same));
    Ok(())
}

/// The patch's items stand in the patch's order, the others in theirs; between the two, an old item comes first only where
/// it stood before the patch's next one.
fn in_order(
    items: Vec<Value>,
    before: &[Value],
    changes: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|one| same(one, item));
    let (mut patched, others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(changes, item).is_some());
    patched.sort_by_key(|item| place(changes, item));
    let (mut patched, mut others) = (patched.into_iter().peekable(), others.into_iter().peekable());
    let mut ordered = Vec::new();
    while let (Some(other), Some(next)) = (others.peek(), patched.peek()) {
        let other_first = match (place(before, other), place(before, next)) {
            (Some(other), Some(next)) => other < next,
            _ => false,
        };
        ordered.extend(if other_first { others.next() } else { patched.next() });
    }
    ordered.extend(patched);
    ordered.extend(others);
    ordered
}

fn without_directives(members: &Map<String, Value>) -> Map<String, Value> {
    members
        .iter()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
