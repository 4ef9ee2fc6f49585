//! The five verbs of an `EtcdCluster`, put together from this folder and from the core. They decide nothing themselves.

use crate::clock::SharedClock;
use crate::cluster::execute::Executor;
use crate::cluster::observe::{Contact, Observer, Sight};
use crate::cluster::report::Reporter;
use crate::cluster::vigil::Watcher;
use crate::distortion::Distortion;
use crate::metrics::Metrics;
use crate::reconcile::{Next, ObserveError, ReportError, Verbs};
use crate::status::Written;
use crate::telemetry::chain;
use crate::watch::identify;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::desired::Desired;
use etcd_operator_core::cluster::memory::Memory;
use etcd_operator_core::cluster::observed::{Answer, Observed};
use etcd_operator_core::cluster::pace::{Done, pace};
use etcd_operator_core::cluster::plan::{Concern, Plan, Planned, Setback, of_invalid, plan};
use etcd_operator_core::cluster::vigil::Vigil;
use etcd_operator_core::key::{Key, OwnKind};
use etcd_operator_core::seen::{ObjectName, Version, WatchedKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;
use std::time::Duration;

/// A cluster whose objects could not be read for this long is called unknown.
const UNOBSERVED: Duration = Duration::from_secs(5);

/// What the operator does with clusters.
pub struct ClusterVerbs {
    /// Observes.
    pub observer: Observer,
    /// Executes.
    pub executor: Executor,
    /// Reports.
    pub reporter: Reporter,
    /// Watches members between looks.
    pub watcher: Watcher,
    /// Times what is remembered.
    pub clock: SharedClock,
    /// Counts actions.
    pub metrics: Metrics,
    /// What a deliberately wrong operator sees and plans instead.
    pub distortion: Distortion,
}

impl Verbs for ClusterVerbs {
    type Object = EtcdCluster;
    type Memory = Memory;
    type Sight = Sight;
    type Plan = Plan;
    type Done = Done;

    const KIND: OwnKind = OwnKind::EtcdCluster;

    async fn observe(&self, cluster: &EtcdCluster, memory: &mut Memory) -> Result<Sight, ObserveError> {
        if cluster.metadata.uid.as_ref().is_some_and(|uid| self.watcher.suspected.take(uid)) {
            memory.note_suspicion();
        }
        let Sight { observed, contact } = self.observer.observe(cluster, memory).await?;
        Ok(Sight { observed: self.distortion.observed(observed), contact })
    }

    fn plan(&self, sight: &Sight) -> Plan {
        self.distortion.plan(&sight.observed, parse_and_plan(&sight.observed))
    }

    async fn execute(&self, key: &Key, sight: &Sight, plan: &mut Plan, memory: &mut Memory) -> Done {
        let executed = self.carry_out(key, &sight.observed.cluster, plan, &sight.contact, memory).await;
        memory.forget_setbacks(|concern| {
            let is_planned = plan.actions.iter().any(|one| one.concern == *concern);
            !is_planned || executed.succeeded.contains(concern)
        });
        memory.forget_changes(plan);
        plan.add_setbacks(&executed.setbacks);
        Done { has_acted: !executed.succeeded.is_empty(), setbacks: executed.setbacks }
    }

    async fn report(
        &self,
        key: &Key,
        sight: Sight,
        plan: &Plan,
        done: Done,
        memory: &mut Memory,
    ) -> Result<Next, ReportError> {
        let Sight { observed, contact } = sight;
        let now = self.clock.monotonic();
        let status = self.reporter.status(&observed, plan);
        let pace = pace(now, &observed, plan, &status, &done, memory);
        let is_progress_due = pace.is_at_rest() || memory.is_progress_due(now);
        match self.reporter.report(key, &observed, plan, &status, is_progress_due).await? {
            Written::Yes => memory.note_told(now),
            Written::No => {}
        }
        let reasons: Vec<_> = plan.holds.iter().map(|hold| hold.reason().as_str()).collect();
        tracing::debug!(object = %key, next = ?pace, holds = ?reasons, actions = plan.actions.len(), "looked");
        let is_slow = observed.probes.values().any(|probe| matches!(probe.answer, Answer::Silent(_)));
        let vigil = self.watcher.watch(Vigil::over(&observed), contact.access, &observed, pace);
        let read = read_objects(&observed);
        Ok(Next::Look { after: pace.pause(), vigil, read, is_slow, wakes: Vec::new() })
    }

    /// In the metrics at once, in the status after a while.
    async fn unobserved(
        &self,
        key: &Key,
        seen: Option<(&EtcdCluster, &mut Memory)>,
        error: &ObserveError,
    ) -> Result<(), ReportError> {
        let shown = seen.and_then(|(cluster, memory)| {
            let is_old = memory.unobserved_for(self.clock.monotonic()) >= UNOBSERVED;
            is_old.then(|| (cluster, self.clock.wall()))
        });
        self.reporter.unobserved(key, shown, &chain(error)).await
    }

    fn forget(&self, key: &Key) {
        self.reporter.forget(key);
    }
}

/// What came of a plan's actions, by what they were about.
#[derive(Default)]
struct Executed {
    succeeded: BTreeSet<Concern>,
    setbacks: Vec<Setback>,
}

impl ClusterVerbs {
    /// Carries out the actions in order. One that fails ends those about the same, and no others; one that failed lately is not
    /// tried again yet.
    async fn carry_out(
        &self,
        key: &Key,
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
                    tracing::info!(object = %key, kind = action.kind(), "{action}");
                    self.reporter.acted(cluster, action).await;
                    match memory.note_done(self.clock.monotonic(), planned) {
                        None => drop(executed.succeeded.insert(concern.clone())),
                        Some(undone) => executed.setbacks.push(undone),
                    }
                }
                Err(error) => {
                    tracing::info!(object = %key, kind = action.kind(), error = chain(&error), "not done: {action}");
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
}

/// Names and versions of everything that a look has read.
fn read_objects(observed: &Observed) -> Vec<(ObjectName, Version)> {
    let mut read = Vec::new();
    read.extend(identify(WatchedKind::EtcdCluster, &observed.cluster.metadata));
    let of = |kind: WatchedKind| move |metadata: &ObjectMeta| identify(kind, metadata);
    read.extend(
        observed.stateful_sets.iter().map(|it| &it.metadata).filter_map(of(WatchedKind::StatefulSet)),
    );
    read.extend(observed.pods.iter().map(|it| &it.metadata).filter_map(of(WatchedKind::Pod)));
    read.extend(
        observed.claims.iter().map(|it| &it.metadata).filter_map(of(WatchedKind::PersistentVolumeClaim)),
    );
    read.extend(observed.services.iter().map(|it| &it.metadata).filter_map(of(WatchedKind::Service)));
    let budgets = observed.disruption_budgets.iter().map(|it| &it.metadata);
    read.extend(budgets.filter_map(of(WatchedKind::PodDisruptionBudget)));
    read
}

/// A spec that can't be carried out changes nothing; what runs is kept as it is.
fn parse_and_plan(observed: &Observed) -> Plan {
    match Desired::parse(&observed.cluster) {
        Ok(desired) => plan(observed, &desired),
        Err(invalid) => of_invalid(observed, &invalid),
    }
}
