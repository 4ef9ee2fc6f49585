//! Server-side apply: the request's object laid over the live one.
//!
//! Pure. Ownership is decided in [`super::fields`].

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::decode::{FieldValidation, decode};
use super::error::ApiError;
use super::fields;
use super::json::{drop_nulls, text};
use super::write::WriteOptions;

/// What does not fit the schema can't be compared field by field: a real server fails there, before it validates.
fn untyped(target: &Target, applied: &Value, refused: &ApiError) -> ApiError {
    let strict = refused.message.split_once("strict decoding error: ").map(|(_, list)| list);
    let unknown = |one: &str| {
        let path = one.trim_start_matches("unknown field \"").trim_end_matches('"');
        format!(".{path}: field not declared in schema")
    };
    let list: Vec<String> = match strict {
        Some(list) => list.split(", ").map(unknown).collect(),
        None => vec![refused.message.clone()],
    };
    let why = match list.as_slice() {
        [one] => one.clone(),
        many => format!("errors:{}", many.iter().map(|one| format!("\n  {one}")).collect::<String>()),
    };
    let (namespace, name) = (text(applied, "/metadata/namespace"), text(applied, "/metadata/name"));
    let version = match target.definition.id.group.as_str() {
        "" => format!("/{}", target.version),
        group => format!("{group}/{}", target.version),
    };
    ApiError::storage(format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={}): {why}",
        target.definition.kind
    ))
}

/// The object after an apply, which then goes the way of every write.
pub(crate) fn merged(
    target: &Target,
    old: Option<&Value>,
    mut applied: Value,
    options: &WriteOptions,
    force: bool,
    now: Timestamp,
) -> Result<Value, ApiError> {
    if applied.pointer("/metadata/managedFields").is_some_and(|entries| !entries.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    drop_nulls(&mut applied);
    // Decoding here only refuses: its result would own required members that the client left out.
    if let Err(refused) = decode(target, applied.clone(), FieldValidation::Strict) {
        return Err(untyped(target, &applied, &refused));
    }
    applied["apiVersion"] = json!(target.api_version());
    applied["kind"] = json!(target.definition.kind);
    let mut merged = fields::applied(target, old, applied, (&options.manager, force), now)?;
    if let Some(old) = old {
        merged["apiVersion"] = json!(target.api_version());
        merged["kind"] = json!(target.definition.kind);
        merged["metadata"]["name"] = old["metadata"]["name"].clone();
    }
    Ok(merged)
}
