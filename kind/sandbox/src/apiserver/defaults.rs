//! Defaults.
use serde_json::Value;

use super::cluster::Target;

/// Fills in what the client left out.
pub(crate) fn apply(_target: &Target, _new: &mut Value) {}
