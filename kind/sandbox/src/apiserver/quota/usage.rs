//! How much of a namespace's quota an object uses.
//!
//! Pure. The names are those of `k8s.io/kubernetes/pkg/quota/v1/evaluator/core`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::apiserver::json::{entries, list, text};
use crate::apiserver::quantity::Quantity;
use crate::store::GroupResource;

/// Amounts by the name of their resource.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// Reads a list of resources; what is no quantity is not in it.
pub(crate) fn amounts(written: Option<&Value>) -> Amounts {
    entries(written)
        .filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(amount.as_str()?).ok()?)))
        .collect()
}

/// Adds one list of resources to another.
pub(super) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let total = sum.get(name).map_or_else(|| amount.clone(), |held| held.plus(amount));
        sum.insert(name.clone(), total);
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if most.get(name).is_none_or(|held| held < amount) {
            most.insert(name.clone(), amount.clone());
        }
    }
}

/// What a pod asks for, or is limited to, as a whole: all containers together, or the hungriest of those before them.
pub(crate) fn of_whole_pod(pod: &Value, kind: &str) -> Amounts {
    let of = |container: &Value| amounts(container.pointer(&format!("/resources/{kind}")));
    let mut sum = Amounts::new();
    list(pod.pointer("/spec/containers")).for_each(|one| add(&mut sum, &of(one)));
    let (mut beside, mut first) = (Amounts::new(), Amounts::new());
    for container in list(pod.pointer("/spec/initContainers")) {
        let mut own = of(container);
        if text(container, "/restartPolicy") == "Always" {
            add(&mut sum, &own);
            add(&mut beside, &own);
            raise(&mut first, &beside);
        } else {
            add(&mut own, &beside);
            raise(&mut first, &own);
        }
    }
    raise(&mut sum, &first);
    for (name, amount) in amounts(pod.pointer(&format!("/spec/resources/{kind}"))) {
        sum.insert(name, amount);
    }
    add(&mut sum, &amounts(pod.pointer("/spec/overhead")));
    sum
}

/// What a container's or a pod's requests and limits are called in a quota.
pub(super) fn in_quota(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::from([("pods".to_owned(), Quantity::count(1))]);
    for (name, amount) in requests {
        let is_plain = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if is_plain || name.starts_with("hugepages-") {
            used.insert(name.clone(), amount.clone());
        }
        if is_plain || name.starts_with("hugepages-") || name.contains('/') {
            used.insert(format!("requests.{name}"), amount.clone());
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), amount.clone());
        }
    }
    used
}

/// What an object uses.
pub(super) fn of(resource: &GroupResource, object: &Value, now: Timestamp) -> Amounts {
    let one = || Quantity::count(1);
    let mut used = Amounts::from([(format!("count/{resource}"), one())]);
    match (resource.group.as_str(), resource.resource.as_str()) {
        ("", "pods") if !has_ended(object, now) => {
            let (requests, limits) = (of_whole_pod(object, "requests"), of_whole_pod(object, "limits"));
            used.extend(in_quota(&requests, &limits));
        }
        ("", "persistentvolumeclaims") => {
            let class = text(object, "/spec/storageClassName");
            let mut count = |name: &str, amount: Quantity| {
                if !class.is_empty() {
                    let by_class = format!("{class}.storageclass.storage.k8s.io/{name}");
                    used.insert(by_class, amount.clone());
                }
                used.insert(name.to_owned(), amount);
            };
            count("persistentvolumeclaims", one());
            if let Ok(size) = Quantity::parse(text(object, "/spec/resources/requests/storage")) {
                count("requests.storage", size);
            }
        }
        ("", "services") => {
            used.insert("services".to_owned(), one());
            let ports = list(object.pointer("/spec/ports")).count();
            let kind = text(object, "/spec/type");
            let on_nodes = if matches!(kind, "NodePort" | "LoadBalancer") { ports } else { 0 };
            let balanced = u32::from(kind == "LoadBalancer");
            used.insert("services.loadbalancers".to_owned(), Quantity::count(balanced));
            let on_nodes = u32::try_from(on_nodes).unwrap_or(u32::MAX);
            used.insert("services.nodeports".to_owned(), Quantity::count(on_nodes));
        }
        ("", "configmaps" | "secrets" | "resourcequotas" | "replicationcontrollers") => {
            used.insert(resource.resource.clone(), one());
        }
        _ => {}
    }
    used
}

/// A pod that has ended uses nothing, nor does one that should have left.
fn has_ended(pod: &Value, now: Timestamp) -> bool {
    let leaves: Option<Timestamp> = text(pod, "/metadata/deletionTimestamp").parse().ok();
    let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let is_late = match (leaves, grace) {
        (Some(leaves), Some(grace)) => {
            now > leaves.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(Timestamp::MAX)
        }
        _ => false,
    };
    is_late || matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
}

/// Whether a pod is in a scope of a quota.
pub(super) fn is_in_scope(pod: &Value, requirement: &Value) -> bool {
    let is_best_effort = || text(pod, "/status/qosClass") == "BestEffort";
    let has_deadline = || pod.pointer("/spec/activeDeadlineSeconds").is_some();
    match text(requirement, "/scopeName") {
        "Terminating" => has_deadline(),
        "NotTerminating" => !has_deadline(),
        "BestEffort" => is_best_effort(),
        "NotBestEffort" => !is_best_effort(),
        "PriorityClass" => {
            let class = text(pod, "/spec/priorityClassName");
            let listed = list(requirement.get("values")).any(|value| value == class);
            match text(requirement, "/operator") {
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                "NotIn" => !listed,
                _ => !class.is_empty() && listed,
            }
        }
        _ => false,
    }
}
