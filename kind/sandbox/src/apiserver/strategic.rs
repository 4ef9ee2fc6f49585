//! Strategic merge patch for built-in kinds: a merge patch that merges keyed lists item by item.
//!
//! Keys are those of server-side apply, which differ from the `patchMergeKey` of Go's types only where a key has two
//! parts. Directives: `$patch` (`replace`, `delete`), `$retainKeys`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`
//! (ignored). Pure.

use serde_json::{Map, Value};

use super::error::ApiError;
use super::fields::topology::{ListKind, Place, item_element};
use super::json::list;

/// Merges a patch into an object.
pub(crate) fn merge(object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    merge_value(Place::built_in(), object, patch)
}

fn merge_value(place: Place<'_>, live: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Value::Object(changes) = patch else {
        *live = patch.clone();
        return Ok(());
    };
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
    let kind = match place.list_kind() {
        // Go's types merge a container's ports by `containerPort` and a Service's by `port`, without the protocol.
        ListKind::Map(mut keys) => {
            keys.retain(|(name, _)| name != "protocol");
            ListKind::Map(keys)
        }
        other => other,
    };
    let replace =
        changes.iter().any(|change| change.get("$patch").is_some_and(|directive| directive == "replace"));
    if kind == ListKind::Atomic || replace || !live.is_array() {
        let kept = changes.iter().filter(|change| change.get("$patch").is_none());
        *live = Value::Array(kept.cloned().collect());
        return Ok(());
    }
    let items = live.as_array_mut().expect("it was just seen to be a list");
    for change in changes {
        let element = item_element(&kind, change);
        let Some(element) = element else {
            return Err(ApiError::unprocessable(&format!(
                "map: {change} does not contain its declared merge key"
            )));
        };
        let at = items.iter().position(|item| item_element(&kind, item).as_ref() == Some(&element));
        let delete = change.get("$patch").is_some_and(|directive| directive == "delete");
        match (at, delete) {
            (Some(at), true) => drop(items.remove(at)),
            (None, true) => {}
            (Some(at), false) if kind != ListKind::Set => merge_value(place.item(), &mut items[at], change)?,
            (Some(_), false) => {}
            (None, false) => items.push(change.clone()),
        }
    }
    Ok(())
}

fn without_directives(members: &Map<String, Value>) -> Map<String, Value> {
    members
        .iter()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
