//! Patches: computing the new object from the old one. JSON patch, merge patch, strategic merge patch and apply.
//!
//! Pure. The result takes the same road as an update, see [`super::write`].

use std::sync::Arc;

use serde_json::Value;

use super::authorize;
use super::cluster::{Cluster, Inputs, Target};
use super::decode::decode;
use super::error::{ApiError, Cause};
use super::fields::topology::Place;
use super::request::{ApiRequest, yaml};
use super::write::{WriteOptions, create, update};
use super::{apply, convert, strategic};

/// The patch formats, by media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' merge patch that knows lists with keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchKind {
    /// By a request's media type.
    pub(crate) fn of(content_type: &str) -> Result<Self, ApiError> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(Self::Apply),
            _ => Err(ApiError::no_patch()),
        }
    }
}

/// Applies a patch request; the flag says whether the object was created.
pub(crate) fn patch(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
    options: &WriteOptions,
) -> Result<(Arc<Value>, bool), ApiError> {
    let kind = PatchKind::of(&request.content_type)?;
    if kind == PatchKind::Apply {
        return apply_patch(cluster, inputs, target, request, options);
    }
    let (_, stored) = cluster.existing(target)?;
    let old = convert::from_storage(target, &stored);
    let new = patched(target, kind, &old, &request.body)?;
    readable(target, new.clone(), options)?;
    // Unless the patch itself names a version, it applies to whatever is there now.
    update(cluster, inputs, target, new, options).map(|object| (object, false))
}

/// What a patch made, decoded; if that can't be, it is the patch's fault.
pub(crate) fn readable(target: &Target, new: Value, options: &WriteOptions) -> Result<Value, ApiError> {
    decode(target, new.clone(), options.field_validation).map_err(|refused| {
        let cause = Cause::invalid("patch", &new, &refused.message);
        ApiError::invalid("", "", "", &[cause])
    })
}

/// The object after a patch that is not an apply.
pub(crate) fn patched(target: &Target, kind: PatchKind, old: &Value, body: &[u8]) -> Result<Value, ApiError> {
    let unreadable =
        |error: serde_json::Error| ApiError::bad_request(format!("error decoding patch: {error}"));
    let mut new = old.clone();
    match kind {
        PatchKind::Json => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(unreadable)?;
            json_patch(&mut new, patch)?;
        }
        PatchKind::Merge => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            json_patch::merge(&mut new, &patch);
        }
        PatchKind::Strategic if target.definition.is_custom() => {
            let accepted =
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(ApiError::unsupported_media_type(accepted));
        }
        PatchKind::Strategic => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            strategic::merge(Place::root(target), &mut new, &patch)?;
        }
        PatchKind::Apply => return Err(ApiError::internal("an apply is not a merge")),
    }
    Ok(new)
}

/// RFC 6902, but a member that is not there can be replaced, as Kubernetes' library has it.
fn json_patch(object: &mut Value, mut patch: json_patch::Patch) -> Result<(), ApiError> {
    use json_patch::{AddOperation, PatchOperation};
    for operation in &mut patch.0 {
        if let PatchOperation::Replace(replace) = operation {
            let missing = object.pointer(replace.path.as_str()).is_none();
            let parent = replace.path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
            if missing && object.pointer(parent).is_some_and(Value::is_object) {
                let (path, value) = (replace.path.clone(), replace.value.clone());
                *operation = PatchOperation::Add(AddOperation { path, value });
            }
        }
        let one = json_patch::Patch(vec![operation.clone()]);
        json_patch::patch(object, &one).map_err(|_| ApiError::rejected())?;
    }
    Ok(())
}

/// A view of an object (a pod for its ephemeral containers) after the request's patch.
pub(crate) fn patched_by_request(
    target: &Target,
    view: &Value,
    request: &ApiRequest,
) -> Result<Value, ApiError> {
    match PatchKind::of(&request.content_type)? {
        // This view has no owners of its own, so an apply is laid over it like a strategic merge.
        PatchKind::Apply => {
            let mut new = view.clone();
            strategic::merge(Place::root(target), &mut new, &yaml(&request.body)?)?;
            Ok(new)
        }
        kind @ (PatchKind::Json | PatchKind::Merge | PatchKind::Strategic) => {
            patched(target, kind, view, &request.body)
        }
    }
}

fn apply_patch(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
    options: &WriteOptions,
) -> Result<(Arc<Value>, bool), ApiError> {
    if request.query.get("fieldManager").is_none_or(str::is_empty) {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[cause]));
    }
    let applied = yaml(&request.body)?;
    let options = WriteOptions { applied: true, ..options.clone() };
    let force = request.query.flag("force");
    let old =
        target.key().map(|key| cluster.store.get(&key))?.map(|stored| convert::from_storage(target, &stored));
    let new = apply::merged(target, old.as_deref(), applied, &options, force, inputs.now)?;
    if old.is_some() {
        return update(cluster, inputs, target, new, &options).map(|object| (object, false));
    }
    if target.subresource.is_some() {
        let name = target.name.as_deref().unwrap_or_default();
        return Err(ApiError::not_found(&target.definition.id, name));
    }
    authorize::require_creation(cluster, request)?;
    create(cluster, inputs, target, new, &options).map(|object| (object, true))
}
