//! Turns changes of watched objects into the names of clusters to look at. It keeps no object: what a reconcile acts
//! on is read afresh, so a late or lost watch event costs time and never truth.

use crate::telemetry::chain;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::names::LABEL_CLUSTER;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{Config, Error, Event, watcher};
use kube::runtime::{WatchStreamExt, utils::Backoff};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// A cluster by its key in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Bound of one watch request, in seconds. A connection that died silently is noticed soon after.
const WATCH_SECONDS: u32 = 30;

/// Every change that concerns a cluster, from all namespaces or one, for ever.
pub fn triggers(client: &Client, namespace: Option<&str>) -> impl Stream<Item = ClusterKey> + Send + use<> {
    let labelled = Config::default().labels(LABEL_CLUSTER).timeout(WATCH_SECONDS);
    let all = Config::default().timeout(WATCH_SECONDS);
    stream::select_all([
        changes::<EtcdCluster>(client, namespace, all, own_key),
        changes::<StatefulSet>(client, namespace, labelled.clone(), labelled_key),
        changes::<Pod>(client, namespace, labelled.clone(), labelled_key),
        changes::<PersistentVolumeClaim>(client, namespace, labelled.clone(), labelled_key),
        changes::<Service>(client, namespace, labelled.clone(), labelled_key),
        changes::<PodDisruptionBudget>(client, namespace, labelled, labelled_key),
    ])
}

fn changes<K>(
    client: &Client,
    namespace: Option<&str>,
    config: Config,
    key: fn(&PartialObjectMeta<K>) -> Option<ClusterKey>,
) -> stream::BoxStream<'static, ClusterKey>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let api: Api<PartialObjectMeta<K>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    watcher(api, config)
        .backoff(SteadyBackoff)
        .inspect_err(|error| {
            tracing::warn!(error = chain(error), kind = %K::kind(&()), "failed to watch");
        })
        .filter_map(move |event| std::future::ready(changed(event).as_ref().and_then(key)))
        .boxed()
}

fn changed<K>(event: Result<Event<K>, Error>) -> Option<K> {
    match event {
        Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => Some(object),
        Ok(Event::Init | Event::InitDone) | Err(_) => None,
    }
}

fn own_key<K>(object: &PartialObjectMeta<K>) -> Option<ClusterKey> {
    Some(ClusterKey { namespace: object.metadata.namespace.clone()?, name: object.metadata.name.clone()? })
}

fn labelled_key<K>(object: &PartialObjectMeta<K>) -> Option<ClusterKey> {
    let name = object.metadata.labels.as_ref()?.get(LABEL_CLUSTER)?.clone();
    Some(ClusterKey { namespace: object.metadata.namespace.clone()?, name })
}

/// One second between attempts, whatever happened: no randomness, and short, because a fault in the API server is
/// when clusters need their operator back.
#[derive(Debug, Clone)]
struct SteadyBackoff;

impl Iterator for SteadyBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Backoff for SteadyBackoff {
    fn reset(&mut self) {}
}
