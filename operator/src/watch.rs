//! Watches: what they tell of objects, by metadata alone. Nothing of an object's content reaches this process, let alone a plan: what
//! a look acts on is read afresh, so a late, lost or repeated event costs time and never truth.

use crate::telemetry::chain;
use etcd_operator_core::api::{EtcdBackup, EtcdBackupSchedule, EtcdCluster};
use etcd_operator_core::key::Key;
use etcd_operator_core::seen::{ObjectName, Told, Version, WatchedKind, Whose};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt, utils::Backoff, watcher};
use kube::{Client, Resource};
use std::time::Duration;

/// Bound of one watch request, in seconds. A connection that died silently is noticed soon after.
const WATCH_SECONDS: u32 = 30;

/// How a kind is called in the API.
pub fn resource(kind: WatchedKind) -> ApiResource {
    fn of<K: Resource<DynamicType = ()>>() -> ApiResource {
        ApiResource::erase::<K>(&())
    }
    match kind {
        WatchedKind::EtcdCluster => of::<EtcdCluster>(),
        WatchedKind::EtcdBackup => of::<EtcdBackup>(),
        WatchedKind::EtcdBackupSchedule => of::<EtcdBackupSchedule>(),
        WatchedKind::Job | WatchedKind::ScheduledJob | WatchedKind::RestoreJob => of::<Job>(),
        WatchedKind::CronJob => of::<CronJob>(),
        WatchedKind::StatefulSet => of::<StatefulSet>(),
        WatchedKind::Pod => of::<Pod>(),
        WatchedKind::PersistentVolumeClaim => of::<PersistentVolumeClaim>(),
        WatchedKind::Service => of::<Service>(),
        WatchedKind::PodDisruptionBudget => of::<PodDisruptionBudget>(),
    }
}

/// Everything that is told of watched objects, from all namespaces or one, for ever.
pub fn told(client: &Client, namespace: Option<&str>) -> impl Stream<Item = Told> + Send + use<> {
    stream::select_all(WatchedKind::ALL.map(|kind| told_of(client, namespace, kind)))
}

fn told_of(client: &Client, namespace: Option<&str>, kind: WatchedKind) -> BoxStream<'static, Told> {
    let resource = resource(kind);
    // This type asks for metadata alone.
    let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let config = Config::default().timeout(WATCH_SECONDS);
    let config = match kind.whose() {
        Whose::Own(_) => config,
        Whose::Labelled(_, label) => config.labels(label),
    };
    watcher(api, config)
        .backoff(SteadyBackoff)
        .filter_map(move |event| std::future::ready(parse(kind, event)))
        .boxed()
}

fn parse(kind: WatchedKind, event: Result<Event<PartialObjectMeta<DynamicObject>>, Error>) -> Option<Told> {
    match event {
        Ok(Event::Init) => Some(Told::ListBegins(kind)),
        Ok(Event::InitDone) => Some(Told::ListEnds(kind)),
        Ok(Event::InitApply(object) | Event::Apply(object)) => is(kind, &object.metadata),
        Ok(Event::Delete(object)) => Some(Told::Gone(name(kind, &object.metadata)?)),
        Err(error) => {
            tracing::warn!(error = chain(&error), ?kind, "failed to watch");
            Some(Told::Failed(kind))
        }
    }
}

fn is(kind: WatchedKind, metadata: &ObjectMeta) -> Option<Told> {
    let (own, of) = match kind.whose() {
        Whose::Own(own) => (own, metadata.name.as_deref()?),
        Whose::Labelled(own, label) => (own, metadata.labels.as_ref()?.get(label)?.as_str()),
    };
    let of = Key::of(own, metadata.namespace.as_deref()?, of);
    let (name, version) = identify(kind, metadata)?;
    Some(Told::Is(name, version, of))
}

/// Name and version of an object, once it has been created.
pub fn identify(kind: WatchedKind, metadata: &ObjectMeta) -> Option<(ObjectName, Version)> {
    Some((name(kind, metadata)?, version(metadata)?))
}

fn name(kind: WatchedKind, metadata: &ObjectMeta) -> Option<ObjectName> {
    let namespace = metadata.namespace.as_deref()?.into();
    Some(ObjectName { kind, namespace, name: metadata.name.as_deref()?.into() })
}

/// Which state of the object this is.
pub fn version(metadata: &ObjectMeta) -> Option<Version> {
    let resource_version = metadata.resource_version.as_deref()?.into();
    Some(Version { uid: metadata.uid.as_deref()?.into(), resource_version })
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
