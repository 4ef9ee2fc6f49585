//! Ownership of fields (`metadata.managedFields`).
use jiff::Timestamp;
use serde_json::Value;

use super::cluster::Target;

/// Records who changed what.
pub(crate) fn track(
    _target: &Target,
    _old: Option<&Value>,
    _new: &mut Value,
    _manager: &str,
    _now: Timestamp,
) {
}
