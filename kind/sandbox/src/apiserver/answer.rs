//! From a request to an answer: which verb, which subresource. The table of contents of the API server.
//!
//! Pure: what needs a connection (watch, log, proxy) is returned as data for [`super::serve`].

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::cluster::{Cluster, Inputs, Target};
use super::collect::{self, DeleteOptions, Deletion, Propagation};
use super::decode::FieldValidation;
use super::error::ApiError;
use super::inputs::LogRequest;
use super::json::text;
use super::read::{self, Page};
use super::request::{ApiRequest, Query, ResourcePath, Route};
use super::subresource;
use super::watch::WatchPlan;
use super::write::{self, WriteOptions};
use super::{authorize, discovery, patch, review};

/// What is to be sent.
pub(crate) enum Answer {
    /// One object.
    Object(u16, Option<Target>, Arc<Value>),
    /// A list of objects.
    List(Target, Page),
    /// A JSON document that is no API object.
    Document(Value),
    /// Plain text.
    Text(&'static str),
    /// A stream of changes.
    Watch(Box<WatchPlan>),
    /// A container's log.
    Log(LogRequest),
    /// A request to a pod.
    Proxy(Box<subresource::ProxyPlan>),
    /// A conversation with a pod, over an upgraded connection.
    Stream(Box<subresource::StreamPlan>),
}

/// Answers a request, changing the cluster if it says so.
pub(crate) fn answer(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    authorize::check(cluster, request)?;
    let path = match &request.route {
        Route::Resource(path) => path,
        Route::Other(segments) => return discovery::answer(cluster, segments, request),
    };
    if review::serves(path) {
        return review::answer(cluster, inputs, path, request);
    }
    let target = cluster.target(path)?;
    if request.query.dry_run() {
        let mut scratch = cluster.clone();
        return verb(&mut scratch, inputs, &target, path, request);
    }
    verb(cluster, inputs, &target, path, request)
}

fn verb(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    path: &ResourcePath,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    match target.subresource.as_deref() {
        None => {}
        Some("status") if super::strategy::has_status(target) => {}
        Some(_) => return subresource::answer(cluster, inputs, target, path, request),
    }
    let options = write_options(request);
    let shown = |object| Answer::Object(200, Some(target.clone()), object);
    let whole = target.subresource.is_none();
    match (&request.method, target.name.is_some()) {
        (&Method::GET, _) if request.query.flag("watch") => {
            WatchPlan::new(target, request).map(|plan| Answer::Watch(Box::new(plan)))
        }
        (&Method::GET, true) => read::get(cluster, target).map(shown),
        (&Method::GET, false) => {
            read::list(cluster, target, &request.query).map(|page| Answer::List(target.clone(), page))
        }
        (&Method::POST, false) => {
            let object = write::create(cluster, inputs, target, request.body_object()?, &options)?;
            Ok(Answer::Object(201, Some(target.clone()), object))
        }
        (&Method::PUT, true) => {
            let sent = request.body_object()?;
            super::validation::require_version(target, &sent)?;
            write::update(cluster, inputs, target, sent, &options).map(shown)
        }
        (&Method::PATCH, true) => {
            let (object, created) = patch::patch(cluster, inputs, target, request, &options)?;
            Ok(Answer::Object(if created { 201 } else { 200 }, Some(target.clone()), object))
        }
        (&Method::DELETE, true) if whole => delete(cluster, inputs, target, request),
        (&Method::DELETE, false) if whole => delete_collection(cluster, inputs, target, request),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// How the request wants its write recorded and checked.
pub(crate) fn write_options(request: &ApiRequest) -> WriteOptions {
    WriteOptions {
        manager: request.field_manager(),
        field_validation: FieldValidation::from_query(request.query.get("fieldValidation")),
        applied: false,
        user: Some(request.user.clone()),
    }
}

fn delete(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let options = delete_options(request)?;
    let id = &target.definition.id;
    let key = target.key()?;
    super::validation::on_delete(target, &key.name)?;
    match collect::delete(cluster, inputs, id, &key, &options)? {
        Deletion::Pending(object) => {
            Ok(Answer::Object(200, Some(target.clone()), super::convert::from_storage(target, &object)))
        }
        Deletion::Gone(object) => {
            let details = json!({
                "name": key.name, "group": id.group, "kind": id.resource, "uid": text(&object, "/metadata/uid"),
            });
            Ok(Answer::Document(json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            })))
        }
    }
}

fn delete_collection(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    if target.definition.namespaced && target.namespace.is_none() || target.definition.is("", "namespaces") {
        return Err(ApiError::method_not_allowed());
    }
    let options = delete_options(request)?;
    let page = read::list(cluster, target, &request.query)?;
    for object in &page.items {
        let key = target.definition.key(target.namespace.as_deref(), text(object, "/metadata/name"));
        match collect::delete(cluster, inputs, &target.definition.id, &key, &options) {
            Ok(_) => {}
            // An earlier deletion of this loop may have taken it along.
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Answer::List(target.clone(), page))
}

/// Reads `DeleteOptions` from the body, or from the query.
pub(crate) fn delete_options(request: &ApiRequest) -> Result<DeleteOptions, ApiError> {
    let body = if request.body.is_empty() { json!({}) } else { request.body_object()? };
    read_delete_options(&body, &request.query)
}

/// As [`delete_options`], from a body that was read already (an eviction carries its own).
pub(crate) fn read_delete_options(body: &Value, query: &Query) -> Result<DeleteOptions, ApiError> {
    let policy = body.get("propagationPolicy").and_then(Value::as_str).or(query.get("propagationPolicy"));
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    let propagation = match (policy, orphan) {
        (Some("Background"), _) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            let why = format!(
                "invalid propagationPolicy {other:?}: supported are Background, Foreground and Orphan"
            );
            return Err(ApiError::unprocessable(&why));
        }
    };
    let in_query = query.number("gracePeriodSeconds")?.map(u64::cast_signed);
    let precondition = |field: &str| body.pointer(&format!("/preconditions/{field}")).and_then(Value::as_str);
    Ok(DeleteOptions {
        grace_seconds: body.get("gracePeriodSeconds").and_then(Value::as_i64).or(in_query),
        propagation,
        uid: precondition("uid").map(str::to_owned),
        resource_version: precondition("resourceVersion").map(str::to_owned),
    })
}
