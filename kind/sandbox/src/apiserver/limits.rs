//! Plugin `LimitRanger`: defaults and bounds for what containers, pods and claims ask for, by the LimitRanges of their
//! namespace.
//!
//! Pure.

use serde_json::{Map, Value, json};

use super::cluster::{Cluster, Target};
use super::error::ApiError;
use super::json::{entries, list, object, text};
use super::quantity::Quantity;
use super::quota::usage::{Amounts, amounts, of_whole_pod};
use crate::store::GroupResource;

/// Where the plugin says what it has set.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

fn ranges(cluster: &Cluster, target: &Target) -> Vec<Value> {
    let resource = GroupResource::new("", "limitranges");
    let found = cluster.store.list(&resource, target.namespace.as_deref());
    found.iter().flat_map(|(_, range)| list(range.pointer("/spec/limits")).cloned()).collect()
}

/// Gives the containers of a new pod what they do not say themselves. True when anything was set.
pub(crate) fn set_defaults(cluster: &Cluster, target: &Target, pod: &mut Value) -> bool {
    let limits: Vec<Value> =
        ranges(cluster, target).into_iter().filter(|limit| text(limit, "/type") == "Container").collect();
    let mut said = Vec::new();
    for limit in &limits {
        for (field, what) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = pod["spec"].get_mut(field).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                said.extend(complete(container, limit, what));
            }
        }
    }
    if said.is_empty() {
        return false;
    }
    let annotations = object(pod, "metadata").entry("annotations").or_insert_with(|| json!({}));
    annotations[ANNOTATION] = json!(format!("LimitRanger plugin set: {}", said.join("; ")));
    true
}

fn complete(container: &mut Value, limit: &Value, what: &str) -> Vec<String> {
    let name = text(container, "/name").to_owned();
    let mut set = |field: &str, defaults: Option<&Value>| -> Vec<String> {
        let mut added: Vec<String> = Vec::new();
        object(container, "resources");
        let own = object(&mut container["resources"], field);
        for (resource, amount) in entries(defaults) {
            if !own.contains_key(resource) {
                own.insert(resource.clone(), amount.clone());
                added.push(resource.clone());
            }
        }
        added
    };
    let limits = set("limits", limit.get("default"));
    let requests = set("requests", limit.get("defaultRequest"));
    let sentence = |added: Vec<String>, kind: &str| {
        (!added.is_empty()).then(|| format!("{} {kind} for {what} {name}", added.join(", ")))
    };
    [sentence(requests, "request"), sentence(limits, "limit")].into_iter().flatten().collect()
}

/// Refuses what asks for less or more than the namespace allows.
pub(crate) fn check(cluster: &Cluster, target: &Target, new: &Value) -> Result<(), ApiError> {
    let is_pod = target.definition.is("", "pods");
    if !is_pod && !target.definition.is("", "persistentvolumeclaims") {
        return Ok(());
    }
    let mut said: Vec<String> = Vec::new();
    for limit in ranges(cluster, target) {
        match (text(&limit, "/type"), is_pod) {
            ("Container", true) => {
                for field in ["containers", "initContainers"] {
                    for container in list(new["spec"].get(field)) {
                        let of = |kind: &str| amounts(container.pointer(&format!("/resources/{kind}")));
                        said.extend(bounds(&limit, &of("requests"), &of("limits")));
                    }
                }
            }
            ("Pod", true) => {
                said.extend(bounds(&limit, &of_whole_pod(new, "requests"), &of_whole_pod(new, "limits")));
            }
            ("PersistentVolumeClaim", false) => {
                said.extend(of_claim(&limit, &amounts(new.pointer("/spec/resources/requests"))));
            }
            _ => {}
        }
    }
    let mut once: Vec<String> = Vec::new();
    for sentence in said {
        if !once.contains(&sentence) {
            once.push(sentence);
        }
    }
    let why = match once.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(ApiError::forbidden(&target.definition.id, text(new, "/metadata/name"), &why))
}

fn bounds(limit: &Value, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let kind = text(limit, "/type");
    let mut said = Vec::new();
    for (name, least) in amounts(limit.get("min")) {
        said.extend(too_little(
            &format!("minimum {name} usage per {kind} is {}", least.text()),
            &least,
            requests.get(&name),
            limits.get(&name),
        ));
    }
    for (name, most) in amounts(limit.get("max")) {
        said.extend(too_much(
            &format!("maximum {name} usage per {kind} is {}", most.text()),
            &most,
            requests.get(&name),
            limits.get(&name),
        ));
    }
    for (name, most) in amounts(limit.get("maxLimitRequestRatio")) {
        let beginning = format!("{name} max limit to request ratio per {kind} is {}", most.text());
        said.extend(too_uneven(&beginning, &most, requests.get(&name), limits.get(&name)));
    }
    said
}

fn too_little(
    beginning: &str,
    least: &Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    match (request, limit) {
        (None, _) => Some(format!("{beginning}.  No request is specified")),
        (Some(request), _) if request < least => {
            Some(format!("{beginning}, but request is {}", request.text()))
        }
        (_, Some(limit)) if limit < least => Some(format!("{beginning}, but limit is {}", limit.text())),
        _ => None,
    }
}

fn too_much(
    beginning: &str,
    most: &Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    match (request, limit) {
        (_, None) => Some(format!("{beginning}.  No limit is specified")),
        (_, Some(limit)) if limit > most => Some(format!("{beginning}, but limit is {}", limit.text())),
        (Some(request), _) if request > most => {
            Some(format!("{beginning}, but request is {}", request.text()))
        }
        _ => None,
    }
}

fn too_uneven(
    beginning: &str,
    most: &Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    let is_set = |one: &&Quantity| !one.is_zero();
    let Some(request) = request.filter(is_set) else {
        return Some(format!("{beginning}, but no request is specified or request is 0"));
    };
    let Some(limit) = limit.filter(is_set) else {
        return Some(format!("{beginning}, but no limit is specified or limit is 0"));
    };
    let ratio = limit.ratio(request);
    let is_too_much = ratio > most.ratio(&Quantity::count(1));
    is_too_much.then(|| format!("{beginning}, but provided ratio is {ratio:.6}"))
}

/// Claims have requests only.
fn of_claim(limit: &Value, requests: &Amounts) -> Vec<String> {
    let kind = "PersistentVolumeClaim";
    let mut said = Vec::new();
    for (name, least) in amounts(limit.get("min")) {
        let beginning = format!("minimum {name} usage per {kind} is {}", least.text());
        said.extend(too_little(&beginning, &least, requests.get(&name), None));
    }
    for (name, most) in amounts(limit.get("max")) {
        let beginning = format!("maximum {name} usage per {kind} is {}", most.text());
        match requests.get(&name) {
            None => said.push(format!("{beginning}.  No request is specified")),
            Some(request) if *request > most => {
                said.push(format!("{beginning}, but request is {}", request.text()));
            }
            Some(_) => {}
        }
    }
    said
}

/// What a range's own fields say of one another: a maximum is a default limit, which is a default request.
pub(crate) fn complete_range(range: &mut Value) {
    let limits = range.pointer_mut("/spec/limits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter(|limit| text(limit, "/type") == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let source: Map<String, Value> =
                limit.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
            let own = object(limit, to);
            for (name, amount) in source {
                own.entry(name).or_insert(amount);
            }
        }
    }
}
