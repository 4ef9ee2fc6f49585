//! The worker of one pod: sets up its network and volumes, starts its containers, probes them, ends them, and reports.
//! What is to be done is decided in `lifecycle`; here it is done, in order, by one task that owns everything of the pod.

mod end;
mod hooks;
mod mounts;
mod prepare;
mod probing;
mod start;

use super::container::process::RunningProcess;
use super::context::{NODE_NAME, NodeContext, PodKey, SourceKey};
use super::events::PodEvents;
use super::field::Placement;
use super::lifecycle::{Containers, RestartPolicy};
use super::probe::{Finding, ProbeKind};
use super::status;
use super::volume::Volumes;
use crate::net::wire::PodNetwork;
use crate::sys::process::{Exit, ProcessHandle};
use hooks::Hook;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// What the node tells a worker.
#[derive(Clone, Debug)]
pub(crate) enum Update {
    /// The pod's object has changed.
    Pod(Box<Pod>),
    /// The pod's object is gone.
    Removed,
}

/// What a worker's own tasks tell it. The run tells late reports of an earlier run apart.
#[derive(Debug)]
enum Report {
    Exited { container: String, run: i32, exit: Exit },
    Probe { container: String, run: i32, kind: ProbeKind, finding: Finding },
    Hook { container: String, run: i32, hook: Hook, outcome: Result<(), String> },
}

/// A container that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// Nothing if it had ended before it could be taken hold of; its exit is about to be reported.
    process: Option<ProcessHandle>,
    /// For example `/proc/42`.
    path: PathBuf,
    run: i32,
    identity: super::container::spec::Identity,
    environment: BTreeMap<String, String>,
    /// When SIGTERM has been sent: when SIGKILL follows.
    kill_at: Option<Instant>,
    probes: Vec<AbortHandle>,
}

impl Running {
    /// Its first process below /proc.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// How far a pod that must go has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Its containers are being ended, until this time at the latest.
    Stopping { kill_at: Instant },
    /// Nothing of it is left here; its object may still exist because of a finalizer.
    Done,
}

/// Everything of one pod.
pub(crate) struct Worker {
    node: Arc<NodeContext>,
    key: PodKey,
    pod: Pod,
    object_exists: bool,
    containers: Containers,
    running: BTreeMap<String, Running>,
    network: Option<PodNetwork>,
    volumes: Option<Volumes>,
    /// When setting up may be tried again, and how long to wait after the next failure.
    set_up_retry: Option<(Instant, Duration)>,
    image_delays: BTreeMap<String, Duration>,
    start_time: Timestamp,
    ending: Option<Ending>,
    events: PodEvents,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    changes: broadcast::Receiver<SourceKey>,
    tasks: JoinSet<()>,
    published: Option<PodStatus>,
}

impl Worker {
    pub(crate) fn new(node: Arc<NodeContext>, pod: Pod) -> Worker {
        let key = PodKey::of(&pod);
        Worker {
            events: PodEvents::new(node.client.clone(), key.clone()),
            changes: node.changes.subscribe(),
            containers: Containers::of(&pod),
            node,
            key,
            pod,
            object_exists: true,
            running: BTreeMap::new(),
            network: None,
            volumes: None,
            set_up_retry: None,
            image_delays: BTreeMap::new(),
            start_time: Timestamp::now(),
            ending: None,
            reports: mpsc::channel(64),
            tasks: JoinSet::new(),
            published: None,
        }
    }

    /// Runs the pod until it is gone from the API and from the node.
    pub(crate) async fn run(mut self, mut updates: mpsc::UnboundedReceiver<Update>) {
        self.note_deletion().await;
        self.publish().await;
        loop {
            let wake_at = self.advance().await;
            self.publish().await;
            if self.ending == Some(Ending::Done) && !self.object_exists {
                return;
            }
            self.wait(&mut updates, wake_at).await;
        }
    }

    /// Does everything that is due; answers when to come back although nothing happened.
    async fn advance(&mut self) -> Option<Instant> {
        match self.ending {
            Some(Ending::Done) => None,
            Some(Ending::Stopping { .. }) => self.advance_ending().await,
            None => {
                let set_up = self.set_up().await;
                let steps = if set_up.is_none() { self.advance_containers().await } else { set_up };
                [steps, self.kill_overdue(), self.renew_volumes().await].into_iter().flatten().min()
            }
        }
    }

    /// Starts the containers whose turn it is.
    async fn advance_containers(&mut self) -> Option<Instant> {
        let now = Timestamp::now();
        let steps = self.containers.next(RestartPolicy::of(&self.pod), now);
        for (name, delay) in steps.hold {
            self.hold(&name, delay).await;
        }
        for name in &steps.start {
            self.start(name).await;
        }
        if let Some(name) = &steps.stop {
            let grace = self.grace_of_pod();
            self.stop_container(name, grace);
        }
        // What has just been started, or failed to, changes what comes next.
        let again = self.containers.next(RestartPolicy::of(&self.pod), Timestamp::now());
        if again.start.is_empty() { again.wake_at.map(in_monotonic_time) } else { Some(Instant::now()) }
    }

    /// Waits for news and takes them in.
    async fn wait(&mut self, updates: &mut mpsc::UnboundedReceiver<Update>, wake_at: Option<Instant>) {
        let timer = async {
            match wake_at {
                Some(time) => tokio::time::sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(report) = self.reports.1.recv() => self.take_report(report).await,
            update = updates.recv() => self.take_update(update.unwrap_or(Update::Removed)).await,
            change = self.changes.recv() => self.take_change(change).await,
            Some(ended) = self.tasks.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    // Like a mistake of the worker itself: nobody would watch the container any more.
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            () = timer => {}
        }
    }

    async fn take_update(&mut self, update: Update) {
        match update {
            Update::Pod(pod) => {
                let metadata_changed = self.pod.metadata.annotations != pod.metadata.annotations
                    || self.pod.metadata.labels != pod.metadata.labels;
                self.pod = *pod;
                self.containers.add_ephemeral(&self.pod);
                if metadata_changed && self.volumes.as_ref().is_some_and(Volumes::show_pod) {
                    self.refresh_volumes().await;
                }
            }
            Update::Removed => self.object_exists = false,
        }
        self.note_deletion().await;
    }

    async fn take_report(&mut self, report: Report) {
        match report {
            Report::Exited { container, run, exit } => self.note_exit(&container, run, exit).await,
            Report::Probe { container, run, kind, finding } => {
                if self.running.get(&container).is_some_and(|running| running.run == run) {
                    self.take_finding(&container, kind, finding).await;
                }
            }
            Report::Hook { container, run, hook, outcome } => {
                if self.running.get(&container).is_some_and(|running| running.run == run) {
                    self.take_hook(&container, hook, outcome).await;
                }
            }
        }
    }

    async fn take_change(&mut self, change: Result<SourceKey, broadcast::error::RecvError>) {
        let shown = match &change {
            Ok(key) => self.volumes.as_ref().is_some_and(|volumes| volumes.shows(&self.key, key)),
            // Some changes were missed, so any may be shown.
            Err(broadcast::error::RecvError::Lagged(_)) => true,
            Err(broadcast::error::RecvError::Closed) => false,
        };
        if shown {
            self.refresh_volumes().await;
        }
    }

    /// Writes the pod's status if it has changed.
    async fn publish(&mut self) {
        if !self.object_exists {
            return;
        }
        let address = self.network.as_ref().map(|network| network.address.to_string());
        let inputs = status::Inputs {
            containers: &self.containers,
            host_address: &crate::net::address::NODE.to_string(),
            pod_address: address.as_deref(),
            start_time: self.start_time,
            sandbox_ready: self.network.is_some() && self.volumes.is_some(),
            terminating: self.ending.is_some(),
            now: Timestamp::now(),
        };
        let status = status::status(&self.pod, &inputs);
        if self.published.as_ref().is_some_and(|published| status::same(published, &status)) {
            return;
        }
        let pods: Api<Pod> = Api::namespaced(self.node.client.clone(), &self.key.namespace);
        let patch = Patch::Strategic(json!({"metadata": {"uid": self.key.uid}, "status": status}));
        match pods.patch_status(&self.key.name, &PatchParams::default(), &patch).await {
            Ok(_) => self.published = Some(status),
            // The pod is gone, or another has its name; its removal is on the way to us.
            Err(kube::Error::Api(error)) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => tracing::warn!(pod = %self.key, %error, "failed to write the pod's status"),
        }
    }

    fn placement(&self) -> Placement {
        Placement {
            node: NODE_NAME.into(),
            host_address: crate::net::address::NODE.to_string(),
            pod_address: self.network.as_ref().map(|network| network.address.to_string()).unwrap_or_default(),
        }
    }
}

/// The monotonic time of a wall-clock time in the future.
fn in_monotonic_time(time: Timestamp) -> Instant {
    let left = time.duration_since(Timestamp::now());
    Instant::now() + Duration::try_from(left).unwrap_or_default()
}

/// Waits for the end of a container and reports it.
async fn watch_exit(mut process: RunningProcess, container: String, run: i32, reports: mpsc::Sender<Report>) {
    let exit = process.wait().await;
    // Without a worker nobody needs to know.
    let _ = reports.send(Report::Exited { container, run, exit }).await;
}
