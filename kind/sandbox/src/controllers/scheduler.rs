//! The scheduler: a pod gets a node once there is one that takes it and all its claims are bound. Pure.
//!
//! It looks at node readiness, `unschedulable`, taints and `nodeSelector`, and at volume claims. It does not look at
//! resources, affinity, topology spread or priorities: the sandbox has one node, and what that can't hold it can't run.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::pods::{has_ended, is_terminating};
use super::snapshot::Snapshot;
use super::write::{Action, Outcome, Target, Write};

/// The scheduler that pods ask for unless they say otherwise.
const SCHEDULER_NAME: &str = "default-scheduler";

/// Binds the pods that can be bound, and tells the others why not.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for pod in snapshot.pods.iter().filter(|pod| is_waiting(pod)) {
        match place(snapshot, pod) {
            Ok(node) => outcome.push(bind(pod, node)),
            Err(reason) => outcome.writes.extend(explain(snapshot, pod, reason, now)),
        }
    }
    outcome
}

fn is_waiting(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let is_unbound = spec.node_name.as_deref().unwrap_or_default().is_empty();
    let is_ours = spec.scheduler_name.as_deref().unwrap_or(SCHEDULER_NAME) == SCHEDULER_NAME;
    let is_gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    is_unbound && is_ours && !is_gated && !is_terminating(pod) && !has_ended(pod)
}

fn place(snapshot: &Snapshot, pod: &Pod) -> Result<String, String> {
    claims_are_bound(snapshot, pod)?;
    let mut reasons = BTreeSet::new();
    for node in snapshot.nodes.iter() {
        match takes(node, pod) {
            Ok(()) => return Ok(node.name_any()),
            Err(reason) => reasons.insert(reason),
        };
    }
    Err(Vec::from_iter(reasons).join(", "))
}

fn claims_are_bound(snapshot: &Snapshot, pod: &Pod) -> Result<(), String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    for source in volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
        let name = &source.claim_name;
        let Some(claim) = snapshot.claims.get(pod.metadata.namespace.as_deref().unwrap_or_default(), name)
        else {
            return Err(format!("persistentvolumeclaim {name:?} not found"));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
        match claim.status.as_ref().and_then(|status| status.phase.as_deref()) {
            Some("Bound") => {}
            Some("Lost") => {
                return Err(format!(
                    "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
                ));
            }
            Some(_) | None => return Err("pod has unbound immediate PersistentVolumeClaims".into()),
        }
    }
    Ok(())
}

fn takes(node: &Node, pod: &Pod) -> Result<(), String> {
    let spec = node.spec.as_ref();
    if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        return Err("node(s) were unschedulable".into());
    }
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if !conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
        return Err("node(s) were not ready".into());
    }
    let taints = spec.into_iter().flat_map(|spec| spec.taints.iter().flatten());
    let mut repelling =
        taints.filter(|taint| taint.effect != "PreferNoSchedule" && !is_tolerated(pod, taint));
    if let Some(taint) = repelling.next() {
        let value = taint.value.as_deref().unwrap_or_default();
        return Err(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key));
    }
    let mut selector = pod.spec.iter().flat_map(|spec| spec.node_selector.iter().flatten());
    if selector.any(|(name, value)| node.labels().get(name) != Some(value)) {
        return Err("node(s) didn't match Pod's node affinity/selector".into());
    }
    Ok(())
}

fn is_tolerated(pod: &Pod, taint: &Taint) -> bool {
    let mut tolerations = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    tolerations.any(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect_fits =
        toleration.effect.as_ref().is_none_or(|effect| effect.is_empty() || *effect == taint.effect);
    let key_fits = toleration.key.as_ref().is_none_or(|key| key.is_empty() || *key == taint.key);
    let value_fits = toleration.operator.as_deref() == Some("Exists") || toleration.value == taint.value;
    effect_fits && key_fits && value_fits
}

fn bind(pod: &Pod, node: String) -> Write {
    let full_name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    let message = format!("Successfully assigned {full_name} to {node}");
    Write::from(Action::Bind { target: Target::of(pod), node }).announce(pod, "Scheduled", message)
}

/// Says in the pod's condition why it has no node; once, not over and over.
fn explain(snapshot: &Snapshot, pod: &Pod, reason: String, now: Timestamp) -> Option<Write> {
    let nodes: Vec<&Arc<Node>> = snapshot.nodes.iter().collect();
    let message = match nodes.len() {
        0 => "no nodes available to schedule pods".to_owned(),
        count => format!("0/{count} nodes are available: {reason}."),
    };
    let mut explained = pod.clone();
    let conditions = explained.status.get_or_insert_default().conditions.get_or_insert_default();
    let held = conditions.iter().position(|condition| condition.type_ == "PodScheduled");
    let since = held.and_then(|position| conditions[position].last_transition_time.clone());
    let condition = PodCondition {
        type_: "PodScheduled".into(),
        status: "False".into(),
        reason: Some("Unschedulable".into()),
        message: Some(message.clone()),
        last_transition_time: since.or(Some(Time(now))),
        ..PodCondition::default()
    };
    match held {
        Some(position) => conditions[position] = condition,
        None => conditions.push(condition),
    }
    let write = Write::update_status(pod, &explained)?;
    Some(write.warn(pod, "FailedScheduling", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, at, from_json, lines, pod_owned_by, stateful_set};
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;
    use serde_json::{Value, json};

    fn node(extra: Value) -> Node {
        let mut node = json!({
            "metadata": {"name": "node", "uid": "n"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        json_patch::merge(&mut node, &extra);
        from_json(node)
    }

    fn pod_with_claim() -> Pod {
        let mut pod = pod_owned_by(&stateful_set("web", 1), "web-0");
        let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-web"}}]);
        pod.spec.as_mut().unwrap().volumes = Some(from_json(volumes));
        pod
    }

    fn claim(phase: &str) -> PersistentVolumeClaim {
        from_json(json!({
            "metadata": {"name": "data-web", "namespace": "default", "uid": "c"},
            "status": {"phase": phase},
        }))
    }

    fn check(world: &World, expected: &str) {
        let outcome = reconcile(&world.snapshot, at(5));
        let lines = lines(&outcome.writes).join("\n");
        assert!(lines.contains(expected), "{lines}");
    }

    #[test]
    fn a_pod_with_bound_claims_goes_to_a_ready_node() {
        let mut world = World::default();
        world.add(node(json!({}))).add(pod_with_claim()).add(claim("Bound"));
        check(&world, "bind web-0 node");
        world.settle(at(5), reconcile);
    }

    #[test]
    fn a_pod_whose_claim_is_gone_stays_pending_and_says_so_once() {
        let mut world = World::default();
        world.add(node(json!({}))).add(pod_with_claim());
        check(&world, r#"persistentvolumeclaim \"data-web\" not found"#);
        assert_eq!(world.settle(at(5), reconcile).writes.len(), 1);
        assert!(reconcile(&world.snapshot, at(50)).writes.is_empty());
    }

    #[test]
    fn a_pod_waits_for_a_claim_that_is_unbound_lost_or_leaving() {
        for (phase, expected) in [("Pending", "unbound immediate"), ("Lost", "non-existent persistentvolume")]
        {
            let mut world = World::default();
            world.add(node(json!({}))).add(pod_with_claim()).add(claim(phase));
            check(&world, expected);
        }
        let mut leaving = claim("Bound");
        leaving.metadata.deletion_timestamp = Some(Time(at(1)));
        let mut world = World::default();
        world.add(node(json!({}))).add(pod_with_claim()).add(leaving);
        check(&world, "is being deleted");
    }

    #[test]
    fn nodes_that_do_not_take_the_pod_are_named_with_the_reason() {
        let cases = [
            (json!({"spec": {"unschedulable": true}}), "unschedulable"),
            (json!({"status": {"conditions": []}}), "not ready"),
            (json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}), "untolerated taint {k: }"),
        ];
        for (extra, expected) in cases {
            let mut world = World::default();
            world.add(node(extra)).add(pod_owned_by(&stateful_set("web", 1), "web-0"));
            check(&world, expected);
        }
        let mut world = World::default();
        world.add(pod_owned_by(&stateful_set("web", 1), "web-0"));
        check(&world, "no nodes available");
    }

    #[test]
    fn a_toleration_by_existence_overcomes_a_taint() {
        let mut pod = pod_owned_by(&stateful_set("web", 1), "web-0");
        pod.spec.as_mut().unwrap().tolerations = Some(from_json(json!([{"operator": "Exists"}])));
        let mut world = World::default();
        world.add(node(json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}))).add(pod);
        check(&world, "bind web-0 node");
    }
}
