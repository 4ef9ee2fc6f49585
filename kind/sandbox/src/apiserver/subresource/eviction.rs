//! `pods/eviction`: a deletion that a PodDisruptionBudget may refuse.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pod::success;
use crate::apiserver::answer::{Answer, read_delete_options, write_options};
use crate::apiserver::cluster::{Cluster, Inputs, Target, time_text};
use crate::apiserver::error::ApiError;
use crate::apiserver::json::{list, text};
use crate::apiserver::request::ApiRequest;
use crate::apiserver::write::WriteOptions;
use crate::apiserver::{collect, read, write};
use crate::store::selector::Selector;
use crate::store::{GroupResource, ObjectKey};

/// Deletes a pod if its PodDisruptionBudget allows it now.
pub(super) fn evict(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    request: &ApiRequest,
) -> Result<Answer, ApiError> {
    let eviction = request.body_object()?;
    if Some(text(&eviction, "/metadata/name")) != target.name.as_deref() {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let wishes = eviction.get("deleteOptions").cloned().unwrap_or_else(|| json!({}));
    let options = read_delete_options(&wishes, &request.query)?;
    // The rehearsal may be asked for in the eviction's own options, too.
    let mut scratch = list(wishes.get("dryRun")).any(|one| one == "All").then(|| cluster.clone());
    let cluster = scratch.as_mut().unwrap_or(cluster);
    let pod = read::get(cluster, target)?;
    let unguarded = matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed" | "Pending")
        || pod.pointer("/metadata/deletionTimestamp").is_some();
    if !unguarded && let Some((key, budget)) = budget_of(cluster, &pod)? {
        spend(cluster, inputs, &key, &budget, &pod)?;
    }
    check_preconditions(&options, &pod)?;
    let targeted = condition(inputs, &pod);
    write::replace(cluster, inputs, target, &pod, targeted, &write_options(request))?;
    // The version that was asked for was the one before the condition was written.
    let options = collect::DeleteOptions { resource_version: None, ..options };
    collect::delete(cluster, inputs, &target.definition.id, &target.key()?, &options)?;
    Ok(success())
}

/// Refuses before anything is written to the pod; the words name its kind where others name the resource.
fn check_preconditions(options: &collect::DeleteOptions, pod: &Value) -> Result<(), ApiError> {
    let refuse =
        |why: &str| Err(ApiError::conflict(&GroupResource::new("", "Pod"), text(pod, "/metadata/name"), why));
    let (uid, version) = (text(pod, "/metadata/uid"), text(pod, "/metadata/resourceVersion"));
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| !wanted.is_empty() && *wanted != uid) {
        return refuse(&format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been \
             deleted and then recreated"
        ));
    }
    let other = |wanted: &&str| !wanted.is_empty() && *wanted != version;
    if let Some(wanted) = options.resource_version.as_deref().filter(other) {
        return refuse(&format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). \
             The object might have been modified"
        ));
    }
    Ok(())
}

/// The pod, told why it goes.
fn condition(inputs: &Inputs<'_>, pod: &Value) -> Value {
    let mut targeted = pod.clone();
    let mut conditions: Vec<Value> = list(pod.pointer("/status/conditions"))
        .filter(|one| one["type"] != "DisruptionTarget")
        .cloned()
        .collect();
    conditions.push(json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": inputs.now_text(),
    }));
    targeted["status"]["conditions"] = Value::Array(conditions);
    targeted
}

fn budget_of(cluster: &Cluster, pod: &Value) -> Result<Option<(ObjectKey, Arc<Value>)>, ApiError> {
    let resource = GroupResource::new("policy", "poddisruptionbudgets");
    let namespace = text(pod, "/metadata/namespace");
    let mut found = cluster.store.list(&resource, Some(namespace)).into_iter().filter(|(_, budget)| {
        let selector = budget.pointer("/spec/selector");
        selector.and_then(|one| Selector::from_object(one).ok()).is_some_and(|selector| selector.matches(pod))
    });
    let first = found.next();
    if found.next().is_some() { Err(ApiError::several_budgets()) } else { Ok(first) }
}

/// Takes one allowed disruption, or refuses.
fn spend(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    key: &ObjectKey,
    budget: &Arc<Value>,
    pod: &Value,
) -> Result<(), ApiError> {
    let number = |pointer: &str| budget.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let (healthy, desired) = (number("/status/currentHealthy"), number("/status/desiredHealthy"));
    let ready =
        list(pod.pointer("/status/conditions")).any(|one| one["type"] == "Ready" && one["status"] == "True");
    let always = text(budget, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow";
    if !ready && (always || (desired > 0 && healthy >= desired)) {
        return Ok(());
    }
    if number("/status/observedGeneration") < number("/metadata/generation") {
        let message = format!("The disruption budget {} is still being processed by the server.", key.name);
        return Err(ApiError::disruption_budget(&message, Some(10)));
    }
    let allowed = number("/status/disruptionsAllowed");
    if allowed <= 0 {
        let message = format!(
            "The disruption budget {} needs {desired} healthy pods and has {healthy} currently",
            key.name
        );
        return Err(ApiError::disruption_budget(&message, None));
    }
    let mut spent = Value::clone(budget);
    spent["status"]["disruptionsAllowed"] = json!(allowed - 1);
    if allowed == 1 {
        exhaust(inputs, &mut spent);
    }
    spent["status"]["disruptedPods"][text(pod, "/metadata/name")] = json!(time_text(inputs.now));
    let mut target =
        cluster.own_target("policy", "poddisruptionbudgets").named(key.namespace.as_deref(), &key.name);
    target.subresource = Some("status".to_owned());
    write::replace(cluster, inputs, &target, budget, spent, &WriteOptions::own())?;
    Ok(())
}

/// Says that the budget allows no further disruption.
fn exhaust(inputs: &Inputs<'_>, budget: &mut Value) {
    let generation = budget["metadata"]["generation"].clone();
    let now = inputs.now_text();
    let conditions = budget["status"]["conditions"].as_array_mut();
    for condition in conditions.into_iter().flatten().filter(|one| one["type"] == "DisruptionAllowed") {
        if condition["status"] != "False" {
            condition["lastTransitionTime"] = now.clone();
        }
        condition["status"] = json!("False");
        condition["reason"] = json!("InsufficientPods");
        condition["observedGeneration"] = generation.clone();
    }
}
