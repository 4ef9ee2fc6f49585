//! Probes of one container: asks again and again, counts, and reports when its answer changes.

mod check;
mod threshold;

use super::container::spec::{Identity, ProcessSpec};
use check::Check;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Probe};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;
use threshold::Threshold;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

/// What a probe decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

impl std::fmt::Display for ProbeKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Readiness => "Readiness",
            ProbeKind::Liveness => "Liveness",
        })
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The thresholds say so; sent when it changes.
    Healthy(bool),
    /// One try failed, for an Event.
    TryFailed(String),
}

/// Where and as whom a container is probed.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) address: Ipv4Addr,
    /// For example `/proc/42`.
    pub(crate) process: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) environment: std::collections::BTreeMap<String, String>,
}

/// The probe of a kind, if the container has one.
pub(crate) fn of(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
    }
}

/// Does once what a lifecycle hook says; the error is for people.
pub(crate) async fn once(
    hook: &LifecycleHandler,
    container: &Container,
    subject: &Subject,
    limit: Duration,
) -> Result<(), String> {
    if let Some(sleep) = &hook.sleep {
        let pause = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
        tokio::time::sleep(pause.min(limit)).await;
        return Ok(());
    }
    let same_as = Probe { exec: hook.exec.clone(), http_get: hook.http_get.clone(), ..Probe::default() };
    Check::of(&same_as, container, subject).run(limit).await
}

/// Probes until it is aborted. The defaults are those of the Probe type in Kubernetes' API reference.
pub(crate) async fn run(
    probe: Probe,
    container: Container,
    subject: Subject,
    findings: mpsc::Sender<Finding>,
) {
    let check = Check::of(&probe, &container, &subject);
    let mut threshold =
        Threshold::new(probe.success_threshold.unwrap_or(1), probe.failure_threshold.unwrap_or(3));
    let limit = seconds(probe.timeout_seconds, 1);
    let start = Instant::now() + seconds_or_zero(probe.initial_delay_seconds);
    let mut ticks = tokio::time::interval_at(start, seconds(probe.period_seconds, 10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = check.run(limit).await;
        let healthy = outcome.is_ok();
        if let Err(message) = outcome
            && findings.send(Finding::TryFailed(message)).await.is_err()
        {
            return;
        }
        if let Some(change) = threshold.note(healthy)
            && findings.send(Finding::Healthy(change)).await.is_err()
        {
            return;
        }
    }
}

impl Subject {
    /// A command inside the container, for `exec` probes.
    fn command(&self, command: Vec<String>) -> ProcessSpec {
        ProcessSpec {
            place: super::container::spec::Place::Existing { process: self.process.clone() },
            command,
            environment: self.environment.clone(),
            working_directory: "/".into(),
            identity: self.identity.clone(),
            stdin: None,
            terminal: false,
        }
    }
}

fn seconds(stated: Option<i32>, default: u64) -> Duration {
    let stated = stated.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    Duration::from_secs(stated.unwrap_or(default))
}

fn seconds_or_zero(stated: Option<i32>) -> Duration {
    Duration::from_secs(stated.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0))
}
