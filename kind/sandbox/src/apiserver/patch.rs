//! Patches: computing the new object from the old one. JSON patch, merge patch, strategic merge patch and apply.
//!
//! Pure. The result takes the same road as an update, see [`super::write`].

use std::sync::Arc;

use serde_json::Value;

use super::authorize::{self, Attributes};
use super::cluster::{Cluster, Inputs, Target};
use super::error::ApiError;
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
    fn of(content_type: &str) -> Result<Self, ApiError> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(Self::Apply),
            other => Err(ApiError::unsupported_media_type(other)),
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
    // Unless the patch itself names a version, it applies to whatever is there now.
    update(cluster, inputs, target, new, options).map(|object| (object, false))
}

/// The object after a patch that is not an apply.
pub(crate) fn patched(target: &Target, kind: PatchKind, old: &Value, body: &[u8]) -> Result<Value, ApiError> {
    let unreadable =
        |error: serde_json::Error| ApiError::bad_request(format!("error decoding patch: {error}"));
    let mut new = old.clone();
    match kind {
        PatchKind::Json => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(unreadable)?;
            json_patch::patch(&mut new, &patch).map_err(|error| {
                ApiError::unprocessable(&format!(
                    "the server rejected our request due to an error in our request: {error}"
                ))
            })?;
        }
        PatchKind::Merge => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            json_patch::merge(&mut new, &patch);
        }
        PatchKind::Strategic if target.definition.is_custom() => {
            return Err(ApiError::unsupported_media_type("application/strategic-merge-patch+json"));
        }
        PatchKind::Strategic => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            strategic::merge(&mut new, &patch)?;
        }
        PatchKind::Apply => return Err(ApiError::internal("an apply is not a merge")),
    }
    Ok(new)
}

/// A view of an object (a `Scale`, a pod for its ephemeral containers) after the request's patch.
pub(crate) fn patched_by_request(
    target: &Target,
    view: &Value,
    request: &ApiRequest,
) -> Result<Value, ApiError> {
    match PatchKind::of(&request.content_type)? {
        // These views have no owners of their own, so an apply is laid over them like a strategic merge.
        PatchKind::Apply => {
            let mut new = view.clone();
            strategic::merge(&mut new, &yaml(&request.body)?)?;
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
        let why = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(ApiError::unprocessable(why));
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
    if let Some(creation) = Attributes::creation_by(request) {
        authorize::require(cluster, &request.user, &creation)?;
    }
    create(cluster, inputs, target, new, &options).map(|object| (object, true))
}
