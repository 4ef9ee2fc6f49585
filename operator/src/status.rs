//! Writes the status of the operator's own objects: only what it says anew, and only if the object is still the one that was seen. What it
//! says is decided in the core.

use crate::reconcile::ReportError;
use crate::write::manager;
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fmt::Debug;

/// Whether a status reached the API server. One about an object that has changed meanwhile does not; the next look is close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Yes,
    /// It said nothing new, or came too late.
    No,
}

/// Writes what differs between the status that an object has and the one that it should have.
///
/// # Errors
/// The API server failed or refused.
pub async fn write_status<K, S>(
    client: &Client,
    object: &K,
    before: Option<&S>,
    status: &S,
) -> Result<Written, ReportError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    S: Serialize + Default,
{
    let new = serde_json::to_value(status)?;
    let changes = match before {
        Some(before) => merge_patch(&serde_json::to_value(before)?, &new),
        None => new,
    };
    if changes.as_object().is_some_and(Map::is_empty) {
        return Ok(Written::No);
    }
    // A status speaks of the object that was seen: if that has changed or was made anew, the next look follows soon.
    let patch = json!({
        "metadata": { "uid": object.uid(), "resourceVersion": object.resource_version() },
        "status": changes,
    });
    let api: Api<K> = Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let parameters = PatchParams { field_manager: manager(), ..PatchParams::default() };
    match api.patch_status(&object.name_any(), &parameters, &Patch::Merge(patch)).await {
        Ok(_) => Ok(Written::Yes),
        Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => Ok(Written::No),
        Err(error) => Err(ReportError::Write(error)),
    }
}

/// The merge patch (RFC 7396) that turns one JSON object into another.
fn merge_patch(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(|(key, value)| {
        let value = old.get(key).map_or_else(|| value.clone(), |old| merge_patch(old, value));
        (key.clone(), value)
    });
    Value::Object(removed.chain(changed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_names_only_what_differs_and_nulls_what_is_gone() {
        let old = json!({ "same": 1, "gone": 2, "list": [1, 2], "deep": { "a": 1, "b": 2 } });
        let new = json!({ "same": 1, "list": [2], "deep": { "a": 1, "c": 3 } });
        let expected = json!({ "gone": null, "list": [2], "deep": { "b": null, "c": 3 } });
        assert_eq!(merge_patch(&old, &new), expected);
        assert_eq!(merge_patch(&old, &old), json!({}));
    }
}
