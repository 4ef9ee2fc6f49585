//! The form in which objects are sent: whole, metadata only, or as a table.
//!
//! Chosen by the `Accept` header as in <https://kubernetes.io/docs/reference/using-api/api-concepts/>. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::read::Page;
use super::table;
use super::watch::WatchEvent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Metadata,
    Table,
}

/// The first media type of the header that is served.
fn form(accept: &str) -> Form {
    for media_type in accept.split(',') {
        if media_type.contains("protobuf") || media_type.contains("cbor") {
            continue;
        }
        if media_type.contains("as=Table") {
            return Form::Table;
        }
        if media_type.contains("as=PartialObjectMetadata") {
            return Form::Metadata;
        }
        return Form::Whole;
    }
    Form::Whole
}

fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// One object.
pub(crate) fn object(target: Option<&Target>, object: &Value, accept: &str, now: Timestamp) -> Value {
    match (form(accept), target) {
        (Form::Whole, _) | (_, None) => object.clone(),
        (Form::Metadata, Some(_)) => metadata_only(object),
        (Form::Table, Some(target)) => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            table::table(target, [object], metadata, now, true)
        }
    }
}

/// A list.
pub(crate) fn list(target: &Target, page: &Page, accept: &str, now: Timestamp) -> Value {
    let mut metadata = json!({"resourceVersion": page.resource_version.to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = json!(next);
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let items = page.items.iter().map(AsRef::as_ref);
    match form(accept) {
        Form::Table => table::table(target, items, metadata, now, true),
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": items.map(metadata_only).collect::<Vec<_>>(),
        }),
        Form::Whole => json!({
            "kind": target.definition.list_kind, "apiVersion": target.api_version(), "metadata": metadata,
            "items": items.collect::<Vec<&Value>>(),
        }),
    }
}

/// One event of a watch; the columns of a table are sent with the first only.
pub(crate) fn event(target: &Target, event: &WatchEvent, accept: &str, now: Timestamp, first: bool) -> Value {
    let object = event.object.as_ref();
    let is_status = event.kind == "ERROR";
    let shown = match form(accept) {
        Form::Whole => object.clone(),
        Form::Metadata | Form::Table if is_status => object.clone(),
        Form::Metadata => metadata_only(object),
        Form::Table => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            let rows = (event.kind != "BOOKMARK").then_some(object);
            table::table(target, rows, metadata, now, first)
        }
    };
    json!({"type": event.kind, "object": shown})
}
