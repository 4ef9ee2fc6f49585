//! One pass over one cluster: observe, parse, plan, execute, report. The whole operator in one function. What it keeps between
//! passes ([`Memory`]) can only make it slower.

use crate::clock::SharedClock;
use crate::distortion::Distortion;
use crate::execute::Executor;
use crate::metrics::Metrics;
use crate::observe::{Contact, ObserveError, Observer, Sight};
use crate::report::{ReportError, Reporter};
use crate::telemetry::chain;
use crate::watch::ClusterKey;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::desired::Desired;
use etcd_operator_core::memory::Memory;
use etcd_operator_core::observed::Observed;
use etcd_operator_core::plan::{Concern, Hold, Plan, Planned, Setback, SetbackKind, of_invalid, plan};
use kube::Client;
use kube::ResourceExt;
use kube::api::Api;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use thiserror::Error;

/// Pause after a pass that changed something: what it changed is seen soon.
const AFTER_ACTION: Duration = Duration::from_millis(200);
/// Pause while waiting for members to start or to catch up: etcd tells nobody when they have, so they are asked. It grows with a
/// wait that goes on, up to the pause at rest.
const WHILE_WAITING: Duration = Duration::from_millis(250);
/// The part of a wait that has gone on unchanged by which its pauses grow.
const PATIENCE: u32 = 60;
/// Pause at rest. Short enough that with all time-outs of one pass a dead member shows in the status in ten seconds.
const AT_REST: Duration = Duration::from_secs(3);
/// Pause after a failed pass, and before a failed action is tried again.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// A cluster whose objects could not be read for this long is called unknown.
const UNOBSERVED: Duration = Duration::from_secs(5);

/// When the cluster is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// After this pause, or earlier if something changes.
    After(Duration),
    /// Never: it no longer exists.
    Forget,
}

/// Why a pass ended early.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The world could not be seen.
    #[error("failed to observe the cluster")]
    Observe(#[from] ObserveError),
    /// The user was not told.
    #[error("failed to report on the cluster")]
    Report(#[from] ReportError),
}

/// The five verbs with what they need.
pub struct Reconciler {
    /// For reading the cluster object.
    pub client: Client,
    /// Observes.
    pub observer: Observer,
    /// Executes.
    pub executor: Executor,
    /// Reports.
    pub reporter: Reporter,
    /// Times passes.
    pub clock: SharedClock,
    /// Counts passes and actions.
    pub metrics: Metrics,
    /// What is remembered of each cluster object, by its key and UID.
    pub memories: Mutex<BTreeMap<ClusterKey, (String, Memory)>>,
    /// What a deliberately wrong operator sees and plans instead.
    pub distortion: Distortion,
}

/// What came of a plan's actions.
#[derive(Default)]
struct Executed {
    succeeded: BTreeSet<Concern>,
    setbacks: Vec<Setback>,
}

impl Reconciler {
    /// One pass, with its outcome counted and logged.
    pub async fn reconcile(&self, key: &ClusterKey) -> Next {
        let began = self.clock.monotonic();
        let outcome = self.pass(key).await;
        self.metrics.reconciled(outcome.is_ok(), self.clock.monotonic().saturating_sub(began));
        outcome.unwrap_or_else(|error| {
            tracing::warn!(cluster = %key, error = chain(&error), "failed to reconcile");
            Next::After(AFTER_ERROR)
        })
    }

    async fn pass(&self, key: &ClusterKey) -> Result<Next, ReconcileError> {
        let cluster = match self.cluster(key).await {
            Ok(Some(cluster)) => cluster,
            Ok(None) => {
                self.forget(key);
                return Ok(Next::Forget);
            }
            Err(error) => {
                self.reporter.unobserved(key, None, &chain(&error)).await?;
                return Err(error);
            }
        };
        let mut memory = self.recall(key, &cluster);
        let next = self.pass_over(key, &cluster, &mut memory).await;
        self.keep(key, &cluster, memory);
        next
    }

    /// Observe, parse, plan, execute, report. What could not be executed is still reported on.
    async fn pass_over(
        &self,
        key: &ClusterKey,
        cluster: &EtcdCluster,
        memory: &mut Memory,
    ) -> Result<Next, ReconcileError> {
        let Sight { observed, contact } = match self.observer.observe(cluster, memory).await {
            Ok(sight) => sight,
            Err(error) => return Err(self.unobserved(key, cluster, memory, error).await),
        };
        let observed = self.distortion.observed(observed);
        let mut plan = self.distortion.plan(&observed, parse_and_plan(&observed));
        let executed = self.execute(key, cluster, &plan, &contact, memory).await;
        memory.forget_setbacks(|concern| {
            let is_planned = plan.actions.iter().any(|one| one.concern == *concern);
            !is_planned || executed.succeeded.contains(concern)
        });
        memory.forget_changes(&plan);
        plan.add_setbacks(&executed.setbacks);
        self.reporter.report(key, &observed, &plan).await?;
        Ok(Next::After(pause(self.clock.monotonic(), &plan, &executed, memory)))
    }

    async fn cluster(&self, key: &ClusterKey) -> Result<Option<EtcdCluster>, ReconcileError> {
        let api: Api<EtcdCluster> = Api::namespaced(self.client.clone(), &key.namespace);
        let cluster = api.get_opt(&key.name).await;
        cluster.map_err(|source| ObserveError::Read { what: format!("EtcdCluster {key}"), source }.into())
    }

    /// Says that nothing could be seen: in the metrics at once, in the status after a while.
    async fn unobserved(
        &self,
        key: &ClusterKey,
        cluster: &EtcdCluster,
        memory: &mut Memory,
        error: ObserveError,
    ) -> ReconcileError {
        let is_old = memory.unobserved_for(self.clock.monotonic()) >= UNOBSERVED;
        let shown = is_old.then(|| (cluster, self.clock.wall()));
        match self.reporter.unobserved(key, shown, &chain(&error)).await {
            Ok(()) => error.into(),
            Err(report) => report.into(),
        }
    }

    /// Carries out the actions in order. One that fails ends those about the same, and no others; one that failed lately is not
    /// tried again yet.
    async fn execute(
        &self,
        key: &ClusterKey,
        cluster: &EtcdCluster,
        plan: &Plan,
        contact: &Contact,
        memory: &mut Memory,
    ) -> Executed {
        let mut executed = Executed::default();
        let mut ended: BTreeSet<&Concern> = BTreeSet::new();
        for planned in &plan.actions {
            let Planned { concern, action } = planned;
            if ended.contains(concern) {
                continue;
            }
            if let Some(setback) = memory.holds_back(self.clock.monotonic(), concern) {
                executed.setbacks.push(setback.clone());
                ended.insert(concern);
                continue;
            }
            let outcome = self.executor.execute(cluster, action, contact).await;
            self.metrics.acted(action.kind(), outcome.is_ok());
            match outcome {
                Ok(()) => {
                    tracing::info!(cluster = %key, kind = action.kind(), "{action}");
                    self.reporter.acted(cluster, action).await;
                    match memory.note_done(self.clock.monotonic(), planned) {
                        None => drop(executed.succeeded.insert(concern.clone())),
                        Some(undone) => executed.setbacks.push(undone),
                    }
                }
                Err(error) => {
                    tracing::info!(cluster = %key, kind = action.kind(), error = chain(&error), "not done: {action}");
                    let setback =
                        Setback { concern: concern.clone(), what: action.to_string(), kind: error.setback() };
                    memory.note_setback(self.clock.monotonic(), &setback);
                    executed.succeeded.remove(concern);
                    executed.setbacks.push(setback);
                    ended.insert(concern);
                }
            }
        }
        executed
    }

    /// What is remembered of this very object; nothing of an earlier one of the same name.
    fn recall(&self, key: &ClusterKey, cluster: &EtcdCluster) -> Memory {
        let uid = cluster.uid().unwrap_or_default();
        let taken = self.memories.lock().ok().and_then(|mut memories| memories.remove(key));
        taken.filter(|(of, _)| *of == uid).map(|(_, memory)| memory).unwrap_or_default()
    }

    fn keep(&self, key: &ClusterKey, cluster: &EtcdCluster, memory: Memory) {
        if let Ok(mut memories) = self.memories.lock() {
            memories.insert(key.clone(), (cluster.uid().unwrap_or_default(), memory));
        }
    }

    fn forget(&self, key: &ClusterKey) {
        self.reporter.forget(key);
        if let Ok(mut memories) = self.memories.lock() {
            memories.remove(key);
        }
    }
}

/// A spec that can't be carried out changes nothing; what runs is kept as it is.
fn parse_and_plan(observed: &Observed) -> Plan {
    match Desired::parse(&observed.cluster) {
        Ok(desired) => plan(observed, &desired),
        Err(invalid) => of_invalid(observed, &invalid),
    }
}

/// Soon after something was done; at leisure while nothing changes, however much is waited for.
fn pause(now: Duration, plan: &Plan, executed: &Executed, memory: &mut Memory) -> Duration {
    let unchanged_for = memory.unchanged_for(now, &plan.holds, !executed.succeeded.is_empty());
    let is_overtaken = executed
        .setbacks
        .iter()
        .any(|setback| matches!(setback.kind, SetbackKind::Overtaken | SetbackKind::NotOurs));
    if !executed.succeeded.is_empty() {
        AFTER_ACTION
    } else if is_overtaken {
        AFTER_ERROR
    } else if plan.holds.iter().any(|hold| matches!(hold, Hold::Wait(_))) {
        (unchanged_for / PATIENCE).clamp(WHILE_WAITING, AT_REST)
    } else if executed.setbacks.is_empty() {
        AT_REST
    } else {
        AFTER_ERROR
    }
}
