//! Structural schemas of CustomResourceDefinitions: pruning, defaulting, validation.
//!
//! Rules and messages: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>.
//! Pure.

use serde_json::Value;

/// Drops members that the schema does not name and returns their paths.
pub(crate) fn prune(_schema: &Value, _value: &mut Value) -> Vec<String> {
    Vec::new()
}
