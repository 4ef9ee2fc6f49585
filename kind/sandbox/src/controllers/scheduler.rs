//! The scheduler: a pod gets a node once there is one that takes it and all its claims are bound. Pure.
//!
//! It looks at node readiness, `unschedulable`, taints, `nodeSelector` and the node's size, and at volume claims. It does
//! not look at what other pods hold, affinity, topology spread or priorities: the sandbox has one node.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::pods::{has_ended, is_terminating};
use super::quantity::thousandths;
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

/// Why a pod has no node.
enum Obstacle {
    /// None of them was looked at.
    Pod(String),
    /// How many nodes have which reason not to take it.
    Nodes(BTreeMap<String, usize>),
}

fn place(snapshot: &Snapshot, pod: &Pod) -> Result<String, Obstacle> {
    claims_are_bound(snapshot, pod).map_err(Obstacle::Pod)?;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for node in snapshot.nodes.iter() {
        match takes(node, pod) {
            Ok(()) => return Ok(node.name_any()),
            Err(found) => found.into_iter().for_each(|reason| *reasons.entry(reason).or_default() += 1),
        }
    }
    Err(Obstacle::Nodes(reasons))
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

fn takes(node: &Node, pod: &Pod) -> Result<(), Vec<String>> {
    let refuse = |reason: &str| Err(vec![reason.to_owned()]);
    let spec = node.spec.as_ref();
    if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        return refuse("node(s) were unschedulable");
    }
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let taints = spec.into_iter().flat_map(|spec| spec.taints.iter().flatten());
    let mut repelling =
        taints.filter(|taint| taint.effect != "PreferNoSchedule" && !is_tolerated(pod, taint));
    // A node that is not ready is tainted so in a real cluster.
    if !is_ready || repelling.next().is_some() {
        return refuse("node(s) had untolerated taint(s)");
    }
    let mut selector = pod.spec.iter().flat_map(|spec| spec.node_selector.iter().flatten());
    if selector.any(|(name, value)| node.labels().get(name) != Some(value)) {
        return refuse("node(s) didn't match Pod's node affinity/selector");
    }
    let lacking = lacking(node, pod);
    if lacking.is_empty() { Ok(()) } else { Err(lacking) }
}

/// What a pod asks for that the node does not have even when it is empty. What other pods hold does not count here.
fn lacking(node: &Node, pod: &Pod) -> Vec<String> {
    let Some(allocatable) = node.status.as_ref().and_then(|status| status.allocatable.as_ref()) else {
        return Vec::new();
    };
    let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter());
    let mut asked: BTreeMap<&str, i128> = BTreeMap::new();
    for resources in containers.filter_map(|container| container.resources.as_ref()) {
        for (name, amount) in resources.requests.iter().flatten() {
            *asked.entry(name).or_default() += thousandths(amount).unwrap_or(0);
        }
    }
    let held = |name: &str| allocatable.get(name).and_then(thousandths);
    let is_lacking = |(name, amount): &(&str, i128)| match held(name) {
        Some(held) => *amount > held,
        // What a node says nothing of is unlimited where it is measured, and missing where it is counted.
        None => name.contains('/') && *amount > 0,
    };
    asked.into_iter().filter(is_lacking).map(|(name, _)| format!("Insufficient {name}")).collect()
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
fn explain(snapshot: &Snapshot, pod: &Pod, obstacle: Obstacle, now: Timestamp) -> Option<Write> {
    let count = snapshot.nodes.iter().count();
    let message = match obstacle {
        _ if count == 0 => "no nodes available to schedule pods".to_owned(),
        // The last words are what a real scheduler says after it has not come to its own claims of devices.
        Obstacle::Pod(reason) => format!("0/{count} nodes are available: {reason}. not found"),
        Obstacle::Nodes(reasons) => {
            let mut said: Vec<String> =
                reasons.iter().map(|(reason, times)| format!("{times} {reason}")).collect();
            said.sort_unstable();
            let said = said.join(", ");
            format!(
                "0/{count} nodes are available: {said}. no new claims to deallocate, preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
            )
        }
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
            (json!({"status": {"conditions": []}}), "untolerated taint(s)"),
            (json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}), "untolerated taint(s)"),
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
    fn a_pod_that_is_larger_than_the_node_is_told_what_is_lacking() {
        let mut pod = pod_owned_by(&stateful_set("web", 1), "web-0");
        let resources = json!({"requests": {"cpu": "3", "memory": "1Gi"}});
        pod.spec.as_mut().unwrap().containers[0].resources = Some(from_json(resources));
        let mut world = World::default();
        let size = json!({"status": {"allocatable": {"cpu": "2", "memory": "4Gi"}}});
        world.add(node(size)).add(pod);
        let expected = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        check(&world, expected);
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
