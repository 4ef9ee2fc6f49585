//! Ends containers and pods: SIGTERM, the grace period, SIGKILL; then everything of the pod is removed here, and last
//! its object.

use super::hooks::Hook;
use super::mounts::message_file;
use super::{Ending, Running, Worker};
use crate::node::events::EventType;
use crate::node::lifecycle::{ContainerRecord, State, Termination};
use crate::node::log;
use crate::node::probe::{self, ProbeKind};
use crate::sys::process::Exit;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// Even a forced deletion gives a container this long between SIGTERM and SIGKILL, as in the kubelet.
const SHORTEST_GRACE: Duration = Duration::from_secs(1);
/// The kubelet shows so much of a termination message.
const LONGEST_MESSAGE: usize = 4096;

impl Running {
    pub(super) fn signal(&self, signal: Signal) {
        let sent = self.process.as_ref().map_or(Ok(()), |process| process.signal(signal));
        if let Err(error) = sent {
            tracing::warn!(process = %self.path.display(), %signal, %error, "failed to signal a container");
        }
    }
}

fn grace(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).max(SHORTEST_GRACE)
}

impl Worker {
    /// Begins to end the pod if its object says so, or is gone; a shorter grace period than before counts at once.
    pub(super) async fn note_deletion(&mut self) {
        let grace = match (&self.pod.metadata.deletion_timestamp, self.object_exists) {
            (_, false) => SHORTEST_GRACE,
            (Some(_), true) => {
                let seconds = self.pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).max(SHORTEST_GRACE)
            }
            (None, true) => return,
        };
        let kill_at = Instant::now() + grace;
        match self.ending {
            Some(Ending::Done) => {}
            Some(Ending::Stopping { kill_at: earlier }) => {
                self.ending = Some(Ending::Stopping { kill_at: earlier.min(kill_at) });
            }
            None => {
                self.ending = Some(Ending::Stopping { kill_at });
                let lasts =
                    |name: &&String| !self.containers.get(name).is_some_and(ContainerRecord::is_sidecar);
                let names: Vec<String> = self.running.keys().filter(lasts).cloned().collect();
                for name in names {
                    self.tell_and_stop(&name, grace).await;
                }
            }
        }
    }

    async fn tell_and_stop(&mut self, name: &str, grace: Duration) {
        let message = format!("Stopping container {name}");
        self.events.write(EventType::Normal, "Killing", &message, Some(name)).await;
        self.stop_container(name, grace);
    }

    /// Sidecars end after all others, the last first.
    async fn stop_next_sidecar(&mut self, kill_at: Instant) {
        let is_sidecar = |name: &String| self.containers.get(name).is_some_and(ContainerRecord::is_sidecar);
        if !self.running.keys().all(is_sidecar) {
            return;
        }
        let next = self.containers.last_running_sidecar().map(|record| record.container.name.clone());
        if let Some(name) =
            next.filter(|name| self.running.get(name).is_some_and(|one| one.kill_at.is_none()))
        {
            self.tell_and_stop(&name, kill_at.saturating_duration_since(Instant::now())).await;
        }
    }

    /// Goes on ending the pod; answers when to come back.
    pub(super) async fn advance_ending(&mut self) -> Option<Instant> {
        if let Some(Ending::Stopping { kill_at }) = self.ending {
            self.stop_next_sidecar(kill_at).await;
            for running in self.running.values_mut() {
                running.kill_at = Some(running.kill_at.map_or(kill_at, |time| time.min(kill_at)));
            }
        }
        let next = self.kill_overdue();
        if !self.running.is_empty() {
            return next;
        }
        // The last word on the containers, before the object goes.
        self.publish().await;
        self.clean_up();
        self.ending = Some(Ending::Done);
        self.delete_object().await;
        None
    }

    /// Sends SIGTERM to a container, after its hook if it has one, and sets the time of SIGKILL.
    pub(super) fn stop_container(&mut self, name: &str, grace: Duration) {
        let Some(running) = self.running.get_mut(name) else { return };
        if running.kill_at.is_some() {
            return;
        }
        running.kill_at = Some(Instant::now() + grace);
        if !self.begin_hook(name, Hook::PreStop, Some(grace))
            && let Some(running) = self.running.get(name)
        {
            running.signal(Signal::SIGTERM);
        }
    }

    /// Sends SIGKILL where the time for it has come; answers when the next time is.
    pub(super) fn kill_overdue(&mut self) -> Option<Instant> {
        let now = Instant::now();
        for running in self.running.values_mut() {
            if running.kill_at.is_some_and(|time| time <= now) {
                running.signal(Signal::SIGKILL);
                // Should it not have ended by then, it is killed again.
                running.kill_at = Some(now + SHORTEST_GRACE);
            }
        }
        self.running.values().filter_map(|running| running.kill_at).min()
    }

    /// The grace period after a failed probe: the probe's own, or the pod's.
    pub(super) fn grace_of_probe(&self, name: &str, kind: ProbeKind) -> Duration {
        let record = self.containers.get(name);
        let own =
            record.and_then(|record| probe::of(&record.container, kind)?.termination_grace_period_seconds);
        own.map_or_else(|| self.grace_of_pod(), grace)
    }

    /// The pod's own grace period.
    pub(super) fn grace_of_pod(&self) -> Duration {
        let of_pod = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        grace(of_pod.unwrap_or(30))
    }

    /// Notes how a container ended.
    pub(super) async fn note_exit(&mut self, name: &str, run: i32, exit: Exit) {
        // A late report of an earlier run says nothing about this one.
        if self.running.get(name).is_none_or(|running| running.run != run) {
            return;
        }
        let Some(running) = self.running.remove(name) else { return };
        self.node.programs.remove(&self.key.uid, name);
        running.probes.iter().for_each(tokio::task::AbortHandle::abort);
        let message = self.termination_message(name, exit).await;
        let Some(record) = self.containers.get_mut(name) else { return };
        let started_at = match record.state {
            State::Running { started_at } => Some(started_at),
            State::Waiting { .. } | State::Terminated(_) => None,
        };
        record.ready = false;
        record.started = false;
        record.state = State::Terminated(Termination {
            exit_code: exit.status(),
            signal: match exit {
                Exit::Code(_) => None,
                Exit::Signal(signal) => Some(signal),
            },
            reason: if exit == Exit::Code(0) { "Completed".into() } else { "Error".into() },
            message,
            started_at,
            finished_at: Timestamp::now(),
            container_id: record.container_id.clone(),
        });
    }

    /// What the program left for people: its termination message, or if so asked the end of its log.
    async fn termination_message(&self, name: &str, exit: Exit) -> String {
        let directory = self.node.pod_directory(&self.key);
        let message = std::fs::read(message_file(&directory, name)).unwrap_or_default();
        let from_log =
            self.containers.get(name).and_then(|one| one.container.termination_message_policy.as_deref())
                == Some("FallbackToLogsOnError");
        let message = if message.is_empty() && from_log && exit != Exit::Code(0) {
            self.end_of_log(name).await
        } else {
            message
        };
        let begin = message.len().saturating_sub(LONGEST_MESSAGE);
        String::from_utf8_lossy(&message[begin..]).into_owned()
    }

    async fn end_of_log(&self, name: &str) -> Vec<u8> {
        let Some(file) = self.node.logs.find(&self.key.uid, name, false) else { return Vec::new() };
        let request = log::Request { tail_lines: Some(80), ..log::Request::default() };
        let Ok(stream) = log::open(file, request).await else { return Vec::new() };
        let parts: Vec<_> = stream.filter_map(async |part| part.ok()).collect().await;
        parts.concat()
    }

    /// Removes everything of the pod from this node: wire, directories, hold on volumes. Its logs stay on disk.
    fn clean_up(&mut self) {
        self.volumes = None;
        if let Some(network) = self.network.take() {
            let address = network.address;
            drop(network);
            self.node.give_back(address);
        }
        self.node.logs.forget(&self.key.uid);
        match std::fs::remove_dir_all(self.node.pod_directory(&self.key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(pod = %self.key, %error, "failed to remove the pod's directory");
            }
            Ok(()) | Err(_) => {}
        }
    }

    async fn delete_object(&self) {
        if !self.object_exists {
            return;
        }
        let pods: Api<Pod> = Api::namespaced(self.node.client.clone(), &self.key.namespace);
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(self.key.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        match pods.delete(&self.key.name, &parameters).await {
            Ok(_) => {}
            Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => tracing::warn!(pod = %self.key, %error, "failed to delete the pod's object"),
        }
    }
}
