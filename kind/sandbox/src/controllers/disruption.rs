//! The PodDisruptionBudget controller: how many pods may be evicted now. Pure; the eviction itself is the API server's.
//! Rules: <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use kube::ResourceExt;

use super::pods::{controller_of, has_ended, is_ready, is_terminating, selects};
use super::quantity::{Rounding, scaled};
use super::snapshot::Snapshot;
use super::write::{Outcome, Write};

/// How long an eviction that the API server granted counts although the pod isn't under deletion yet.
const EVICTION_COUNTS_FOR: SignedDuration = SignedDuration::from_mins(2);

/// Brings the status of every budget up to date.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for budget in snapshot.disruption_budgets.iter() {
        if let Some(spec) = &budget.spec {
            let mut reported = PodDisruptionBudget::clone(budget);
            reported.status = Some(status(snapshot, budget, spec, now, &mut outcome));
            outcome.writes.extend(Write::update_status(&**budget, &reported));
        }
    }
    outcome
}

fn status(
    snapshot: &Snapshot,
    budget: &PodDisruptionBudget,
    spec: &PodDisruptionBudgetSpec,
    now: Timestamp,
    outcome: &mut Outcome,
) -> PodDisruptionBudgetStatus {
    let namespace = budget.metadata.namespace.as_deref().unwrap_or_default();
    let in_namespace = snapshot.pods.in_namespace(namespace);
    let pods: Vec<&Arc<Pod>> =
        in_namespace.filter(|pod| selects(spec.selector.as_ref(), &pod.metadata)).collect();
    let before = budget.status.clone().unwrap_or_default();
    let disrupted = still_disrupted(&before, &pods, now, outcome);
    let healthy = pods.iter().filter(|pod| {
        is_ready(pod) && !is_terminating(pod) && !has_ended(pod) && !disrupted.contains_key(&pod.name_any())
    });
    let current_healthy = number(healthy.count());
    let (expected_pods, desired_healthy, sync) = match expectation(snapshot, namespace, spec, &pods) {
        Ok((expected, desired)) => (expected, desired, Ok(())),
        // What can't be computed allows no disruption: the budget fails safe.
        Err(problem) => (before.expected_pods, before.desired_healthy, Err(problem)),
    };
    let spare = (current_healthy - desired_healthy).max(0);
    let disruptions_allowed = if sync.is_err() || expected_pods <= 0 { 0 } else { spare };
    PodDisruptionBudgetStatus {
        current_healthy,
        desired_healthy,
        disruptions_allowed,
        expected_pods,
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        observed_generation: budget.metadata.generation,
        conditions: Some(conditions(
            budget,
            before.conditions.unwrap_or_default(),
            sync,
            disruptions_allowed,
            now,
        )),
    }
}

/// The evictions that were granted and whose pods neither left nor outlived the grant. One of the same name that was made since is another
/// pod: the real controller drops the grant as soon as it is told that the old one ends, and that may be over before a look here.
fn still_disrupted(
    before: &PodDisruptionBudgetStatus,
    pods: &[&Arc<Pod>],
    now: Timestamp,
    outcome: &mut Outcome,
) -> BTreeMap<String, Time> {
    let mut disrupted = BTreeMap::new();
    for (name, granted) in before.disrupted_pods.iter().flatten() {
        let was_there =
            |pod: &Pod| pod.metadata.creation_timestamp.as_ref().is_none_or(|made| made.0 < granted.0);
        let is_present =
            pods.iter().any(|pod| pod.name_any() == *name && !is_terminating(pod) && was_there(pod));
        let until = granted.0.saturating_add(EVICTION_COUNTS_FOR).unwrap_or(Timestamp::MAX);
        if is_present && until > now {
            outcome.look_again_at(until);
            disrupted.insert(name.clone(), granted.clone());
        }
    }
    disrupted
}

/// How many pods there should be, and how many of them healthy.
fn expectation(
    snapshot: &Snapshot,
    namespace: &str,
    spec: &PodDisruptionBudgetSpec,
    pods: &[&Arc<Pod>],
) -> Result<(i32, i32), String> {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    let unreadable = || "neither a number nor a percentage".to_owned();
    if let Some(maximum) = &spec.max_unavailable {
        let expected = expected_by_controllers(snapshot, namespace, pods)?;
        let unavailable = scaled(maximum, expected, Rounding::Up).ok_or_else(unreadable)?;
        return Ok((expected, (expected - unavailable).max(0)));
    }
    match &spec.min_available {
        Some(IntOrString::Int(minimum)) => Ok((number(pods.len()), *minimum)),
        Some(minimum @ IntOrString::String(_)) => {
            let expected = expected_by_controllers(snapshot, namespace, pods)?;
            Ok((expected, scaled(minimum, expected, Rounding::Up).ok_or_else(unreadable)?))
        }
        None => Ok((number(pods.len()), 0)),
    }
}

/// The sum of the sizes of all controllers that own one of the pods.
fn expected_by_controllers(snapshot: &Snapshot, namespace: &str, pods: &[&Arc<Pod>]) -> Result<i32, String> {
    let mut sizes: BTreeMap<String, i32> = BTreeMap::new();
    for pod in pods {
        let Some(owner) = controller_of(&pod.metadata) else {
            return Err(format!("found no controller ref for pod {:?}", pod.name_any()));
        };
        let (uid, size) = controller_size(snapshot, namespace, owner)
            .ok_or_else(|| format!("found no scale for {} {:?}", owner.kind, owner.name))?;
        sizes.insert(uid, size);
    }
    Ok(sizes.values().sum())
}

fn controller_size(snapshot: &Snapshot, namespace: &str, owner: &OwnerReference) -> Option<(String, i32)> {
    match owner.kind.as_str() {
        "StatefulSet" => {
            let set = snapshot.stateful_sets.get(namespace, &owner.name)?;
            Some((set.uid()?, set.spec.as_ref()?.replicas.unwrap_or(1)))
        }
        "ReplicaSet" => {
            let set = snapshot.replica_sets.get(namespace, &owner.name)?;
            let above = controller_of(&set.metadata).filter(|above| above.kind == "Deployment");
            let Some(deployment) = above.and_then(|above| snapshot.deployments.get(namespace, &above.name))
            else {
                return Some((set.uid()?, set.spec.as_ref()?.replicas.unwrap_or(1)));
            };
            Some((deployment.uid()?, deployment.spec.as_ref()?.replicas.unwrap_or(1)))
        }
        _other => None,
    }
}

fn conditions(
    budget: &PodDisruptionBudget,
    mut conditions: Vec<Condition>,
    sync: Result<(), String>,
    allowed: i32,
    now: Timestamp,
) -> Vec<Condition> {
    let (status, reason, message) = match sync {
        Err(problem) => ("False", "SyncFailed", problem),
        Ok(()) if allowed > 0 => ("True", "SufficientPods", String::new()),
        Ok(()) => ("False", "InsufficientPods", String::new()),
    };
    let held = conditions.iter().find(|condition| condition.type_ == "DisruptionAllowed");
    let since = held.filter(|held| held.status == status).map(|held| held.last_transition_time.clone());
    let condition = Condition {
        type_: "DisruptionAllowed".into(),
        status: status.into(),
        reason: reason.into(),
        message,
        observed_generation: budget.metadata.generation,
        last_transition_time: since.unwrap_or(Time(now)),
    };
    conditions.retain(|condition| condition.type_ != "DisruptionAllowed");
    conditions.push(condition);
    conditions
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{
        World, at, from_json, meta, pod_owned_by, ready, selector, stateful_set,
    };
    use serde_json::{Value, json};

    /// Three sets of one pod each, as members of an etcd cluster are, with this many pods ready.
    fn world(limits: Value, ready_pods: usize) -> World {
        let mut spec = json!({"selector": selector("web")});
        json_patch::merge(&mut spec, &limits);
        let mut world = World::default();
        world.add(PodDisruptionBudget { metadata: meta("web"), spec: Some(from_json(spec)), status: None });
        for index in 0..3 {
            let set = stateful_set(&format!("web-{index}"), 1);
            let mut pod = pod_owned_by(&set, &format!("web-{index}-0"));
            pod.metadata.labels = Some([("app".into(), "web".into())].into());
            world.add(set).add(if index < ready_pods { ready(pod, at(1)) } else { pod });
        }
        world
    }

    fn status_of(world: &mut World) -> PodDisruptionBudgetStatus {
        world.settle(at(10), reconcile);
        world.snapshot.disruption_budgets.get("default", "web").unwrap().status.clone().unwrap()
    }

    #[test]
    fn a_quorum_of_three_lets_one_pod_go_only_while_all_are_ready() {
        for (ready_pods, allowed, reason) in
            [(3, 1, "SufficientPods"), (2, 0, "InsufficientPods"), (1, 0, "InsufficientPods")]
        {
            let status = status_of(&mut world(json!({"minAvailable": 2}), ready_pods));
            assert_eq!(
                (status.expected_pods, status.desired_healthy, status.disruptions_allowed),
                (3, 2, allowed)
            );
            assert_eq!(status.current_healthy, number(ready_pods));
            assert_eq!(status.conditions.unwrap()[0].reason, reason);
        }
    }

    #[test]
    fn percentages_and_max_unavailable_count_the_controllers() {
        let status = status_of(&mut world(json!({"minAvailable": "50%"}), 3));
        assert_eq!((status.desired_healthy, status.disruptions_allowed), (2, 1));
        let status = status_of(&mut world(json!({"maxUnavailable": 1}), 3));
        assert_eq!((status.desired_healthy, status.disruptions_allowed), (2, 1));
        let status = status_of(&mut world(json!({"maxUnavailable": "0%"}), 3));
        assert_eq!(status.disruptions_allowed, 0);
    }

    #[test]
    fn pods_without_controller_make_a_percentage_fail_safe() {
        let mut world = world(json!({"maxUnavailable": "50%"}), 3);
        let mut orphan = ready(pod_owned_by(&stateful_set("web", 1), "orphan"), at(1));
        orphan.metadata.owner_references = None;
        world.add(orphan);
        let status = status_of(&mut world);
        assert_eq!(status.disruptions_allowed, 0);
        assert_eq!(status.conditions.unwrap()[0].reason, "SyncFailed");
    }

    #[test]
    fn a_granted_eviction_counts_until_the_pod_leaves_or_two_minutes_have_passed() {
        let mut world = world(json!({"minAvailable": 2}), 3);
        let mut budget =
            PodDisruptionBudget::clone(world.snapshot.disruption_budgets.get("default", "web").unwrap());
        budget.status.get_or_insert_default().disrupted_pods = Some([("web-0-0".into(), Time(at(5)))].into());
        world.add(budget);
        let outcome = world.settle(at(10), reconcile);
        assert_eq!(outcome.due, Some(at(125)));
        assert_eq!(status_of(&mut world).disruptions_allowed, 0);
        world.settle(at(126), reconcile);
        let held = world.snapshot.disruption_budgets.get("default", "web").unwrap().status.clone().unwrap();
        assert_eq!((held.disruptions_allowed, held.disrupted_pods), (1, None));
    }

    #[test]
    fn a_granted_eviction_says_nothing_about_the_next_pod_of_that_name() {
        let mut world = world(json!({"minAvailable": 2}), 3);
        let mut budget =
            PodDisruptionBudget::clone(world.snapshot.disruption_budgets.get("default", "web").unwrap());
        budget.status.get_or_insert_default().disrupted_pods = Some([("web-0-0".into(), Time(at(5)))].into());
        world.add(budget);
        let mut anew = Pod::clone(world.snapshot.pods.get("default", "web-0-0").unwrap());
        anew.metadata.creation_timestamp = Some(Time(at(6)));
        world.add(anew);
        world.settle(at(10), reconcile);
        assert_eq!(status_of(&mut world).disruptions_allowed, 1);
    }

    #[test]
    fn a_selector_that_selects_nothing_allows_nothing() {
        let status = status_of(&mut world(
            json!({"minAvailable": 0, "selector": {"matchLabels": {"app": "none"}}}),
            3,
        ));
        assert_eq!((status.expected_pods, status.disruptions_allowed), (0, 0));
    }
}
