//! Plugin `ResourceQuota` and the controller behind it: what a namespace may hold, and how much of that it does.
//!
//! Pure. Usage is counted afresh from the store, which has one lock, so that nothing slips through between two requests;
//! the status of a quota only shows it.

pub(crate) mod usage;

use serde_json::{Value, json};

use self::usage::{Amounts, amounts};
use super::cluster::{Cluster, Inputs, Target};
use super::error::ApiError;
use super::json::{list, object, text};
use super::quantity::Quantity;
use super::write::{WriteOptions, update};
use crate::store::{GroupResource, ObjectKey};

/// Quotas on these want every container to say what it needs.
const TO_BE_SAID: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// Refuses a new object, or a claim that grows, for which its namespace has no room.
pub(crate) fn check(
    cluster: &Cluster,
    inputs: &Inputs<'_>,
    target: &Target,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), ApiError> {
    let resource = &target.definition.id;
    let grows = old.is_none() || target.definition.is("", "persistentvolumeclaims");
    if target.subresource.is_some() || !grows {
        return Ok(());
    }
    let mut wanted = usage::of(resource, new, inputs.now);
    if let Some(old) = old {
        let before = usage::of(resource, old, inputs.now);
        for (name, amount) in &mut wanted {
            if let Some(before) = before.get(name) {
                *amount = amount.minus(before);
            }
        }
    }
    wanted.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
    for quota in quotas(cluster, target.namespace.as_deref()) {
        let refuse = |why: &str| Err(ApiError::forbidden(resource, text(new, "/metadata/name"), why));
        let hard = amounts(quota.pointer("/spec/hard"));
        let concerned: Vec<&String> = hard.keys().filter(|name| counts(resource, name)).collect();
        if concerned.is_empty() || !covers(&quota, resource, new) {
            continue;
        }
        let name = text(&quota, "/metadata/name");
        if let (true, Some(missing)) = (target.definition.is("", "pods"), unsaid(new, &concerned)) {
            return refuse(&format!("failed quota: {name}: must specify {missing}"));
        }
        let used = used(cluster, inputs, &quota);
        if let Some(exceeded) = exceeded(&hard, &used, &wanted) {
            return refuse(&format!("exceeded quota: {name}, {exceeded}"));
        }
    }
    Ok(())
}

fn quotas(cluster: &Cluster, namespace: Option<&str>) -> Vec<Value> {
    if namespace.is_none() {
        return Vec::new();
    }
    let found = cluster.store.list(&GroupResource::new("", "resourcequotas"), namespace);
    found.iter().map(|(_, quota)| Value::clone(quota)).collect()
}

/// Whether objects of a resource count for a name in a quota.
fn counts(resource: &GroupResource, name: &str) -> bool {
    if name == format!("count/{resource}") {
        return true;
    }
    let is_one_of = |names: &[&str]| names.contains(&name);
    match (resource.group.as_str(), resource.resource.as_str()) {
        ("", "pods") => {
            is_one_of(&[
                "pods",
                "ephemeral-storage",
                "requests.ephemeral-storage",
                "limits.ephemeral-storage",
            ]) || is_one_of(&TO_BE_SAID)
                || ["hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix))
                || name.strip_prefix("requests.").is_some_and(|name| name.contains('/'))
        }
        ("", "persistentvolumeclaims") => {
            is_one_of(&["persistentvolumeclaims", "requests.storage"])
                || name.contains(".storageclass.storage.k8s.io/")
        }
        ("", "services") => is_one_of(&["services", "services.loadbalancers", "services.nodeports"]),
        ("", plain @ ("configmaps" | "secrets" | "resourcequotas" | "replicationcontrollers")) => {
            name == plain
        }
        _ => false,
    }
}

/// Whether an object is in all scopes of a quota. Only pods have any.
fn covers(quota: &Value, resource: &GroupResource, object: &Value) -> bool {
    let plain =
        list(quota.pointer("/spec/scopes")).map(|scope| json!({"scopeName": scope, "operator": "Exists"}));
    let selected = list(quota.pointer("/spec/scopeSelector/matchExpressions")).cloned();
    let is_pod = *resource == GroupResource::new("", "pods");
    plain.chain(selected).all(|requirement| is_pod && usage::is_in_scope(object, &requirement))
}

/// What containers leave out although a quota wants it said.
fn unsaid(pod: &Value, concerned: &[&String]) -> Option<String> {
    let of_pod = |kind: &str| !amounts(pod.pointer(&format!("/spec/resources/{kind}"))).is_empty();
    if of_pod("requests") || of_pod("limits") {
        return None;
    }
    let mut said = Vec::new();
    for name in TO_BE_SAID.iter().filter(|name| concerned.iter().any(|one| one == *name)) {
        let containers = ["containers", "initContainers"];
        let mut silent: Vec<&str> = containers
            .iter()
            .flat_map(|field| list(pod["spec"].get(*field)))
            .filter(|container| {
                let of = |kind: &str| amounts(container.pointer(&format!("/resources/{kind}")));
                !usage::in_quota(&of("requests"), &of("limits")).contains_key(*name)
            })
            .map(|container| text(container, "/name"))
            .collect();
        silent.sort_unstable();
        silent.dedup();
        if !silent.is_empty() {
            said.push(format!("{name} for: {}", silent.join(",")));
        }
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// All that the objects of a quota's namespace use of it.
fn used(cluster: &Cluster, inputs: &Inputs<'_>, quota: &Value) -> Amounts {
    let namespace = text(quota, "/metadata/namespace");
    let hard = amounts(quota.pointer("/spec/hard"));
    let mut sum: Amounts = hard.keys().map(|name| (name.clone(), Quantity::count(0))).collect();
    let resources =
        cluster.definitions.keys().filter(|resource| hard.keys().any(|name| counts(resource, name)));
    for resource in resources {
        for (_, object) in cluster.store.list(resource, Some(namespace)) {
            if covers(quota, resource, &object) {
                let own = usage::of(resource, &object, inputs.now);
                let own: Amounts = own.into_iter().filter(|(name, _)| hard.contains_key(name)).collect();
                usage::add(&mut sum, &own);
            }
        }
    }
    sum
}

fn exceeded(hard: &Amounts, used: &Amounts, wanted: &Amounts) -> Option<String> {
    let zero = Quantity::count(0);
    let is_over = |name: &&String| {
        let total = used.get(*name).unwrap_or(&zero).plus(&wanted[*name]);
        hard.get(*name).is_some_and(|most| total > *most)
    };
    let over: Vec<&String> = wanted.keys().filter(is_over).collect();
    if over.is_empty() {
        return None;
    }
    let shown = |of: &Amounts| -> String {
        let one = |name: &&String| format!("{name}={}", of.get(*name).unwrap_or(&zero).text());
        over.iter().map(one).collect::<Vec<_>>().join(",")
    };
    Some(format!("requested: {}, used: {}, limited: {}", shown(wanted), shown(used), shown(hard)))
}

/// Shows in the status of a namespace's quotas what is used, after an object was written or removed there.
pub(crate) fn report(cluster: &mut Cluster, inputs: &mut Inputs<'_>, key: &ObjectKey, is_new: bool) {
    let Some(namespace) = key.namespace.as_deref() else { return };
    let is_quota = key.resource == GroupResource::new("", "resourcequotas");
    for quota in quotas(cluster, Some(namespace)) {
        let names = amounts(quota.pointer("/spec/hard"));
        let is_own = is_quota && text(&quota, "/metadata/name") == key.name;
        if !is_own && !names.keys().any(|name| counts(&key.resource, name)) {
            continue;
        }
        // Who lets an object in says so; whatever else happens is counted by a controller.
        let writer = if is_new && !is_own { "kube-apiserver" } else { "kube-controller-manager" };
        let written = |of: &Amounts| -> Value {
            of.iter()
                .map(|(name, amount)| (name.clone(), json!(amount.text())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let status = json!({
            "hard": written(&names),
            "used": written(&used(cluster, inputs, &quota)),
        });
        if quota.get("status") == Some(&status) {
            continue;
        }
        let mut told = quota.clone();
        object(&mut told, "status");
        told["status"] = status;
        let target = Target {
            subresource: Some("status".to_owned()),
            ..cluster.own_target("", "resourcequotas").named(Some(namespace), text(&quota, "/metadata/name"))
        };
        let done = update(cluster, inputs, &target, told, &WriteOptions::of(writer));
        debug_assert!(done.is_ok(), "a status that was counted is valid: {done:?}");
    }
}
