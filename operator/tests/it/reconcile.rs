//! Whole passes against an API server: what one look at a cluster makes of it, and what a crash in the middle leaves.
//! No pod runs here, so the cluster never forms; what follows is tested on real etcd by the scenarios.

use crate::support::fake_etcd::FakeEtcd;
use crate::support::kubernetes::{Line, api_server, create_namespace};
use etcd_operator::audit::Audit;
use etcd_operator::backup_kinds::Hands;
use etcd_operator::backup_kinds::run::BackupVerbs;
use etcd_operator::backup_kinds::schedule::ScheduleVerbs;
use etcd_operator::clock::{RandomIdentifiers, SharedClock, SystemClock};
use etcd_operator::cluster::execute::Executor;
use etcd_operator::cluster::observe::Observer;
use etcd_operator::cluster::report::Reporter;
use etcd_operator::cluster::verbs::ClusterVerbs;
use etcd_operator::cluster::vigil::{Suspected, Watcher};
use etcd_operator::controller::{Controller, Reconcilers};
use etcd_operator::distortion::Distortion;
use etcd_operator::etcd::{Connector, EtcdPort};
use etcd_operator::events::Events;
use etcd_operator::kept::KeptConnections;
use etcd_operator::kubernetes::Clients;
use etcd_operator::lease::Leadership;
use etcd_operator::metrics::Metrics;
use etcd_operator::reconcile::{Next, Reconciler, Verbs};
use etcd_operator::registration::register;
use etcd_operator_core::api::{EtcdCluster, EtcdClusterStatus};
use etcd_operator_core::cluster::memory::Memory;
use etcd_operator_core::cluster::observed::Settings;
use etcd_operator_core::key::Key;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, CustomResourceExt as _, Resource, ResourceExt};
use prometheus_client::registry::Registry;
use sandbox::apiserver::ApiServer;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NAMESPACE: &str = "ns";

/// An operator as a fresh process would be.
fn reconciler(client: &Client) -> Reconciler<ClusterVerbs> {
    reconciler_with(client, Arc::new(FakeEtcd::default()))
}

fn reconciler_with(client: &Client, etcd: Arc<dyn EtcdPort>) -> Reconciler<ClusterVerbs> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let metrics = Metrics::register(&mut Registry::default());
    let settings = Settings {
        operator_image: "etcd-operator:test".to_owned(),
        silence_grace: Settings::DEFAULT_SILENCE_GRACE,
    };
    let verbs = ClusterVerbs {
        observer: Observer {
            client: client.clone(),
            etcd: etcd.clone(),
            clock: clock.clone(),
            identifiers: Arc::new(RandomIdentifiers),
            settings,
        },
        executor: Executor {
            client: client.clone(),
            etcd: etcd.clone(),
            leadership: Leadership::unlimited(clock.clone()),
        },
        reporter: Reporter {
            client: client.clone(),
            events: Events::new(client.clone(), "pod", clock.clone()),
            metrics: metrics.clone(),
            shown: Mutex::default(),
            distortion: Distortion::default(),
        },
        watcher: Watcher {
            etcd,
            connections: KeptConnections::with_room_for(8),
            metrics: metrics.clone(),
            compare_every: Duration::from_secs(600),
            suspected: Suspected::default(),
        },
        clock: clock.clone(),
        metrics: metrics.clone(),
        distortion: Distortion::default(),
    };
    Reconciler { client: client.clone(), verbs, clock, metrics, memories: Mutex::default() }
}

/// Of one process, for all kinds that stand for backups.
fn hands(client: &Client, clusters: &Reconciler<ClusterVerbs>) -> Hands {
    Hands {
        client: client.clone(),
        clock: clusters.clock.clone(),
        leadership: Leadership::unlimited(clusters.clock.clone()),
        metrics: clusters.metrics.clone(),
        operator_image: "etcd-operator:v0.1.0".to_owned(),
    }
}

fn reconciler_of<V: Verbs>(hands: &Hands, verbs: V) -> Arc<Reconciler<V>> {
    let (client, clock, metrics) = (hands.client.clone(), hands.clock.clone(), hands.metrics.clone());
    Arc::new(Reconciler { client, verbs, clock, metrics, memories: Mutex::default() })
}

/// The same, led by what watches tell, in this process.
pub(crate) fn controller_of(client: &Client, audit: Audit) -> Controller {
    let clusters = reconciler_with(client, Arc::new(Connector::default()));
    let hands = hands(client, &clusters);
    let events = Events::new(client.clone(), "pod", clusters.clock.clone());
    let backups = reconciler_of(&hands, BackupVerbs { hands: hands.clone(), events });
    let schedules = reconciler_of(&hands, ScheduleVerbs { hands: hands.clone() });
    Controller {
        clients: Clients::same(client.clone()),
        namespace: None,
        concurrency: 4,
        audit,
        clock: clusters.clock.clone(),
        metrics: clusters.metrics.clone(),
        reconcilers: Reconcilers { clusters: Arc::new(clusters), backups, schedules },
    }
}

fn key() -> Key {
    Key::of_cluster(NAMESPACE, "c")
}

/// An API server with one cluster object.
async fn server(version: &str) -> ApiServer {
    let server = api_server();
    let client = server.client();
    register(client.clone()).await.unwrap();
    create_namespace(&client, NAMESPACE).await;
    let cluster = serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1",
        "kind": "EtcdCluster",
        "metadata": { "name": "c" },
        "spec": { "size": 3, "version": version },
    }));
    clusters(&client).create(&PostParams::default(), &cluster.unwrap()).await.unwrap();
    server
}

fn clusters(client: &Client) -> Api<EtcdCluster> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn status(client: &Client) -> EtcdClusterStatus {
    clusters(client).get("c").await.unwrap().status.unwrap_or_default()
}

/// Enough passes for everything that can happen without a pod.
async fn settle(reconciler: &Reconciler<ClusterVerbs>) {
    for _ in 0..10 {
        reconciler.reconcile(&key()).await;
    }
}

async fn names<K>(client: &Client) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    versions::<K>(client).await.into_keys().collect()
}

/// Every object of a kind with its resourceVersion.
async fn versions<K>(client: &Client) -> BTreeMap<String, String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let list = Api::<K>::namespaced(client.clone(), NAMESPACE).list(&ListParams::default()).await.unwrap();
    list.items.iter().map(|o| (o.name_any(), o.resource_version().unwrap_or_default())).collect()
}

/// Asserts that all objects of three members are there once, under the names that the status recorded.
async fn assert_first_members(client: &Client) {
    let record = status(client).await.bootstrap.expect("the first members are recorded");
    assert_eq!(record.members.len(), 3);
    assert_eq!(names::<StatefulSet>(client).await, record.members);
    let claims: Vec<_> = record.members.iter().map(|member| format!("data-{member}")).collect();
    assert_eq!(names::<PersistentVolumeClaim>(client).await, claims);
    let services = names::<Service>(client).await;
    assert!(services.iter().any(|name| name.starts_with("c-peers-") && name.len() > 46), "{services:?}");
    assert_eq!(names::<PodDisruptionBudget>(client).await, ["c"]);
}

#[tokio::test]
async fn a_new_cluster_becomes_objects_of_three_members() {
    let client = server("3.6.16").await.client();
    settle(&reconciler(&client)).await;
    assert_first_members(&client).await;
}

#[tokio::test]
async fn a_cluster_that_waits_causes_no_write() {
    let client = server("3.6.16").await.client();
    let reconciler = reconciler(&client);
    settle(&reconciler).await;
    let before = everything(&client).await;
    settle(&reconciler).await;
    assert_eq!(everything(&client).await, before);
}

async fn everything(client: &Client) -> Vec<BTreeMap<String, String>> {
    vec![
        versions::<EtcdCluster>(client).await,
        versions::<StatefulSet>(client).await,
        versions::<PersistentVolumeClaim>(client).await,
        versions::<Service>(client).await,
        versions::<PodDisruptionBudget>(client).await,
        versions::<Event>(client).await,
    ]
}

#[tokio::test]
async fn a_crash_between_any_two_writes_converges_to_the_same_members() {
    for writes in 0.. {
        let server = server("3.6.16").await;
        let line = Line::breaking_after(writes);
        settle(&reconciler(&line.client(&server))).await;
        let recorded = status(&server.client()).await.bootstrap;
        settle(&reconciler(&server.client())).await;
        assert_first_members(&server.client()).await;
        if let Some(recorded) = recorded {
            assert_eq!(status(&server.client()).await.bootstrap, Some(recorded), "after {writes} writes");
        }
        if !line.is_broken() {
            assert!(writes > 9, "a new cluster takes more than {writes} writes");
            return;
        }
    }
}

#[tokio::test]
async fn a_version_that_is_not_supported_is_held_and_said_so() {
    let client = server("3.6.16").await.client();
    // A definition of somebody's own, without our rules: the API server refuses such a version by itself.
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut without = definitions.get(EtcdCluster::crd_name()).await.unwrap();
    let schema = without.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    schema.properties.as_mut().unwrap().get_mut("spec").unwrap().x_kubernetes_validations = None;
    definitions.replace(EtcdCluster::crd_name(), &PostParams::default(), &without).await.unwrap();
    let change = json!({ "spec": { "version": "3.4.0" } });
    clusters(&client).patch("c", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    settle(&reconciler(&client)).await;
    assert_eq!(names::<StatefulSet>(&client).await, Vec::<String>::new());
    let status = status(&client).await;
    assert_eq!(status.holds.len(), 1);
    assert_eq!(status.holds[0].reason, "InvalidSpec");
    assert_eq!(versions::<Event>(&client).await.len(), 1);
}

#[tokio::test]
async fn a_deleted_cluster_is_forgotten() {
    let client = server("3.6.16").await.client();
    let reconciler = reconciler(&client);
    settle(&reconciler).await;
    clusters(&client).delete("c", &DeleteParams::default()).await.unwrap();
    assert!(matches!(reconciler.reconcile(&key()).await, Next::Forget));
}

#[tokio::test]
async fn a_claim_that_lost_its_label_is_still_seen() {
    let client = server("3.6.16").await.client();
    settle(&reconciler(&client)).await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
    let name = names::<PersistentVolumeClaim>(&client).await.remove(0);
    let strip = json!([{ "op": "remove", "path": "/metadata/labels" }]);
    let strip: kube::api::Patch<()> = kube::api::Patch::Json(serde_json::from_value(strip).unwrap());
    claims.patch(&name, &kube::api::PatchParams::default(), &strip).await.unwrap();
    let cluster = clusters(&client).get("c").await.unwrap();
    let sight = reconciler(&client).verbs.observer.observe(&cluster, &mut Memory::default()).await.unwrap();
    assert_eq!(sight.observed.claims.len(), 3);
}
