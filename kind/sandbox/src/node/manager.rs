//! Watches the pods bound to this node and gives each one a worker; watches ConfigMaps and Secrets so that workers hear
//! of changes.

use super::context::{NODE_NAME, NodeContext, PodKey, SourceKey, SourceKind};
use super::worker::{Update, Worker};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The workers of all pods, by uid. Dropping it ends them and with them every container.
#[derive(Default)]
struct Workers {
    channels: BTreeMap<String, mpsc::UnboundedSender<Update>>,
    tasks: JoinSet<String>,
    /// Pods of the list being received, after the watch began anew.
    listed: Option<BTreeSet<String>>,
}

/// Runs every pod bound to the node until it is aborted, or a worker has failed by a mistake of ours.
pub(crate) async fn run(node: Arc<NodeContext>) {
    let pods: Api<Pod> = Api::all(node.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={NODE_NAME}"));
    let mut events = std::pin::pin!(watcher(pods, config).default_backoff());
    let mut workers = Workers::default();
    loop {
        tokio::select! {
            biased;
            Some(ended) = workers.tasks.join_next() => match ended {
                Ok(uid) => drop(workers.channels.remove(&uid)),
                // A pod without a worker would be a silent lie: the node gives up, and the sandbox with it.
                Err(error) => return tracing::error!(%error, "a pod's worker failed"),
            },
            event = events.try_next() => match event {
                Ok(Some(event)) => workers.take(&node, event),
                Ok(None) => return,
                Err(error) => tracing::warn!(%error, "failed to watch pods"),
            },
        }
    }
}

impl Workers {
    fn take(&mut self, node: &Arc<NodeContext>, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listed = Some(BTreeSet::new()),
            watcher::Event::InitApply(pod) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(PodKey::of(&pod).uid);
                }
                self.apply(node, pod);
            }
            watcher::Event::Apply(pod) => self.apply(node, pod),
            watcher::Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                for (_, channel) in self.channels.iter().filter(|(uid, _)| !listed.contains(*uid)) {
                    // A worker that has ended needs no news.
                    let _ = channel.send(Update::Removed);
                }
            }
            watcher::Event::Delete(pod) => {
                if let Some(channel) = self.channels.get(&PodKey::of(&pod).uid) {
                    let _ = channel.send(Update::Removed);
                }
            }
        }
    }

    fn apply(&mut self, node: &Arc<NodeContext>, pod: Pod) {
        if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(NODE_NAME) {
            return;
        }
        let uid = PodKey::of(&pod).uid;
        if let Some(channel) = self.channels.get(&uid) {
            let _ = channel.send(Update::Pod(Box::new(pod)));
            return;
        }
        let (sender, updates) = mpsc::unbounded_channel();
        let worker = Worker::new(node.clone(), pod);
        self.channels.insert(uid.clone(), sender);
        self.tasks.spawn(async move {
            worker.run(updates).await;
            uid
        });
    }
}

/// Tells workers about changed ConfigMaps until it is aborted.
pub(crate) async fn watch_config_maps(node: Arc<NodeContext>) {
    watch_source::<ConfigMap>(node, SourceKind::ConfigMap).await;
}

/// Tells workers about changed Secrets until it is aborted.
pub(crate) async fn watch_secrets(node: Arc<NodeContext>) {
    watch_source::<Secret>(node, SourceKind::Secret).await;
}

async fn watch_source<K>(node: Arc<NodeContext>, kind: SourceKind)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let objects: Api<K> = Api::all(node.client.clone());
    let mut events = std::pin::pin!(watcher(objects, watcher::Config::default()).default_backoff());
    loop {
        let object = match events.try_next().await {
            Ok(Some(
                watcher::Event::Apply(object)
                | watcher::Event::Delete(object)
                | watcher::Event::InitApply(object),
            )) => object,
            Ok(Some(watcher::Event::Init | watcher::Event::InitDone)) => continue,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, ?kind, "failed to watch what volumes show");
                continue;
            }
        };
        let key =
            SourceKey { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() };
        // Without a pod nobody listens.
        let _ = node.changes.send(key);
    }
}
