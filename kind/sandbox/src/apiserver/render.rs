//! The form in which objects are sent: whole, metadata only, or as a table.
//!
//! Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::read::Page;
use super::watch::WatchEvent;

/// One object.
pub(crate) fn object(_target: Option<&Target>, object: &Value, _accept: &str, _now: Timestamp) -> Value {
    object.clone()
}

/// A list.
pub(crate) fn list(target: &Target, page: &Page, _accept: &str, _now: Timestamp) -> Value {
    let mut metadata = json!({"resourceVersion": page.resource_version.to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = json!(next);
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let items: Vec<&Value> = page.items.iter().map(AsRef::as_ref).collect();
    json!({
        "kind": target.definition.list_kind, "apiVersion": target.api_version(), "metadata": metadata, "items": items,
    })
}

/// One event of a watch.
pub(crate) fn event(
    _target: &Target,
    event: &WatchEvent,
    _accept: &str,
    _now: Timestamp,
    _first: bool,
) -> Value {
    json!({"type": event.kind, "object": event.object.as_ref()})
}
