//! What Kubernetes makes of StatefulSets, for as many as are wanted: a pod of real size for each, that runs at an address of its own
//! on loopback. It starts no process; the members are modelled.

use super::etcd::Etcds;
use etcd_operator_core::gate::Permit;
use etcd_operator_core::names::ANNOTATION_PERMIT;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Mutex;

/// One for all.
pub(crate) struct Kubelet {
    client: Client,
    etcds: Etcds,
    /// UIDs of StatefulSets whose pod was made.
    made: Mutex<BTreeSet<String>>,
    /// Those in which etcd runs.
    pods: Mutex<BTreeMap<Ipv4Addr, Pod>>,
    /// By the pod's UID.
    addresses: Mutex<BTreeMap<String, Ipv4Addr>>,
}

impl Kubelet {
    pub(crate) fn new(client: Client, etcds: Etcds) -> Self {
        Self { client, etcds, made: Mutex::default(), pods: Mutex::default(), addresses: Mutex::default() }
    }

    /// Works until dropped.
    pub(crate) async fn run(&self) {
        let mut stateful_sets =
            pin!(watcher(Api::<StatefulSet>::all(self.client.clone()), Config::default()));
        let mut pods = pin!(watcher(Api::<Pod>::all(self.client.clone()), Config::default()));
        loop {
            tokio::select! {
                biased;
                Some(event) = stateful_sets.next() => match event.unwrap() {
                    Event::Apply(live) | Event::InitApply(live) => self.make_pod(&live).await,
                    Event::Delete(_) | Event::Init | Event::InitDone => {}
                },
                Some(event) = pods.next() => match event.unwrap() {
                    Event::Apply(pod) | Event::InitApply(pod) => self.look_at(&pod).await,
                    Event::Delete(_) | Event::Init | Event::InitDone => {}
                },
            }
        }
    }

    /// The controller's part: the pod, once, and the revision that it was made from.
    async fn make_pod(&self, live: &StatefulSet) {
        let namespace = live.namespace().unwrap();
        let revision = format!("{}-1", live.name_any());
        // By what was done, not by what the event shows: it may be older.
        if !self.made.lock().unwrap().insert(live.uid().unwrap()) {
            return;
        }
        let stateful_sets: Api<StatefulSet> = Api::namespaced(self.client.clone(), &namespace);
        let status = json!({ "status": {
            "observedGeneration": live.metadata.generation, "replicas": 1, "readyReplicas": 1, "currentReplicas": 1,
            "updatedReplicas": 1, "availableReplicas": 1, "currentRevision": revision, "updateRevision": revision,
        }});
        let by = PatchParams {
            field_manager: Some("kube-controller-manager".to_owned()),
            ..PatchParams::default()
        };
        stateful_sets.patch_status(&live.name_any(), &by, &Patch::Merge(status)).await.unwrap();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let by =
            PostParams { field_manager: Some("kube-controller-manager".to_owned()), ..PostParams::default() };
        pods.create(&by, &pod_of(live, &revision)).await.unwrap();
    }

    /// The node's part: it runs the pod, ends it, and hands the gate what the pod is annotated with.
    async fn look_at(&self, pod: &Pod) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap());
        if pod.metadata.deletion_timestamp.is_some() {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
            return;
        }
        let (address, is_new) = self.address_of(&pod.uid().unwrap());
        if is_new {
            self.etcds.pod_runs(address, &pod.uid().unwrap());
            self.write_status(&pods, pod, address, false).await;
        }
        let permit = pod.annotations().get(ANNOTATION_PERMIT);
        if let Some(permit) = permit.filter(|_| !self.etcds.runs(address)) {
            let permit: Permit = serde_json::from_str(permit).unwrap();
            self.etcds.permitted(address, &permit);
            self.pods.lock().unwrap().insert(address, pod.clone());
            // None of them is ready before a quorum of them runs.
            for address in self.etcds.well_beside(address) {
                let peer = self.pods.lock().unwrap().get(&address).cloned();
                if let Some(peer) = peer {
                    self.write_status(&pods, &peer, address, true).await;
                }
            }
        }
    }

    async fn write_status(&self, pods: &Api<Pod>, pod: &Pod, address: Ipv4Addr, is_ready: bool) {
        let by = PatchParams { field_manager: Some("kubelet".to_owned()), ..PatchParams::default() };
        let status = json!({ "status": status(pod, address, is_ready) });
        pods.patch_status(&pod.name_any(), &by, &Patch::Merge(status)).await.unwrap();
    }

    /// The pod's address, and whether it has just been given: an event may be older than what was made of the one before it.
    fn address_of(&self, pod_uid: &str) -> (Ipv4Addr, bool) {
        let mut addresses = self.addresses.lock().unwrap();
        let next =
            Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + u32::try_from(addresses.len()).unwrap());
        let is_new = !addresses.contains_key(pod_uid);
        (*addresses.entry(pod_uid.to_owned()).or_insert(next), is_new)
    }
}

fn pod_of(live: &StatefulSet, revision: &str) -> Pod {
    let template = live.spec.clone().unwrap().template;
    let metadata = template.metadata.unwrap_or_default();
    let mut labels = metadata.labels.unwrap_or_default();
    labels.insert("controller-revision-hash".to_owned(), revision.to_owned());
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), format!("{}-0", live.name_any()));
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), "0".to_owned());
    let mut spec = template.spec.unwrap();
    spec.node_name = Some("node".to_owned());
    spec.hostname = Some(format!("{}-0", live.name_any()));
    Pod {
        metadata: ObjectMeta {
            name: Some(format!("{}-0", live.name_any())),
            namespace: live.namespace(),
            labels: Some(labels),
            annotations: metadata.annotations,
            owner_references: live.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        ..Pod::default()
    }
}

/// As a kubelet writes it of a pod with one init container and one container.
fn status(pod: &Pod, address: Ipv4Addr, is_ready: bool) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ready = if is_ready { "True" } else { "False" };
    let condition =
        |kind: &str, status: &str| json!({ "type": kind, "status": status, "lastTransitionTime": now });
    let container = |container: &k8s_openapi::api::core::v1::Container, state: Value, is_ready: bool| {
        json!({
            "name": container.name, "image": container.image, "imageID": format!("registry.example.com/etcd@sha256:{}", "ab".repeat(32)),
            "containerID": format!("containerd://{}", "cd".repeat(32)), "restartCount": 0, "ready": is_ready, "started": true, "state": state,
        })
    };
    let spec = pod.spec.as_ref().unwrap();
    let running = json!({ "running": { "startedAt": now } });
    let ended = json!({ "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now } });
    json!({
        "phase": "Running", "podIP": address.to_string(), "podIPs": [{ "ip": address.to_string() }], "hostIP": "192.0.2.1", "qosClass": "Burstable",
        "startTime": now,
        "conditions": [
            condition("PodReadyToStartContainers", "True"), condition("Initialized", "True"), condition("Ready", ready),
            condition("ContainersReady", ready), condition("PodScheduled", "True"),
        ],
        "initContainerStatuses": spec.init_containers.iter().flatten().map(|one| container(one, ended.clone(), true)).collect::<Vec<_>>(),
        "containerStatuses": spec.containers.iter().map(|one| container(one, running.clone(), is_ready)).collect::<Vec<_>>(),
    })
}
