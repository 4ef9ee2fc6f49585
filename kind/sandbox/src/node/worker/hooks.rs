//! Lifecycle hooks: what is done beside a container after its start and before its end.
//! <https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/>

use super::{Ending, Report, Worker};
use crate::node::events::EventType;
use crate::node::probe;
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// A hook after the start has as long as it needs; this is longer than any needs.
const LONGEST: Duration = Duration::from_secs(3600);
/// So long the program has at least to end after its hook, however long that took.
const AFTER_HOOK: Duration = Duration::from_secs(2);

/// The two hooks of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    PostStart,
    PreStop,
}

impl Worker {
    /// Begins a container's hook, if it has one; says whether it has.
    pub(super) fn begin_hook(&mut self, name: &str, hook: Hook, limit: Option<Duration>) -> bool {
        let Some(container) = self.containers.get(name).map(|record| record.container.clone()) else {
            return false;
        };
        let handlers = container.lifecycle.clone().unwrap_or_default();
        let handler = match hook {
            Hook::PostStart => handlers.post_start,
            Hook::PreStop => handlers.pre_stop,
        };
        let (Some(handler), Some(subject)) = (handler, self.subject(name)) else { return false };
        let Some(run) = self.running.get(name).map(|running| running.run) else { return false };
        let (reports, owner) = (self.reports.0.clone(), name.to_owned());
        self.tasks.spawn(async move {
            let outcome = probe::once(&handler, &container, &subject, limit.unwrap_or(LONGEST)).await;
            // Without a worker the container is gone, too.
            let _ = reports.send(Report::Hook { container: owner, run, hook, outcome }).await;
        });
        true
    }

    /// Goes on after a hook: a failed one after the start ends the container, and one before the end is followed by it.
    pub(super) async fn take_hook(&mut self, name: &str, hook: Hook, outcome: Result<(), String>) {
        if let Err(why) = &outcome {
            let (reason, what) = match hook {
                Hook::PostStart => ("FailedPostStartHook", "PostStartHook failed"),
                Hook::PreStop => ("FailedPreStopHook", "PreStopHook failed"),
            };
            tracing::debug!(pod = %self.key, container = name, why, what);
            self.events.write(EventType::Warning, reason, what, Some(name)).await;
        }
        match hook {
            Hook::PostStart if outcome.is_err() => {
                let message = format!("FailedPostStartHook: container {name} will be restarted");
                self.events.write(EventType::Normal, "Killing", &message, Some(name)).await;
                let grace = self.grace_of_pod();
                self.stop_container(name, grace);
            }
            Hook::PostStart => {}
            Hook::PreStop => self.end_after_hook(name),
        }
    }

    fn end_after_hook(&mut self, name: &str) {
        let earliest = Instant::now() + AFTER_HOOK;
        if let Some(Ending::Stopping { kill_at }) = self.ending {
            self.ending = Some(Ending::Stopping { kill_at: kill_at.max(earliest) });
        }
        if let Some(running) = self.running.get_mut(name) {
            running.signal(Signal::SIGTERM);
            running.kill_at = running.kill_at.map(|kill_at| kill_at.max(earliest));
        }
    }
}
