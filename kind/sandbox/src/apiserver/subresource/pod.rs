//! Subresources of pods: binding, ephemeral containers, log and proxy.
//!
//! Pure; log and proxy end in a plan that [`crate::apiserver::forward`] carries out.

use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::apiserver::answer::{Answer, write_options};
use crate::apiserver::cluster::{Cluster, Inputs, Target};
use crate::apiserver::error::{ApiError, Cause};
use crate::apiserver::inputs::LogRequest;
use crate::apiserver::json::{list, text};
use crate::apiserver::request::{ApiRequest, Query, ResourcePath};
use crate::apiserver::{patch, read, strategy, write};
use crate::store::GroupResource;

/// A request to forward to a pod.
#[derive(Clone, Debug)]
pub(crate) struct ProxyPlan {
    pub(crate) pod: Value,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Path and query, beginning with `/`.
    pub(crate) path: String,
}

pub(super) fn success() -> Answer {
    Answer::Object(
        201,
        None,
        Arc::new(
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        ),
    )
}

/// Binds a pod to a node, once.
pub(super) fn bind(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let binding = request.body_object()?;
    let node = text(&binding, "/target/name");
    let pod = read::get(cluster, target)?;
    let name = text(&pod, "/metadata/name");
    let conflict = |why: String| Err(ApiError::conflict(&GroupResource::new("", "pods/binding"), name, &why));
    let uid = text(&binding, "/metadata/uid");
    if !uid.is_empty() && uid != text(&pod, "/metadata/uid") {
        return conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            text(&pod, "/metadata/uid")
        ));
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let assigned = text(&pod, "/spec/nodeName");
    if !assigned.is_empty() {
        return conflict(format!("pod {name} is already assigned to node \"{assigned}\""));
    }
    let mut new = Value::clone(&pod);
    new["spec"]["nodeName"] = json!(node);
    let mut conditions: Vec<Value> = list(pod.pointer("/status/conditions"))
        .filter(|one| one["type"] != "PodScheduled")
        .cloned()
        .collect();
    conditions
        .push(json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": inputs.now_text()}));
    new["status"]["conditions"] = Value::Array(conditions);
    // Whoever binds a pod owns nothing of it.
    let options = write::WriteOptions { applied: true, ..write_options(request) };
    write::replace(cluster, inputs, target, &pod, new, &options)?;
    Ok(success())
}

/// Reads a pod, or adds ephemeral containers to it; those that are there can't change.
pub(super) fn ephemeral_containers(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let pod = read::get(cluster, target)?;
    let sent = match request.method {
        Method::GET => return Ok(Answer::Object(200, Some(target.clone()), pod)),
        Method::PUT => request.body_object()?,
        Method::PATCH => patch::patched_by_request(target, &pod, request)?,
        _ => return Err(ApiError::method_not_allowed()),
    };
    strategy::check_preconditions(target, &pod, &sent)?;
    let before: Vec<&Value> = list(pod.pointer("/spec/ephemeralContainers")).collect();
    let mut new = Value::clone(&pod);
    let wanted = sent.pointer("/spec/ephemeralContainers").cloned().unwrap_or_else(|| json!([]));
    let name = |container: &Value| text(container, "/name").to_owned();
    let kept = before.iter().all(|old| list(Some(&wanted)).any(|one| name(one) == name(old)));
    if !kept {
        let why = "existing ephemeral containers may not be removed";
        let cause = Cause::forbidden("spec.ephemeralContainers", why);
        return Err(ApiError::invalid("", "Pod", text(&pod, "/metadata/name"), &[cause]));
    }
    new["spec"]["ephemeralContainers"] = wanted;
    new["metadata"]["resourceVersion"] =
        sent["metadata"].get("resourceVersion").cloned().unwrap_or(Value::Null);
    let updated = write::update(cluster, inputs, target, new, &write_options(request))?;
    Ok(Answer::Object(200, Some(target.clone()), updated))
}

/// Finds the container whose log is meant.
pub(super) fn log(cluster: &Cluster, target: &Target, request: &ApiRequest) -> Result<Answer, ApiError> {
    let pod = read::get(cluster, target)?;
    let query = &request.query;
    let name = text(&pod, "/metadata/name");
    check_log_options(name, query)?;
    let container = container_of(&pod, query.get("container"))?;
    if text(&pod, "/spec/nodeName").is_empty() {
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    Ok(Answer::Log(LogRequest {
        namespace: text(&pod, "/metadata/namespace").to_owned(),
        pod: name.to_owned(),
        uid: text(&pod, "/metadata/uid").to_owned(),
        container,
        follow: query.flag("follow"),
        previous: query.flag("previous"),
        timestamps: query.flag("timestamps"),
        tail_lines: query.number("tailLines")?,
        since_seconds: query.number("sinceSeconds")?,
        limit_bytes: query.number("limitBytes")?,
    }))
}

fn check_log_options(pod: &str, query: &Query) -> Result<(), ApiError> {
    let limits = [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
        ("limitBytes", 1, "must be greater than 0"),
    ];
    let causes: Vec<Cause> = limits
        .into_iter()
        .filter_map(|(field, least, why)| {
            let asked: i64 = query.get(field)?.parse().ok()?;
            (asked < least).then(|| Cause::invalid(field, &json!(asked), why))
        })
        .collect();
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid("", "PodLogOptions", pod, &causes)) }
}

/// The container that is meant: the one named, or the only one, or the one that the pod names as its usual one.
pub(super) fn container_of(pod: &Value, named: Option<&str>) -> Result<String, ApiError> {
    let name = text(pod, "/metadata/name");
    let of = |field: &str| {
        list(pod.pointer(&format!("/spec/{field}"))).map(|one| text(one, "/name")).collect::<Vec<_>>()
    };
    let containers = of("containers");
    let all = [of("initContainers"), containers.clone(), of("ephemeralContainers")].concat();
    let preferred = text(pod, "/metadata/annotations/kubectl.kubernetes.io~1default-container");
    match (named.filter(|name| !name.is_empty()), containers.as_slice()) {
        (Some(named), _) if all.contains(&named) => Ok(named.to_owned()),
        (Some(named), _) => {
            Err(ApiError::bad_request(format!("container {named} is not valid for pod {name}")))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) if all.contains(&preferred) => Ok(preferred.to_owned()),
        (None, _) => {
            let choice = all.join(" ");
            let why = format!("a container name must be specified for pod {name}, choose one of: [{choice}]");
            Err(ApiError::bad_request(why))
        }
    }
}

/// Finds the address behind `pods/[scheme:]name[:port]/proxy/path`.
pub(super) fn proxy(
    cluster: &Cluster,
    target: &Target,
    path: &ResourcePath,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let named = target.name.clone().unwrap_or_default();
    let (name, port) = match named.split(':').collect::<Vec<_>>().as_slice() {
        [name] => (*name, ""),
        [name, port] | ["http", name, port] => (*name, *port),
        _ => return Err(ApiError::bad_request(format!("invalid pod request \"{named}\""))),
    };
    let pod = read::get(cluster, &target.named(target.namespace.as_deref(), name))?;
    let address = text(&pod, "/status/podIP").parse();
    let address = address.map_err(|_| ApiError::unavailable(format!("pod {name} has no address yet")))?;
    let mut rest = format!("/{}", path.rest);
    if !request.raw_query.is_empty() {
        rest = format!("{rest}?{}", request.raw_query);
    }
    let port = port_of(&pod, port)
        .ok_or_else(|| ApiError::bad_request(format!("no port {port:?} in pod {name}")))?;
    Ok(Answer::Proxy(Box::new(ProxyPlan { pod: Value::clone(&pod), address, port, path: rest })))
}

fn port_of(pod: &Value, wanted: &str) -> Option<u16> {
    if let Ok(number) = wanted.parse() {
        return Some(number);
    }
    let mut ports = list(pod.pointer("/spec/containers")).flat_map(|container| list(container.get("ports")));
    let found = ports.find(|port| wanted.is_empty() || text(port, "/name") == wanted);
    match found.and_then(|port| port["containerPort"].as_u64()) {
        Some(number) => u16::try_from(number).ok(),
        None => wanted.is_empty().then_some(80),
    }
}
