//! What only real Kubernetes shows: nodes that are too small, the end of memory, volumes that belong to root; and quotas as
//! the real ones count. Each fails on a sandbox, and says so; `CHAOS_TEST_CLUSTER=bare` gives it real Kubernetes.

use std::time::Duration;

use chaos::subject::etcd;
use k8s_openapi::api::core::v1::{ContainerStatus, PersistentVolume, Pod, ResourceQuota};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use super::forming::forms_once_corrected;
use super::ground::Ground;
use super::observing::{ensure, throughout};
use super::refusals::are_said_and_stop_no_replacement;
use super::subject::Subject;
use crate::promises::arena::until;

/// A quota that is in force.
async fn quota(ground: &Ground, hard: Value) {
    let quota: ResourceQuota = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "quota" }, "spec": { "hard": hard },
    }))
    .unwrap();
    let quotas = ground.api::<ResourceQuota>();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    until("the quota is counted", async || {
        let status = quotas.get("quota").await?.status.unwrap_or_default();
        Ok(status.used.is_some_and(|used| !used.is_empty()).then_some(()))
    })
    .await;
}

fn compute() -> Value {
    json!({ "requests.cpu": "4", "requests.memory": "4Gi", "limits.cpu": "8", "limits.memory": "8Gi" })
}

fn small() -> Value {
    json!({ "requests": { "cpu": "50m", "memory": "64Mi" }, "limits": { "cpu": "1", "memory": "256Mi" } })
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "needs real Kubernetes: CHAOS_TEST_CLUSTER=bare, see the module's documentation"]
async fn members_with_resources_start_under_a_quota_of_compute() {
    let ground = Ground::real("quota").await;
    quota(&ground, compute()).await;
    let demo = Subject::create(&ground, "demo", json!({ "resources": small() })).await;
    demo.is_ready(3).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "needs real Kubernetes: CHAOS_TEST_CLUSTER=bare, see the module's documentation"]
async fn a_quota_that_refuses_members_without_resources_is_quoted_and_resources_are_enough_to_form() {
    let ground = Ground::real("quota-refuses").await;
    quota(&ground, compute()).await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.says("the quota is quoted", |picture| picture.quotes(&["quota", "must specify"])).await;
    forms_once_corrected(&demo, json!({ "resources": small() })).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "needs real Kubernetes: CHAOS_TEST_CLUSTER=bare, see the module's documentation"]
async fn a_quota_that_refuses_services_and_budgets_is_said_and_stops_no_replacement() {
    let ground = Ground::real("quota-services").await;
    are_said_and_stop_no_replacement(
        &ground,
        "quota",
        async || {
            quota(&ground, json!({ "count/services": "0", "count/poddisruptionbudgets.policy": "0" })).await
        },
        async || drop(ground.api::<ResourceQuota>().delete("quota", &DeleteParams::default()).await.unwrap()),
    )
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "needs real Kubernetes: CHAOS_TEST_CLUSTER=bare, see the module's documentation"]
async fn requests_that_no_node_can_meet_are_quoted_and_smaller_ones_are_enough_to_form() {
    let ground = Ground::real("too-large").await;
    let demo =
        Subject::create(&ground, "demo", json!({ "resources": { "requests": { "memory": "9Ti" } } })).await;
    demo.says("the scheduler is quoted", |picture| picture.quotes(&["Insufficient memory"])).await;
    forms_once_corrected(&demo, json!({ "resources": { "requests": { "memory": "64Mi" } } })).await;
}

/// The states that a member's etcd container is in, and was in before.
fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == etcd::CONTAINER)
}

/// The reasons for which containers ended, now or the time before.
fn ends(pod: &Pod) -> Vec<String> {
    let states = container(pod).map(|one| [one.state.clone(), one.last_state.clone()]);
    let ended = states.into_iter().flatten().flatten().filter_map(|state| state.terminated);
    ended.filter_map(|terminated| terminated.reason).collect()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "needs real Kubernetes: CHAOS_TEST_CLUSTER=bare, see the module's documentation"]
async fn a_memory_limit_that_kills_the_first_member_is_quoted_and_stops_there_and_going_back_heals() {
    let ground = Ground::real("memory").await;
    let ample = json!({ "limits": { "memory": "256Mi" }, "requests": { "memory": "12Mi" } });
    let spec = json!({ "resources": ample, "rollout": { "soakSeconds": 120 } });
    let demo = Subject::create(&ground, "demo", spec).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;
    demo.change(json!({ "resources": { "limits": { "memory": "14Mi" } } })).await.unwrap();
    let killed = until("the first member was killed for its memory", async || {
        let pods = demo.pods().await;
        Ok(pods.iter().find(|pod| ends(pod).iter().any(|why| why == "OOMKilled")).map(|pod| pod.name_any()))
    })
    .await;
    // It may live for a while between two kills; then only the hold can say it.
    demo.says("it is quoted", |picture| {
        let hold = picture.hold("RolloutStopped").unwrap_or_default();
        picture.quotes(&["OOMKilled"]) || hold.contains("OOMKilled")
    })
    .await;
    demo.holds("RolloutStopped").await;
    throughout("the rollout is stopped", Duration::from_secs(20), async || {
        let now = demo.uids().await;
        let others =
            now.iter().filter(|(pod, _)| **pod != killed).all(|(pod, uid)| before.get(pod) == Some(uid));
        ensure(others, || format!("pods were {before:?} and are {now:?}"))?;
        let picture = demo.picture().await;
        ensure(picture.is("Available") && !picture.is("Ready"), || picture.describe())
    })
    .await;
    demo.change(json!({ "resources": ample })).await.unwrap();
    demo.is_ready(3).await;
    demo.every_member_has(3, "key", "value").await;
}

/// Volumes of this class are directories of a node that root made and nobody else may write to.
async fn root_owned_volumes(ground: &Ground) -> (String, Vec<super::ground::Afterwards>) {
    let class = format!("root-owned-{}", std::process::id());
    let object: StorageClass = serde_json::from_value(json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": class },
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    }))
    .unwrap();
    let mut afterwards = vec![ground.afterwards(&["delete", "storageclass", &class, "--wait=false"])];
    Api::<StorageClass>::all(ground.client.clone()).create(&PostParams::default(), &object).await.unwrap();
    // One more than the cluster needs: an operator that replaced the member would find it.
    for number in 0..2 {
        let name = format!("{class}-{number}");
        let volume: PersistentVolume = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
            "spec": {
                "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                "persistentVolumeReclaimPolicy": "Retain",
                // The kubelet makes it, with mode 0755, and gives no hostPath to a pod's group.
                "hostPath": { "path": format!("/var/lib/{name}"), "type": "DirectoryOrCreate" },
            },
        }))
        .unwrap();
        afterwards.push(ground.afterwards(&["delete", "persistentvolume", &name, "--wait=false"]));
        let volumes = Api::<PersistentVolume>::all(ground.client.clone());
        volumes.create(&PostParams::default(), &volume).await.unwrap();
    }
    (class, afterwards)
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "needs real Kubernetes: CHAOS_TEST_CLUSTER=bare, see the module's documentation"]
async fn a_volume_that_belongs_to_root_is_named_as_not_writable_and_no_trail_of_claims_follows() {
    let ground = Ground::real("root-owned").await;
    let (class, _afterwards) = root_owned_volumes(&ground).await;
    let storage = json!({ "storageClassName": class });
    let demo = Subject::create(&ground, "demo", json!({ "size": 1, "storage": storage })).await;
    demo.says("what the gate cannot do, and as whom, is said", |picture| {
        (picture.quotes(&["writ", "65532"])) || picture.quotes(&["permission", "65532"])
    })
    .await;
    let (words, member) = until("the gate said so at its end", async || {
        let pods = demo.pods().await;
        Ok(pods.iter().find_map(|pod| {
            let one = container(pod)?;
            let states = [one.last_state.as_ref(), one.state.as_ref()];
            let ended = states.into_iter().flatten().find_map(|state| state.terminated.clone());
            Some((ended?.message?, pod.name_any()))
        }))
    })
    .await;
    let beginning: String = words.trim().chars().take(40).collect();
    demo.says("its words are quoted", |picture| picture.quotes(&[&beginning])).await;
    throughout("the volume stays as it is", Duration::from_secs(40), async || {
        let claims: Vec<String> = demo.claims().await.iter().map(|claim| claim.name_any()).collect();
        ensure(claims.len() == 1, || format!("{claims:?}"))?;
        let pods = demo.uids().await;
        ensure(pods.keys().all(|pod| *pod == member), || format!("{pods:?}"))
    })
    .await;
}
