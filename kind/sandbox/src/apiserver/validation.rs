//! Validation.
use serde_json::Value;

use super::cluster::Target;
use super::error::Cause;

/// Checks a new object.
pub(crate) fn on_create(_target: &Target, _new: &Value) -> Vec<Cause> {
    Vec::new()
}

/// Checks a changed object.
pub(crate) fn on_update(_target: &Target, _old: &Value, _new: &Value) -> Vec<Cause> {
    Vec::new()
}

/// Custom resources may not be replaced blindly: a PUT must name the version it replaces.
pub(crate) fn require_version(target: &Target, sent: &Value) -> Result<(), super::error::ApiError> {
    if !target.definition.is_custom() || !super::json::text(sent, "/metadata/resourceVersion").is_empty() {
        return Ok(());
    }
    let zero = Value::from(0);
    let cause = Cause::invalid("metadata.resourceVersion", &zero, "must be specified for an update");
    let name = target.name.as_deref().unwrap_or_default();
    Err(super::error::ApiError::invalid(
        &target.definition.id.group,
        &target.definition.id.resource,
        name,
        &[cause],
    ))
}

/// Some objects can't be deleted.
pub(crate) fn on_delete(target: &Target, name: &str) -> Result<(), super::error::ApiError> {
    let protected =
        target.definition.is("", "namespaces") && matches!(name, "default" | "kube-system" | "kube-public");
    if protected {
        return Err(super::error::ApiError::forbidden(
            &target.definition.id,
            name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}
