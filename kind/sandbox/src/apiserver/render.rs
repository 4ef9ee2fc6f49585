//! The form in which objects are sent: whole, metadata only, or as a table.
//!
//! Pure. The forms: <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::error::ApiError;
use super::json::drop_member;
use super::read::Page;
use super::request::ApiRequest;
use super::table::{self, Include};
use super::watch::WatchEvent;

const META: &str = "meta.k8s.io/v1";

/// What the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects as they are.
    Whole,
    /// `PartialObjectMetadata`: the metadata alone.
    Metadata,
    /// `Table`: columns for people, with so much of each object.
    Table(Include),
}

impl Form {
    /// Reads the header `Accept` and the parameter `includeObject`. The first form that is served wins.
    pub(crate) fn of(request: &ApiRequest) -> Form {
        let include = match request.query.get("includeObject") {
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            Some(_) | None => Include::Metadata,
        };
        request.accept.split(',').find_map(|media| Form::of_media(media, include)).unwrap_or(Form::Whole)
    }

    /// Refuses a table with so much of each object that nobody knows how much.
    pub(crate) fn check(request: &ApiRequest) -> Result<(), ApiError> {
        let asked = request.query.get("includeObject").unwrap_or_default();
        let known = matches!(asked, "" | "None" | "Metadata" | "Object");
        if known || !matches!(Form::of(request), Form::Table(_)) {
            return Ok(());
        }
        let why = "must be 'Metadata', 'Object', 'None', or empty";
        Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {asked:?}: {why}"
        )))
    }

    fn of_media(media: &str, include: Include) -> Option<Form> {
        let mut parts = media.split(';').map(str::trim);
        let is_json = matches!(parts.next(), Some("application/json" | "*/*" | "application/*"));
        let parts: Vec<&str> = parts.collect();
        let is_first_version = parts.contains(&"v=v1") && parts.contains(&"g=meta.k8s.io");
        let form = parts.iter().find_map(|part| part.strip_prefix("as="));
        match (is_json, form) {
            (true, None) => Some(Form::Whole),
            (true, Some("Table")) if is_first_version => Some(Form::Table(include)),
            (true, Some("PartialObjectMetadata" | "PartialObjectMetadataList")) if is_first_version => {
                Some(Form::Metadata)
            }
            _ => None,
        }
    }
}

/// One object.
pub(crate) fn object(target: Option<&Target>, object: &Value, form: Form, now: Timestamp) -> Value {
    match (target, form) {
        (None, _) | (_, Form::Whole) => object.clone(),
        (Some(_), Form::Metadata) => metadata(object),
        (Some(target), Form::Table(include)) => {
            let version = &object["metadata"]["resourceVersion"];
            table::render(target, std::iter::once(object), &json!({"resourceVersion": version}), include, now)
        }
    }
}

/// A list.
pub(crate) fn list(target: &Target, page: &Page, form: Form, now: Timestamp) -> Value {
    let mut about = json!({"resourceVersion": page.resource_version.to_string()});
    if let Some(next) = &page.next {
        about["continue"] = json!(next);
    }
    if let Some(remaining) = page.remaining {
        about["remainingItemCount"] = json!(remaining);
    }
    let items = page.items.iter().map(AsRef::as_ref);
    let (kind, version, items): (&str, String, Vec<Value>) = match form {
        Form::Table(include) => return table::render(target, items, &about, include, now),
        Form::Metadata => ("PartialObjectMetadataList", META.to_owned(), items.map(metadata).collect()),
        Form::Whole => (
            &target.definition.list_kind,
            target.api_version(),
            items.map(|item| listed(target, item)).collect(),
        ),
    };
    // Custom resources are listed by a path of their own, which never leaves the token out.
    if target.definition.is_custom() && form == Form::Whole && page.next.is_none() {
        about["continue"] = json!("");
    }
    json!({"kind": kind, "apiVersion": version, "metadata": about, "items": items})
}

/// An item of a list: of built-in kinds the list alone says what they are.
fn listed(target: &Target, item: &Value) -> Value {
    let mut item = item.clone();
    if !target.definition.is_custom() {
        drop_member(&mut item, "apiVersion");
        drop_member(&mut item, "kind");
    }
    item
}

/// One event of a watch. The first table of a watch carries the columns, the others none; a bookmark has no row.
pub(crate) fn event(target: &Target, event: &WatchEvent, form: Form, now: Timestamp, first: bool) -> Value {
    let rendered = match (event.kind, form) {
        ("ERROR", _) | (_, Form::Whole) => event.object.as_ref().clone(),
        (_, Form::Metadata) => metadata(&event.object),
        (kind, Form::Table(include)) => {
            let version = json!({"resourceVersion": event.object["metadata"]["resourceVersion"]});
            let row = (kind != "BOOKMARK").then_some(event.object.as_ref());
            let mut table = table::render(target, row.into_iter(), &version, include, now);
            if !first {
                table["columnDefinitions"] = Value::Null;
            }
            table
        }
    };
    json!({"type": event.kind, "object": rendered})
}

fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": object["metadata"]})
}
