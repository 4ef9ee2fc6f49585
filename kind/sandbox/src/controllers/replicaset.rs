//! The ReplicaSet controller: as many pods as asked for, and which ones go first when there are too many. Pure.
//! The order of deletion: <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset>.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::pods::{
    self, Availability, Claim, Phase, availability, has_ended, is_ready, is_terminating, phase,
    pod_from_template, ready_since,
};
use super::snapshot::Snapshot;
use super::write::{NAME, Outcome, REFUSAL, Write};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Brings every ReplicaSet to its number of pods.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for set in snapshot.replica_sets.iter() {
        if let Some(spec) = &set.spec {
            reconcile_set(snapshot, set, spec, now, &mut outcome);
        }
    }
    outcome
}

fn reconcile_set(
    snapshot: &Snapshot,
    set: &ReplicaSet,
    spec: &ReplicaSetSpec,
    now: Timestamp,
    outcome: &mut Outcome,
) {
    let (pods, claims) = active_pods(snapshot, set, spec);
    if !claims.is_empty() {
        outcome.writes.extend(claims);
        return;
    }
    if set.metadata.deletion_timestamp.is_none() {
        let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
        let missing = wanted.saturating_sub(pods.len());
        outcome.writes.extend((0..missing).map(|_| create(set, spec)));
        outcome.writes.extend(surplus(&pods, wanted).into_iter().map(|pod| delete(set, pod)));
    }
    let mut reported = set.clone();
    reported.status = Some(status(set, spec, &pods, now, outcome));
    outcome.writes.extend(Write::update_status(set, &reported));
}

/// The pods that count, and the writes that adopt or release others.
fn active_pods(snapshot: &Snapshot, set: &ReplicaSet, spec: &ReplicaSetSpec) -> (Vec<Arc<Pod>>, Vec<Write>) {
    let (mut active, mut writes) = (Vec::new(), Vec::new());
    for pod in snapshot.pods.in_namespace(set.metadata.namespace.as_deref().unwrap_or_default()) {
        if has_ended(pod) || is_terminating(pod) {
            continue;
        }
        match pods::claim(&pod.metadata, &set.metadata, &spec.selector) {
            Claim::Owned => active.push(pod.clone()),
            Claim::Adopt => writes.extend(pods::adopt(&**pod, set)),
            Claim::Release => writes.extend(pods::release(&**pod, set)),
            Claim::Foreign => {}
        }
    }
    (active, writes)
}

fn create(set: &ReplicaSet, spec: &ReplicaSetSpec) -> Write {
    let template = spec.template.clone().unwrap_or_default();
    let mut pod = pod_from_template(&template, set);
    pod.metadata.generate_name = Some(format!("{}-", set.name_any()));
    Write::create(&pod).announce(set, "SuccessfulCreate", format!("Created pod: {NAME}")).complain(
        set,
        "FailedCreate",
        format!("Error creating: {REFUSAL}"),
    )
}

fn delete(set: &ReplicaSet, pod: &Pod) -> Write {
    Write::delete(pod).announce(set, "SuccessfulDelete", format!("Deleted pod: {}", pod.name_any()))
}

/// The pods to delete: those that lose least go first.
pub(super) fn surplus(pods: &[Arc<Pod>], wanted: usize) -> Vec<&Pod> {
    let mut ranked: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
    ranked.sort_by_cached_key(|pod| {
        let phase_rank = match phase(pod) {
            Phase::Pending => 0,
            Phase::Unknown => 1,
            Phase::Running | Phase::Succeeded | Phase::Failed => 2,
        };
        let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let newest_first = (Reverse(ready_since(pod)), Reverse(restarts(pod)), Reverse(created));
        (is_bound, phase_rank, is_ready(pod), deletion_cost(pod), newest_first, pod.name_any())
    });
    ranked.truncate(pods.len().saturating_sub(wanted));
    ranked
}

fn deletion_cost(pod: &Pod) -> i32 {
    pod.annotations().get(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).max().unwrap_or(0)
}

fn status(
    set: &ReplicaSet,
    spec: &ReplicaSetSpec,
    pods: &[Arc<Pod>],
    now: Timestamp,
    outcome: &mut Outcome,
) -> ReplicaSetStatus {
    let template_labels =
        spec.template.as_ref().and_then(|template| template.metadata.as_ref()?.labels.clone());
    let template_labels = template_labels.unwrap_or_default();
    let mut status = ReplicaSetStatus {
        replicas: 0,
        fully_labeled_replicas: Some(0),
        ready_replicas: Some(0),
        available_replicas: Some(0),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|status| status.conditions.clone()),
        terminating_replicas: None,
    };
    let add_one = |count: &mut Option<i32>| *count = count.map(|count| count + 1);
    for pod in pods {
        status.replicas += 1;
        if template_labels.iter().all(|(name, value)| pod.labels().get(name) == Some(value)) {
            add_one(&mut status.fully_labeled_replicas);
        }
        if is_ready(pod) {
            add_one(&mut status.ready_replicas);
        }
        match availability(pod, spec.min_ready_seconds.unwrap_or(0), now) {
            Availability::Available => add_one(&mut status.available_replicas),
            Availability::From(moment) => outcome.look_again_at(moment),
            Availability::Unready => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{
        World, at, lines, meta, pod_owned_by, ready, selector, template, terminating, without_status,
    };

    fn replica_set(replicas: i32) -> ReplicaSet {
        let spec = ReplicaSetSpec {
            replicas: Some(replicas),
            selector: selector("web"),
            template: Some(template("web", "image:1")),
            min_ready_seconds: Some(5),
        };
        ReplicaSet { metadata: meta("web"), spec: Some(spec), status: None }
    }

    #[test]
    fn missing_pods_are_created_once_and_ended_ones_replaced() {
        let set = replica_set(2);
        let mut world = World::default();
        let mut failed = pod_owned_by(&set, "web-failed");
        failed.status.as_mut().unwrap().phase = Some("Failed".into());
        world.add(set.clone()).add(failed).add(terminating(pod_owned_by(&set, "web-leaving")));
        let outcome = world.settle(at(10), reconcile);
        assert_eq!(without_status(&outcome.writes), ["create Pod web-", "create Pod web-"]);
        assert_eq!(
            world.snapshot.replica_sets.get("default", "web").unwrap().status.as_ref().unwrap().replicas,
            2
        );
    }

    #[test]
    fn the_pod_that_serves_longest_is_deleted_last() {
        let set = replica_set(1);
        let mut world = World::default();
        world.add(set.clone());
        world.add(ready(pod_owned_by(&set, "web-old"), at(1)));
        world.add(ready(pod_owned_by(&set, "web-young"), at(9)));
        world.add(pod_owned_by(&set, "web-pending"));
        let writes = reconcile(&world.snapshot, at(10)).writes;
        assert_eq!(without_status(&writes), ["delete Pod web-pending", "delete Pod web-young"]);
    }

    #[test]
    fn a_pod_counts_as_available_only_after_its_minimum_ready_time() {
        let set = replica_set(1);
        let mut world = World::default();
        world.add(set.clone()).add(ready(pod_owned_by(&set, "web-1"), at(8)));
        let early = world.settle(at(10), reconcile);
        assert_eq!(early.due, Some(at(13)));
        let late = reconcile(&world.snapshot, at(13));
        assert_eq!(lines(&late.writes), [r#"status ReplicaSet web {"availableReplicas":1}"#]);
    }

    #[test]
    fn a_leaving_set_creates_nothing() {
        let mut set = replica_set(3);
        set.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(1)));
        let mut world = World::default();
        world.add(set);
        assert!(without_status(&reconcile(&world.snapshot, at(10)).writes).is_empty());
    }
}
