//! Server-side apply: the request's object laid over the live one.
//!
//! Pure. Ownership is decided in [`super::fields`].

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::decode::{FieldValidation, decode};
use super::error::ApiError;
use super::fields;
use super::json::drop_nulls;
use super::write::WriteOptions;

/// The object after an apply, which then goes the way of every write.
pub(crate) fn merged(
    target: &Target,
    old: Option<&Value>,
    mut applied: Value,
    options: &WriteOptions,
    force: bool,
    now: Timestamp,
) -> Result<Value, ApiError> {
    drop_nulls(&mut applied);
    // Decoding here only refuses: its result would own required members that the client left out.
    decode(target, applied.clone(), FieldValidation::Strict)?;
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
