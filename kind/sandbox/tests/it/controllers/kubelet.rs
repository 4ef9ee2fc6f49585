//! A stand-in for the node: bound pods are running and ready (or ended, if they say so) at once, pods under deletion are gone at once. It runs
//! nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::task::JoinSet;

/// A pod with this annotation is in this phase at once, instead of running.
pub(crate) const PHASE: &str = "stand-in/phase";
/// The node's name.
pub(crate) const NODE: &str = "stand-in";

/// The running stand-in; dropping it stops it.
pub(crate) struct Kubelet {
    _tasks: JoinSet<()>,
    unready: Arc<Mutex<BTreeSet<String>>>,
}

impl Kubelet {
    pub(crate) async fn start(client: Client) -> Kubelet {
        let node = json!({"metadata": {"name": NODE}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let nodes: Api<Node> = Api::all(client.clone());
        let node: Node = serde_json::from_value(node).unwrap();
        nodes.create(&PostParams::default(), &node).await.unwrap();
        nodes
            .patch_status(NODE, &PatchParams::default(), &Patch::Merge(json!({"status": node.status})))
            .await
            .unwrap();
        let unready = Arc::new(Mutex::new(BTreeSet::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(run(client, unready.clone()));
        Kubelet { _tasks: tasks, unready }
    }

    /// Pods of this name run, but never become ready, from their next start on.
    pub(crate) fn keep_unready(&self, pod: &str) {
        self.unready.lock().unwrap().insert(pod.to_owned());
    }
}

async fn run(client: Client, unready: Arc<Mutex<BTreeSet<String>>>) {
    let pods: Api<Pod> = Api::all(client.clone());
    let events = watcher(pods, watcher::Config::default()).default_backoff().applied_objects();
    let handled = events.try_for_each(|pod| {
        let ready = !unready.lock().unwrap().contains(&pod.name_any());
        let client = client.clone();
        async move {
            handle(client, pod, ready).await;
            Ok(())
        }
    });
    handled.await.unwrap();
}

async fn handle(client: Client, pod: Pod, ready: bool) {
    if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(NODE) {
        return;
    }
    let pods: Api<Pod> = Api::namespaced(client, &pod.namespace().unwrap());
    if pod.metadata.deletion_timestamp.is_some() {
        let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
        let parameters = DeleteParams { preconditions, ..DeleteParams::default().grace_period(0) };
        drop(pods.delete(&pod.name_any(), &parameters).await);
        return;
    }
    let phase = pod.annotations().get(PHASE).cloned().unwrap_or_else(|| "Running".into());
    if pod.status.as_ref().and_then(|status| status.phase.as_ref()) == Some(&phase) {
        return;
    }
    let status = json!({
        "metadata": {"uid": pod.uid()},
        "status": {
            "phase": phase,
            "podIP": "10.244.0.9",
            "conditions": [{
                "type": "Ready",
                "status": if ready && phase == "Running" { "True" } else { "False" },
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    });
    drop(pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await);
}
