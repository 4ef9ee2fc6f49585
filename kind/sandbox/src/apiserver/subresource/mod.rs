//! Subresources other than `status`: which there are, and where each is answered.
//!
//! Pure.

mod eviction;
mod pod;
mod scale;
mod stream;
mod token;

pub(crate) use pod::ProxyPlan;
pub(crate) use stream::StreamPlan;

use http::Method;

use super::answer::Answer;
use super::cluster::{Cluster, Inputs, Target};
use super::error::ApiError;
use super::request::{ApiRequest, ResourcePath};

/// Answers a request for a subresource.
pub(crate) fn answer(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    path: &ResourcePath,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let is_pod = target.definition.is("", "pods");
    match (target.subresource.as_deref(), &request.method) {
        (Some("scale"), _) if target.definition.scale => scale::answer(cluster, inputs, target, request),
        (Some("binding"), &Method::POST) if is_pod => pod::bind(cluster, inputs, target, request),
        (Some("eviction"), &Method::POST) if is_pod => eviction::evict(cluster, inputs, target, request),
        (Some("ephemeralcontainers"), _) if is_pod => {
            pod::ephemeral_containers(cluster, inputs, target, request)
        }
        (Some("log"), &Method::GET) if is_pod => pod::log(cluster, target, request),
        (Some(kind @ ("exec" | "attach")), &Method::GET | &Method::POST) if is_pod => {
            stream::session(cluster, target, kind, request)
        }
        (Some("portforward"), &Method::GET | &Method::POST) if is_pod => {
            stream::ports(cluster, target, request)
        }
        (Some("exec" | "attach" | "portforward"), _) if is_pod => Err(ApiError::method_not_allowed()),
        (Some("proxy"), _) if is_pod => pod::proxy(cluster, target, path, request),
        (Some("token"), &Method::POST) if target.definition.is("", "serviceaccounts") => {
            token::issue(cluster, inputs, target, request)
        }
        (Some("finalize"), &Method::PUT) if target.definition.is("", "namespaces") => {
            finalize(cluster, inputs, target, request)
        }
        _ => Err(not_served(target)),
    }
}

/// A custom resource without this subresource, in this version, answers as if the object were not there.
fn not_served(target: &Target) -> ApiError {
    match &target.name {
        Some(name) if target.definition.is_custom() => ApiError::not_found(&target.definition.id, name),
        Some(_) | None => ApiError::no_such_path(),
    }
}

/// A namespace's `spec.finalizers` are changed through this subresource only.
fn finalize(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let options = super::answer::write_options(request);
    let sent = request.body_object()?;
    let object = super::write::update(cluster, inputs, target, sent, &options)?;
    Ok(Answer::Object(200, Some(target.clone()), object))
}
