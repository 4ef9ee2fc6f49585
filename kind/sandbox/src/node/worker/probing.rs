//! Sets the probes of a container going and takes what they find.

use super::{Report, Worker};
use crate::node::events::EventType;
use crate::node::probe::{self, Finding, ProbeKind, Subject};

impl Worker {
    /// Starts the startup probe, or what comes after it.
    pub(super) fn begin_probing(&mut self, name: &str) {
        let Some(record) = self.containers.get(name) else { return };
        if record.is_lasting() && record.container.startup_probe.is_some() {
            self.spawn_probe(name, ProbeKind::Startup);
        } else {
            self.note_started(name);
        }
    }

    /// Notes that a container has started: its other probes begin; without a readiness probe it is ready.
    pub(super) fn note_started(&mut self, name: &str) {
        let Some(record) = self.containers.get_mut(name) else { return };
        record.started = true;
        record.ready = record.container.readiness_probe.is_none();
        if record.is_lasting() {
            self.spawn_probe(name, ProbeKind::Readiness);
            self.spawn_probe(name, ProbeKind::Liveness);
        }
    }

    /// Where and as whom a running container is asked.
    pub(super) fn subject(&self, name: &str) -> Option<Subject> {
        let running = self.running.get(name)?;
        Some(Subject {
            address: self.network.as_ref()?.address,
            process: running.path.clone(),
            identity: running.identity.clone(),
            environment: running.environment.clone(),
        })
    }

    fn spawn_probe(&mut self, name: &str, kind: ProbeKind) {
        let Some(record) = self.containers.get(name) else { return };
        let Some(probe) = probe::of(&record.container, kind).cloned() else { return };
        let container = record.container.clone();
        let Some(subject) = self.subject(name) else { return };
        let Some(running) = self.running.get_mut(name) else { return };
        let (reports, run, owner) = (self.reports.0.clone(), running.run, name.to_owned());
        let (sender, mut findings) = tokio::sync::mpsc::channel(4);
        let task = self.tasks.spawn(async move {
            let forward = async {
                while let Some(finding) = findings.recv().await {
                    let report = Report::Probe { container: owner.clone(), run, kind, finding };
                    if reports.send(report).await.is_err() {
                        return;
                    }
                }
            };
            tokio::join!(probe::run(probe, container, subject, sender), forward);
        });
        running.probes.push(task);
    }

    /// Acts on what a probe found.
    pub(super) async fn take_finding(&mut self, name: &str, kind: ProbeKind, finding: Finding) {
        match (kind, finding) {
            (_, Finding::TryFailed(message)) => {
                // As in the kubelet's events, a startup or readiness probe that fails while starting is told too.
                let message = format!("{kind} probe failed: {message}");
                self.events.write(EventType::Warning, "Unhealthy", &message, Some(name)).await;
            }
            (ProbeKind::Readiness, Finding::Healthy(ready)) => {
                if let Some(record) = self.containers.get_mut(name) {
                    record.ready = ready;
                }
            }
            (ProbeKind::Startup, Finding::Healthy(true)) => self.note_started(name),
            (ProbeKind::Liveness, Finding::Healthy(true)) => {}
            (ProbeKind::Startup | ProbeKind::Liveness, Finding::Healthy(false)) => {
                let what = kind.to_string().to_lowercase();
                let message = format!("Container {name} failed {what} probe, will be restarted");
                self.events.write(EventType::Normal, "Killing", &message, Some(name)).await;
                let grace = self.grace_of_probe(name, kind);
                self.stop_container(name, grace);
            }
        }
    }
}
