//! Server-side apply.
use jiff::Timestamp;
use serde_json::Value;

use super::cluster::Target;
use super::error::ApiError;
use super::write::WriteOptions;

/// The object after an apply.
pub(crate) fn merged(
    _target: &Target,
    old: Option<&Value>,
    applied: Value,
    _options: &WriteOptions,
    _force: bool,
    _now: Timestamp,
) -> Result<Value, ApiError> {
    let mut new = old.cloned().unwrap_or(Value::Null);
    json_patch::merge(&mut new, &applied);
    Ok(new)
}
