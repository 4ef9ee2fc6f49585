//! A cluster that has all it wants: what its objects bear, and that nobody writes to them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ground::Ground;
use super::observing::{ensure, throughout};
use super::subject::Subject;
use crate::promises::arena::until;

/// How long nothing may be written before the test believes that nothing is.
pub(super) const A_WHILE: Duration = Duration::from_secs(40);

async fn add_versions<K>(ground: &Ground, versions: &mut BTreeMap<String, String>)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    <K as Resource>::DynamicType: Default,
{
    for object in ground.all::<K>().await {
        let name = format!("{} {}", K::kind(&K::DynamicType::default()), object.name_any());
        versions.insert(name, object.resource_version().unwrap_or_default());
    }
}

/// The version of every object of the namespace but Events.
async fn versions(demo: &Subject<'_>) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    add_versions::<Pod>(demo.ground, &mut versions).await;
    add_versions::<PersistentVolumeClaim>(demo.ground, &mut versions).await;
    add_versions::<StatefulSet>(demo.ground, &mut versions).await;
    add_versions::<ControllerRevision>(demo.ground, &mut versions).await;
    add_versions::<Service>(demo.ground, &mut versions).await;
    add_versions::<EndpointSlice>(demo.ground, &mut versions).await;
    add_versions::<PodDisruptionBudget>(demo.ground, &mut versions).await;
    add_versions::<ConfigMap>(demo.ground, &mut versions).await;
    add_versions::<Secret>(demo.ground, &mut versions).await;
    add_versions::<ServiceAccount>(demo.ground, &mut versions).await;
    for cluster in demo.api().list(&ListParams::default()).await.unwrap() {
        versions.insert(format!("EtcdCluster {}", cluster.name_any()), cluster.resource_version().unwrap());
    }
    versions
}

/// Waits until the last writes have come, and then sees that for this time nothing is written and nothing told.
pub(super) async fn comes_to_rest(demo: &Subject<'_>, time: Duration) {
    let mut before = versions(demo).await;
    until("the last writes have come", async || {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let now = versions(demo).await;
        let is_quiet = now == before;
        let written = written(&before, &now);
        before = now;
        anyhow::ensure!(is_quiet, "these are still written: {written:?}");
        Ok(Some(()))
    })
    .await;
    let events = events_of(demo).await;
    throughout("the cluster rests", time, async || {
        let now = versions(demo).await;
        ensure(now == before, || format!("these were written: {:?}", written(&before, &now)))
    })
    .await;
    assert_eq!(events_of(demo).await, events, "nor is there a new Event about it");
}

/// What is new, or of another version.
fn written(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let new = now.iter().filter(|(name, version)| before.get(*name) != Some(*version));
    new.map(|(name, _)| name.clone()).collect()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn nothing_is_written_while_a_cluster_rests() {
    let ground = Ground::open("rest").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    comes_to_rest(&demo, A_WHILE).await;
}

/// Name and number of every Event about the cluster.
async fn events_of(demo: &Subject<'_>) -> BTreeMap<String, i32> {
    let events = demo.ground.all::<k8s_openapi::api::events::v1::Event>().await;
    let about = events.iter().filter(|event| {
        event.regarding.as_ref().and_then(|object| object.kind.as_deref()) == Some(chaos::subject::etcd::KIND)
    });
    about.map(|event| (event.name_any(), event.series.as_ref().map_or(1, |series| series.count))).collect()
}

/// Labels and annotations by which GitOps tools tell what they may prune.
fn tracks(object: &impl ResourceExt) -> Vec<String> {
    let tracking = ["app.kubernetes.io/instance", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/"];
    let keys = object.labels().keys().chain(object.annotations().keys());
    keys.filter(|key| tracking.iter().any(|prefix| key.starts_with(prefix))).cloned().collect()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn no_claim_bears_what_gitops_tools_prune_by_and_an_old_one_loses_it() {
    let ground = Ground::open("gitops").await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    let tracked = json!({ "metadata": {
        "labels": { "app.kubernetes.io/instance": "shop", "argocd.argoproj.io/instance": "shop" },
        "annotations": { "argocd.argoproj.io/tracking-id": "shop:etcd.operators.rs/EtcdCluster:shop/demo" },
    } });
    let patched: DynamicObject =
        demo.api().patch("demo", &PatchParams::default(), &Patch::Merge(&tracked)).await.unwrap();
    assert_eq!(tracks(&patched).len(), 3);
    demo.is_ready(1).await;
    let claims = ground.api::<PersistentVolumeClaim>();
    let claim = demo.claims().await.remove(0);
    assert_eq!(tracks(&claim), Vec::<String>::new(), "of {}", claim.name_any());

    let old = Patch::Merge(json!({ "metadata": { "labels": { "app.kubernetes.io/instance": "demo" } } }));
    let with_it = claims.patch(&claim.name_any(), &PatchParams::default(), &old).await.unwrap();
    assert_eq!(tracks(&with_it).len(), 1);
    until("the label that an earlier operator gave is taken off", async || {
        let now = claims.get(&claim.name_any()).await?;
        anyhow::ensure!(tracks(&now).is_empty(), "{:?}", now.labels());
        assert_eq!(now.uid(), claim.uid());
        Ok(Some(()))
    })
    .await;
}

const PERMIT: &str = "etcd.operators.rs/permit";

/// Whether a claim says, in any of the operator's annotations, that its permit is spent.
fn is_spent(claim: &PersistentVolumeClaim) -> bool {
    let ours = claim.annotations().iter().filter(|(key, _)| key.starts_with("etcd.operators.rs/"));
    ours.map(|(key, value)| format!("{key}={value}").to_lowercase()).any(|text| text.contains("spent"))
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_permit_leaves_the_pod_once_its_member_runs_the_claim_records_it_as_spent_and_it_never_returns() {
    let ground = Ground::open("permits").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    are_spent(&demo).await;

    let before = demo.uids().await;
    let pod = before.keys().next().unwrap();
    demo.pods_api().delete(pod, &DeleteParams::default()).await.unwrap();
    until("the pod is another", async || {
        let now = demo.uids().await;
        let given: Vec<String> = permits(&demo).await;
        assert_eq!(given, Vec::<String>::new(), "a spent permit is never given again");
        Ok(now.get(pod).is_some_and(|uid| *uid != before[pod]).then_some(()))
    })
    .await;
    demo.is_ready(3).await;
    are_spent(&demo).await;
    demo.every_member_has(3, "key", "value").await;
}

/// The pods that carry a permit.
async fn permits(demo: &Subject<'_>) -> Vec<String> {
    let pods = demo.pods().await;
    pods.iter().filter(|pod| pod.annotations().contains_key(PERMIT)).map(|pod| pod.name_any()).collect()
}

async fn are_spent(demo: &Subject<'_>) {
    until("no pod carries a permit, and each claim says that it is spent", async || {
        let (pods, claims) = (permits(demo).await, demo.claims().await);
        let unspent: Vec<String> =
            claims.iter().filter(|claim| !is_spent(claim)).map(|claim| claim.name_any()).collect();
        anyhow::ensure!(pods.is_empty() && unspent.is_empty(), "permits on {pods:?}; not spent: {unspent:?}");
        Ok(Some(()))
    })
    .await;
}
