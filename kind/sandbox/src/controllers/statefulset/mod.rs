//! The StatefulSet controller: ordinals, stable identity and storage, ordered or parallel, rolling updates by revision.
//! It decides only; pods run elsewhere. The rules are those of
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/> and of the controller of Kubernetes 1.34.

mod claims;
mod pod;
mod revision;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::Pod;

use super::pods::{self, Claim};
use super::snapshot::Snapshot;
use super::write::{Outcome, Write};
use revision::{Resolution, Revisions};

/// Brings every StatefulSet one step further.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for set in snapshot.stateful_sets.iter() {
        if let Some(spec) = &set.spec {
            outcome.extend(reconcile_set(snapshot, set, spec, now));
        }
    }
    outcome
}

/// Everything that the decision about one set rests on.
struct Context<'a> {
    snapshot: &'a Snapshot,
    set: &'a StatefulSet,
    spec: &'a StatefulSetSpec,
    pods: BTreeMap<i32, Arc<Pod>>,
    revisions: &'a Revisions,
    now: Timestamp,
}

impl Context<'_> {
    fn namespace(&self) -> &str {
        self.set.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.set.metadata.name.as_deref().unwrap_or_default()
    }

    /// The ordinals that should have a pod.
    fn ordinals(&self) -> std::ops::Range<i32> {
        let start = self.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
        start..start.saturating_add(self.spec.replicas.unwrap_or(1).max(0))
    }

    fn minimum_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    /// The number of rolling updates that leave the lower ordinals alone; none if pods are replaced on deletion only.
    fn partition(&self) -> Option<i32> {
        let strategy = self.spec.update_strategy.as_ref();
        match strategy.and_then(|strategy| strategy.type_.as_deref()) {
            Some("OnDelete") => None,
            Some(_) | None => {
                let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
                Some(rolling.and_then(|rolling| rolling.partition).unwrap_or(0))
            }
        }
    }

    /// Whether pods are started and stopped one after the other.
    fn is_ordered(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel")
    }
}

fn reconcile_set(snapshot: &Snapshot, set: &StatefulSet, spec: &StatefulSetSpec, now: Timestamp) -> Outcome {
    let (pods, claims) = claim_pods(snapshot, set, spec);
    let resolved = revision::resolve(snapshot, set, spec);
    let revisions = match (claims.is_empty(), resolved) {
        (true, Resolution::Known(revisions)) => revisions,
        // Ownership or the revision is to be written first; the rest is decided on what comes of it.
        (false, _) => return Outcome { writes: claims, ..Outcome::default() },
        (true, Resolution::After(write)) => {
            let writes = write.into_iter().map(|write| *write).collect();
            return Outcome { writes, ..Outcome::default() };
        }
    };
    let context = Context { snapshot, set, spec, pods, revisions: &revisions, now };
    let mut outcome = Outcome::default();
    if set.metadata.deletion_timestamp.is_none() {
        rollout::advance(&context, &mut outcome);
    }
    status::report(&context, &mut outcome);
    outcome.writes.extend(revision::truncate(&context));
    outcome
}

/// The set's pods by ordinal, and the writes that adopt or release others.
fn claim_pods(
    snapshot: &Snapshot,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
) -> (BTreeMap<i32, Arc<Pod>>, Vec<Write>) {
    let (mut owned, mut writes) = (BTreeMap::new(), Vec::new());
    let name = set.metadata.name.as_deref().unwrap_or_default();
    for pod in snapshot.pods.in_namespace(set.metadata.namespace.as_deref().unwrap_or_default()) {
        let Some(ordinal) = pod::ordinal_of(name, pod) else { continue };
        match pods::claim(&pod.metadata, &set.metadata, &spec.selector) {
            Claim::Owned => {
                owned.insert(ordinal, pod.clone());
            }
            Claim::Adopt => writes.extend(pods::adopt(&**pod, set)),
            Claim::Release => writes.extend(pods::release(&**pod, set)),
            Claim::Foreign => {}
        }
    }
    (owned, writes)
}
