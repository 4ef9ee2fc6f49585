//! The Deployment controller: ReplicaSets by template, rolled over within the allowed surplus and shortage, or all at
//! once. Pure. Rules: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>, controller of 1.34.

mod replicas;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pods::{self, Claim};
use super::quantity::{Rounding, scaled};
use super::snapshot::Snapshot;
use super::write::{Outcome, Write};

/// Brings every Deployment one step further.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for deployment in snapshot.deployments.iter() {
        if let Some(spec) = &deployment.spec {
            outcome.extend(reconcile_deployment(snapshot, deployment, spec, now));
        }
    }
    outcome
}

/// Everything that the decision about one Deployment rests on.
struct Context<'a> {
    snapshot: &'a Snapshot,
    deployment: &'a Deployment,
    spec: &'a DeploymentSpec,
    /// The ReplicaSet of the present template, if it exists already.
    newest: Option<Arc<ReplicaSet>>,
    /// The ReplicaSets of earlier templates, oldest first.
    old: Vec<Arc<ReplicaSet>>,
    now: Timestamp,
}

/// How pods are replaced.
enum Strategy {
    /// Some at a time.
    Rolling {
        /// How many pods above the wanted number may exist.
        surge: i32,
        /// How many pods below the wanted number may be available.
        unavailable: i32,
    },
    /// All old ones first, then all new ones.
    Recreate,
}

impl Context<'_> {
    fn namespace(&self) -> &str {
        self.deployment.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.deployment.metadata.name.as_deref().unwrap_or_default()
    }

    fn wanted(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(&self.newest)
    }

    fn strategy(&self) -> Strategy {
        let strategy = self.spec.strategy.as_ref();
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
            return Strategy::Recreate;
        }
        let quarter = IntOrString::String("25%".into());
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
        let surge = scaled(surge, self.wanted(), Rounding::Up).unwrap_or(0).max(0);
        let unavailable =
            scaled(unavailable, self.wanted(), Rounding::Down).unwrap_or(0).clamp(0, self.wanted());
        // With neither, nothing could ever move.
        Strategy::Rolling { surge, unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable } }
    }
}

fn reconcile_deployment(
    snapshot: &Snapshot,
    deployment: &Deployment,
    spec: &DeploymentSpec,
    now: Timestamp,
) -> Outcome {
    let (sets, claims) = claim_sets(snapshot, deployment, spec);
    if !claims.is_empty() {
        return Outcome { writes: claims, ..Outcome::default() };
    }
    let (newest, old) = replicas::split(sets, &spec.template);
    let context = Context { snapshot, deployment, spec, newest, old, now };
    let mut outcome = Outcome::default();
    if deployment.metadata.deletion_timestamp.is_none() {
        rollout::advance(&context, &mut outcome);
    }
    status::report(&context, &mut outcome);
    outcome
}

/// The Deployment's ReplicaSets, oldest first, and the writes that adopt or release others.
fn claim_sets(
    snapshot: &Snapshot,
    deployment: &Deployment,
    spec: &DeploymentSpec,
) -> (Vec<Arc<ReplicaSet>>, Vec<Write>) {
    let (mut owned, mut writes) = (Vec::new(), Vec::new());
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    for set in snapshot.replica_sets.in_namespace(namespace) {
        match pods::claim(&set.metadata, &deployment.metadata, &spec.selector) {
            Claim::Owned => owned.push(set.clone()),
            Claim::Adopt => writes.extend(pods::adopt(&**set, deployment)),
            Claim::Release => writes.extend(pods::release(&**set, deployment)),
            Claim::Foreign => {}
        }
    }
    owned.sort_by_key(|set| (replicas::revision(&**set), set.metadata.creation_timestamp.clone()));
    (owned, writes)
}
