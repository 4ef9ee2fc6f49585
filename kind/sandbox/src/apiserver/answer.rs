//! From a request to an answer: which verb, which subresource. The table of contents of the API server.
//!
//! Pure: what needs a connection (watch, log, proxy) is returned as data for [`super::serve`].

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::cluster::{Cluster, Inputs, Target};
use super::collect::{self, DeleteOptions, Deletion, Propagation};
use super::decode::FieldValidation;
use super::defects::Defect;
use super::error::{ApiError, Cause};
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
    if is_dry_run(request) && !Defect::DryRunStored.is_planted() {
        let mut scratch = cluster.clone();
        let before = target.key().ok().and_then(|key| cluster.store.get(&key));
        return verb(&mut scratch, inputs, &target, path, request)
            .map(|answer| unstored(answer, before, request));
    }
    verb(cluster, inputs, &target, path, request)
}

/// Options of a deletion that come in its body make those in its query count for nothing.
fn is_dry_run(request: &ApiRequest) -> bool {
    if request.method != Method::DELETE || request.body.is_empty() {
        return request.query.dry_run();
    }
    let options = request.body_object().unwrap_or_default();
    super::json::list(options.get("dryRun")).any(|one| one == "All")
}

/// What would be answered if the object had been stored; its version is still that of what is there.
fn unstored(answer: Answer, before: Option<Arc<Value>>, request: &ApiRequest) -> Answer {
    match answer {
        Answer::Object(code, target, object) if target.is_some() || object["kind"] == "Scale" => {
            let mut object = Value::clone(&object);
            // Without anything stored, a version that was sent is left as it is.
            let before = match before {
                None if request.method == Method::PUT => request.body_object().ok().map(Arc::new),
                before => before,
            };
            let version = before.and_then(|before| before["metadata"].get("resourceVersion").cloned());
            super::json::set_or_remove(
                super::json::object(&mut object, "metadata"),
                "resourceVersion",
                version,
            );
            Answer::Object(code, target, Arc::new(object))
        }
        other => other,
    }
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
        (&Method::GET, false) if request.query.flag("watch") => {
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
            let exists = cluster.store.get(&target.key()?).is_some();
            if !exists && whole && target.definition.is_created_by_update() {
                let mut sent = sent;
                super::json::object(&mut sent, "metadata").remove("resourceVersion");
                authorize::require_creation(cluster, request)?;
                let object = write::create(cluster, inputs, target, sent, &options)?;
                return Ok(Answer::Object(201, Some(target.clone()), object));
            }
            if exists {
                super::validation::require_version(target, &sent)?;
            }
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
        whole: request.method == Method::PUT,
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
        Deletion::Gone(object) if target.definition.shows_deleted() => {
            Ok(Answer::Object(200, Some(target.clone()), super::convert::from_storage(target, &object)))
        }
        Deletion::Gone(object) => {
            let mut details =
                json!({"name": key.name, "kind": id.resource, "uid": text(&object, "/metadata/uid")});
            if !id.group.is_empty() {
                details["group"] = json!(id.group);
            }
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
    if request.body.is_empty() {
        return read_delete_options(&json!({}), &request.query);
    }
    read_delete_options(&request.body_object()?, &Query::default())
}

fn invalid_options(cause: &Cause) -> ApiError {
    ApiError::invalid("meta.k8s.io", "DeleteOptions", "", std::slice::from_ref(cause))
}

/// As [`delete_options`], from a body that was read already (an eviction carries its own).
pub(crate) fn read_delete_options(body: &Value, query: &Query) -> Result<DeleteOptions, ApiError> {
    let policy = body.get("propagationPolicy").and_then(Value::as_str).or(query.get("propagationPolicy"));
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    let propagation = match (policy, orphan) {
        (Some(policy), Some(_)) => {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return Err(invalid_options(&Cause::invalid("propagationPolicy", &json!(policy), why)));
        }
        (Some("Background"), _) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), None) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"].map(str::to_owned);
            return Err(invalid_options(&Cause::unsupported("propagationPolicy", &json!(other), &supported)));
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
