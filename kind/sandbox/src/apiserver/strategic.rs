//! Strategic merge patch.
use serde_json::Value;

use super::error::ApiError;

/// Merges a patch into an object.
pub(crate) fn merge(object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    json_patch::merge(object, patch);
    Ok(())
}
