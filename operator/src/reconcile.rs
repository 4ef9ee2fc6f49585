//! One pass over one cluster: observe, parse, plan, execute, report. The whole operator in one function; it keeps
//! nothing between passes.

use crate::clock::SharedClock;
use crate::execute::{ExecuteError, Executor};
use crate::metrics::Metrics;
use crate::observe::{Contact, ObserveError, Observer};
use crate::report::{ReportError, Reporter};
use crate::telemetry::chain;
use crate::watch::ClusterKey;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::desired::Desired;
use etcd_operator_core::observed::Observed;
use etcd_operator_core::plan::{Hold, Plan, of_invalid, plan};
use kube::Client;
use kube::api::Api;
use std::time::Duration;
use thiserror::Error;

/// Pause after a pass that changed something: what it changed is seen soon.
const AFTER_ACTION: Duration = Duration::from_millis(200);
/// Pause while waiting for members to start or to catch up: etcd tells nobody when they have, so they are asked.
const WHILE_WAITING: Duration = Duration::from_millis(250);
/// Pause at rest. Short enough that with all time-outs of one pass a dead member shows in the status in ten seconds.
const AT_REST: Duration = Duration::from_secs(3);
/// Pause after a failed pass.
const AFTER_ERROR: Duration = Duration::from_secs(1);

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
    #[error("observe the cluster")]
    Observe(#[from] ObserveError),
    /// An action was not carried out; those after it were not tried.
    #[error("{action}")]
    Execute {
        /// What was to be done.
        action: String,
        /// Why it was not.
        #[source]
        source: ExecuteError,
    },
    /// The user was not told.
    #[error("report on the cluster")]
    Report(#[from] ReportError),
}

impl ReconcileError {
    /// Whether the world moved on between observation and action. That is in the nature of things.
    fn is_overtaken(&self) -> bool {
        matches!(self, ReconcileError::Execute { source: ExecuteError::Overtaken(_), .. })
    }
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
}

impl Reconciler {
    /// One pass, with its outcome counted and logged.
    pub async fn reconcile(&self, key: &ClusterKey) -> Next {
        let began = self.clock.monotonic();
        let outcome = self.pass(key).await;
        self.metrics.reconciled(outcome.is_ok(), self.clock.monotonic().saturating_sub(began));
        outcome.unwrap_or_else(|error| {
            if error.is_overtaken() {
                tracing::info!(cluster = %key, "{}", chain(&error));
            } else {
                tracing::warn!(cluster = %key, error = chain(&error), "reconcile");
            }
            Next::After(AFTER_ERROR)
        })
    }

    /// Observe, parse, plan, execute, report. What could not be executed is still reported on.
    async fn pass(&self, key: &ClusterKey) -> Result<Next, ReconcileError> {
        let Some(cluster) = self.cluster(key).await? else {
            self.reporter.forget(key);
            return Ok(Next::Forget);
        };
        let sight = self.observer.observe(&cluster).await?;
        let plan = parse_and_plan(&sight.observed);
        let executed = self.execute(key, &cluster, &plan, &sight.contact).await;
        self.reporter.report(key, &sight.observed, &plan).await?;
        executed?;
        Ok(Next::After(pause(&plan)))
    }

    async fn cluster(&self, key: &ClusterKey) -> Result<Option<EtcdCluster>, ReconcileError> {
        let api: Api<EtcdCluster> = Api::namespaced(self.client.clone(), &key.namespace);
        let cluster = api.get_opt(&key.name).await;
        cluster.map_err(|source| ObserveError::Read { what: format!("EtcdCluster {key}"), source }.into())
    }

    async fn execute(
        &self,
        key: &ClusterKey,
        cluster: &EtcdCluster,
        plan: &Plan,
        contact: &Contact,
    ) -> Result<(), ReconcileError> {
        for action in &plan.actions {
            let outcome = self.executor.execute(cluster, action, contact).await;
            self.metrics.acted(action.kind(), outcome.is_ok());
            if let Err(source) = outcome {
                self.reporter.failed(cluster, action, &source).await;
                return Err(ReconcileError::Execute { action: action.to_string(), source });
            }
            tracing::info!(cluster = %key, kind = action.kind(), "{action}");
            self.reporter.acted(cluster, action).await;
        }
        Ok(())
    }
}

/// A spec that can't be carried out is held back as a whole.
fn parse_and_plan(observed: &Observed) -> Plan {
    match Desired::parse(&observed.cluster) {
        Ok(desired) => plan(observed, &desired),
        Err(invalid) => of_invalid(&invalid),
    }
}

fn pause(plan: &Plan) -> Duration {
    if !plan.actions.is_empty() {
        AFTER_ACTION
    } else if plan.holds.iter().any(Hold::is_a_wait) {
        WHILE_WAITING
    } else {
        AT_REST
    }
}
