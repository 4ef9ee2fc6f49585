//! Keeps the board up to date and the record complete while a run lasts: one owned task for each source. Only reads.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event as ClusterEvent;
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event as Watched, watcher};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::clocks;
use crate::live::board::BoardSender;
use crate::live::event_log::EventLog;
use crate::live::samples;
use crate::load::Progress;
use crate::probe::Samples;
use crate::record::Event;
use crate::subject::proxy::PodPort;
use crate::subject::{etcd, operator, pods};

/// How often the probe's latest round is fetched; the probe itself asks four times a second.
const ROUND_INTERVAL: Duration = Duration::from_millis(200);
/// How often the load's counters are fetched.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(400);

/// What the watchers look at and where they write.
#[derive(Clone)]
pub(super) struct Watching {
    /// For fetches.
    pub client: Client,
    /// For watches.
    pub watching: Client,
    /// The run's namespace.
    pub namespace: String,
    /// The cluster under test.
    pub cluster: String,
    /// Where it is written for the others.
    pub board: BoardSender,
    /// Where it is written for the judge.
    pub recorder: EventLog,
}

impl Watching {
    /// Starts watching everything that needs no load or probe pod. Dropping the set ends it.
    pub(super) fn start(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().member_pods());
        tasks.spawn(self.clone().operator_pods());
        tasks.spawn(self.clone().status());
        tasks.spawn(self.clone().cluster_events());
        tasks
    }

    /// Adds what load and probe tell about themselves.
    pub(super) fn follow_pods(&self, tasks: &mut JoinSet<()>) {
        tasks.spawn(self.clone().clocks());
        tasks.spawn(self.clone().rounds());
        tasks.spawn(self.clone().progress());
    }

    async fn clocks(self) {
        loop {
            clocks::read(&self.client, &self.namespace, &self.recorder).await;
            sleep(clocks::INTERVAL).await;
        }
    }

    async fn rounds(self) {
        let port = pods::probe_port(&self.namespace);
        let mut newest = 0;
        loop {
            if let Some(samples) =
                fetch::<Samples>(&self.client, &port, &format!("samples?since={newest}")).await
            {
                newest = samples.newest;
                for sample in samples.samples {
                    self.board.send_modify(|board| board.take_round(sample.round, Instant::now()));
                }
            }
            sleep(ROUND_INTERVAL).await;
        }
    }

    async fn progress(self) {
        let port = pods::load_port(&self.namespace);
        loop {
            if let Some(progress) = fetch::<Progress>(&self.client, &port, "progress").await {
                self.board.send_modify(|board| board.progress = Some(progress));
            }
            sleep(PROGRESS_INTERVAL).await;
        }
    }

    async fn member_pods(self) {
        let api = Api::namespaced(self.watching.clone(), &self.namespace);
        let labels = format!("{}={}", etcd::CLUSTER_LABEL, self.cluster);
        let show = |known: &BTreeMap<String, Pod>| {
            let members = known.values().filter_map(samples::member_pod).collect();
            self.board.send_modify(|board| board.take_pods(members, Instant::now()));
        };
        self.pods(api, &labels, etcd::CONTAINER, show).await;
    }

    async fn operator_pods(self) {
        let api = Api::namespaced(self.watching.clone(), operator::NAMESPACE);
        let labels = format!("app.kubernetes.io/name={}", operator::NAME);
        self.pods(api, &labels, operator::NAME, |_| {}).await;
    }

    /// Records every state of the pods with these labels, and what becomes of `container` in them; shows all that are
    /// there after each change.
    async fn pods(
        &self,
        api: Api<Pod>,
        labels: &str,
        container: &str,
        show: impl Fn(&BTreeMap<String, Pod>),
    ) {
        let mut known = BTreeMap::new();
        let mut listed = BTreeMap::new();
        let mut stream = std::pin::pin!(watcher(api, watcher::Config::default().labels(labels)));
        while let Some(event) = stream.next().await {
            match event {
                Ok(Watched::Init) => listed = BTreeMap::new(),
                Ok(Watched::InitApply(pod)) => drop(listed.insert(name(&pod), pod)),
                Ok(Watched::InitDone) => {
                    self.replace_pods(&mut known, std::mem::take(&mut listed), container)
                }
                Ok(Watched::Apply(pod)) => {
                    self.record_pod(&pod, container, false);
                    known.insert(name(&pod), pod);
                }
                Ok(Watched::Delete(pod)) => {
                    self.record_pod(&pod, container, true);
                    known.remove(&name(&pod));
                }
                Err(error) => tracing::debug!(%error, "watching the pods with {labels} again"),
            }
            show(&known);
        }
    }

    /// A fresh list replaces what was known: pods that vanished while nobody watched are recorded as gone.
    fn replace_pods(
        &self,
        known: &mut BTreeMap<String, Pod>,
        listed: BTreeMap<String, Pod>,
        container: &str,
    ) {
        for pod in known
            .values()
            .filter(|pod| listed.get(&name(pod)).is_none_or(|now| now.metadata.uid != pod.metadata.uid))
        {
            self.record_pod(pod, container, true);
        }
        for pod in listed.values() {
            self.record_pod(pod, container, false);
        }
        *known = listed;
    }

    fn record_pod(&self, pod: &Pod, container: &str, gone: bool) {
        let sample = samples::pod(pod, container, gone);
        if let Some(process) = &sample.process {
            self.board.send_modify(|board| board.take_process(&sample.uid, process));
        }
        self.recorder.record(Event::Pod(sample));
    }

    async fn status(self) {
        let api = etcd::api(&self.watching, &self.namespace);
        let configuration = watcher::Config::default().fields(&format!("metadata.name={}", self.cluster));
        let mut stream = std::pin::pin!(watcher(api, configuration));
        while let Some(event) = stream.next().await {
            match event {
                Ok(Watched::Apply(cluster) | Watched::InitApply(cluster)) => self.record_status(&cluster),
                Ok(Watched::Init | Watched::InitDone | Watched::Delete(_)) => {}
                Err(error) => tracing::debug!(%error, "watching the status again"),
            }
        }
    }

    fn record_status(&self, cluster: &DynamicObject) {
        let ready = etcd::condition_is_true(cluster, "Ready");
        self.board.send_modify(|board| board.status_ready = ready);
        match samples::status(cluster) {
            Ok(sample) => self.recorder.record(Event::Status(sample)),
            Err(error) => self.recorder.note(format!("the status of the cluster cannot be read: {error:#}")),
        }
    }

    async fn cluster_events(self) {
        let api: Api<ClusterEvent> = Api::namespaced(self.watching.clone(), &self.namespace);
        let mut stream = std::pin::pin!(watcher(api, watcher::Config::default()));
        while let Some(event) = stream.next().await {
            match event {
                Ok(Watched::Apply(event) | Watched::InitApply(event)) => {
                    self.recorder.record(Event::Kubernetes(samples::cluster_event(&event)));
                }
                Ok(Watched::Init | Watched::InitDone | Watched::Delete(_)) => {}
                Err(error) => tracing::debug!(%error, "watching Events again"),
            }
        }
    }
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

/// One fetch; a failure is nothing, because the next one comes at once and staleness shows on the board.
async fn fetch<T: DeserializeOwned>(client: &Client, port: &PodPort, path: &str) -> Option<T> {
    match port.get_json(client, path).await {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::debug!("fetching {path} of {} again: {error:#}", port.pod);
            None
        }
    }
}
