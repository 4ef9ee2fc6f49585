//! Leader election by a Lease: at most one process acts, and it knows for how long it may. It decides who leads and
//! nothing else; the rule itself is in [`election`].
//!
//! A process that can no longer renew must stop acting before another may start. So validity is counted from the
//! moment at which a successful renewal was *sent*: everybody else counts from when they saw it, which is later.

pub mod election;

use crate::clock::SharedClock;
use crate::metrics::Metrics;
use crate::telemetry::chain;
use election::{Durations, Observation, Step};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use thiserror::Error;

/// The identity of a process: pod name and pod UID. A container restarted in the same pod is the same leader, because
/// its predecessor is certainly gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    /// From the downward API's name and UID.
    pub fn new(pod_name: &str, pod_uid: &str) -> Self {
        Self(format!("{pod_name}_{pod_uid}"))
    }

    /// As it stands in the Lease.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The Lease is no longer ours, or may not be. The process must end: what it is in the middle of may be somebody
/// else's to do.
#[derive(Debug, Error)]
pub enum LeaseLost {
    /// Another process holds it.
    #[error("the Lease is held by {0}")]
    TakenBy(String),
    /// It could not be renewed for so long that another process may take it.
    #[error("the Lease could not be renewed for {0:?}")]
    NotRenewed(Duration),
}

/// Says how long this process may still act. Clones share it.
#[derive(Clone)]
pub struct Leadership {
    valid_until: Arc<RwLock<Option<Duration>>>,
    clock: SharedClock,
}

impl Leadership {
    fn new(clock: SharedClock) -> Self {
        Self { valid_until: Arc::new(RwLock::new(None)), clock }
    }

    /// A leadership that never ends. For processes that are alone by construction.
    pub fn unlimited(clock: SharedClock) -> Self {
        Self { valid_until: Arc::new(RwLock::new(Some(Duration::MAX))), clock }
    }

    /// Time on the monotonic clock before another process may lead; zero if it may already.
    pub fn remaining(&self) -> Duration {
        let valid_until = self.valid_until.read().map_or(None, |valid_until| *valid_until);
        valid_until.unwrap_or_default().saturating_sub(self.clock.monotonic())
    }

    fn set(&self, valid_until: Option<Duration>) {
        if let Ok(mut shared) = self.valid_until.write() {
            *shared = valid_until;
        }
    }
}

/// One process's part in the election.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: Identity,
    durations: Durations,
    clock: SharedClock,
    metrics: Metrics,
    leadership: Leadership,
    /// The Lease as last seen changed, and when that was on our monotonic clock.
    seen: Option<Observation>,
}

impl Elector {
    /// A candidate for the Lease `name`; it has not looked at it yet.
    pub fn new(
        api: Api<Lease>,
        name: &str,
        identity: Identity,
        durations: Durations,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Self {
        let leadership = Leadership::new(clock.clone());
        Self { api, name: name.to_owned(), identity, durations, clock, metrics, leadership, seen: None }
    }

    /// How long this process may act; zero until [`Elector::acquire`] returns.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until this process leads. Errors of the API server only make it wait longer.
    pub async fn acquire(&mut self) {
        loop {
            match self.attempt(self.durations.renew_within).await {
                Ok(Step::Wait { holder }) => tracing::debug!(holder, "waiting for the Lease"),
                Ok(Step::Create | Step::Renew | Step::Take) => {
                    tracing::info!(identity = self.identity.as_str(), "this process leads");
                    self.metrics.set_lease_held(true);
                    return;
                }
                Err(error) => tracing::warn!(error = chain(&error), "failed to look at the Lease"),
            }
            tokio::time::sleep(self.durations.retry).await;
        }
    }

    /// Keeps the Lease until it is lost, which it returns. Call after [`Elector::acquire`].
    pub async fn keep(&mut self) -> LeaseLost {
        let lost = loop {
            // Ended early, so that whatever is running has stopped by the time another may lead.
            let reserve = self.durations.validity.saturating_sub(self.durations.renew_within);
            let budget = self.leadership.remaining().saturating_sub(reserve);
            if budget.is_zero() {
                break LeaseLost::NotRenewed(self.durations.renew_within);
            }
            tokio::time::sleep(self.durations.retry.min(budget)).await;
            match self.attempt(budget.saturating_sub(self.durations.retry)).await {
                Ok(Step::Create | Step::Renew | Step::Take) => {}
                Ok(Step::Wait { holder }) => break LeaseLost::TakenBy(holder),
                Err(error) => tracing::warn!(error = chain(&error), "failed to renew the Lease"),
            }
        };
        self.leadership.set(None);
        self.metrics.set_lease_held(false);
        lost
    }

    /// Gives the Lease back, so that a successor need not wait for it to run out. For an orderly end only.
    pub async fn release(&mut self) {
        self.leadership.set(None);
        self.metrics.set_lease_held(false);
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return;
        }
        spec.holder_identity = Some(String::new());
        if let Err(error) = self.api.replace(&self.name, &PostParams::default(), &lease).await {
            tracing::info!(error = chain(&error), "failed to give the Lease back");
        }
    }

    /// Looks once and takes the step that the rule allows, or fails when that takes too long.
    async fn attempt(&mut self, within: Duration) -> Result<Step, kube::Error> {
        match tokio::time::timeout(within, self.look_and_step()).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }

    async fn look_and_step(&mut self) -> Result<Step, kube::Error> {
        let sent_at = self.clock.monotonic();
        let lease = self.api.get_opt(&self.name).await?;
        let seen = Observation::update(self.seen.take(), lease.as_ref(), self.clock.monotonic());
        let step = election::step(&seen, self.identity.as_str(), &self.durations, self.clock.monotonic());
        self.seen = Some(seen);
        let written = match &step {
            Step::Wait { .. } => return Ok(step),
            Step::Create => self.api.create(&PostParams::default(), &self.next(None)).await?,
            Step::Renew | Step::Take => {
                self.api.replace(&self.name, &PostParams::default(), &self.next(lease.as_ref())).await?
            }
        };
        self.seen = Some(Observation::update(self.seen.take(), Some(&written), self.clock.monotonic()));
        self.leadership.set(Some(sent_at.saturating_add(self.durations.validity)));
        Ok(step)
    }

    /// The Lease as it is after this process created, renewed or took it. The old one's resourceVersion is kept, so a
    /// write by another candidate in between makes ours fail.
    fn next(&self, old: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.wall());
        let old_spec = old.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let ours = old_spec.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = old_spec.lease_transitions.unwrap_or(0) + i32::from(old.is_some() && !ours);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.as_str().to_owned()),
            lease_duration_seconds: Some(
                i32::try_from(self.durations.validity.as_secs()).unwrap_or(i32::MAX),
            ),
            acquire_time: if ours { old_spec.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..old_spec
        };
        let metadata = old.map_or_else(
            || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            |lease| lease.metadata.clone(),
        );
        Lease { metadata, spec: Some(spec) }
    }
}
