//! Changes of the spec reach every member, whatever its history, and Ready does not come before.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use kube::ResourceExt as _;
use serde_json::json;

use super::ground::Ground;
use super::observing::{ensure, throughout};
use super::subject::Subject;
use crate::promises::arena::until;

/// What a pod's etcd container asks for.
pub(super) fn resources(pod: &Pod) -> ResourceRequirements {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let etcd = containers.iter().find(|container| container.name == chaos::subject::etcd::CONTAINER);
    etcd.and_then(|container| container.resources.clone()).unwrap_or_default()
}

/// The memory that a pod's etcd container requests.
pub(super) fn requested_memory(pod: &Pod) -> Option<String> {
    resources(pod).requests?.get("memory").map(|amount| amount.0.clone())
}

/// Changes the memory request and waits until the cluster calls itself Ready; at that moment every pod must have it.
async fn is_followed(demo: &Subject<'_>, memory: &str) {
    let changed = demo.change(json!({ "resources": { "requests": { "memory": memory } } })).await.unwrap();
    demo.says("it calls itself Ready after the change", |picture| {
        picture.0.metadata.generation >= changed.metadata.generation && picture.is("Ready")
    })
    .await;
    let pods = demo.pods().await;
    let behind: Vec<String> = pods
        .iter()
        .filter(|pod| requested_memory(pod).as_deref() != Some(memory))
        .map(|pod| format!("{} requests {:?}", pod.name_any(), requested_memory(pod)))
        .collect();
    assert_eq!(behind, Vec::<String>::new(), "it calls itself Ready, and these did not follow to {memory}");
    assert_eq!(pods.len(), 3);
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_change_of_resources_reaches_members_that_came_by_scaling_and_by_replacement_and_ready_waits_for_it()
 {
    let ground = Ground::open("followed").await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    demo.is_ready(1).await;
    demo.put("key", "value").await;
    demo.change(json!({ "size": 3 })).await.unwrap();
    demo.is_ready(3).await;

    let lost = demo.ready_pods().await.remove(0);
    demo.lose_disk(&lost).await;
    demo.replaces(&lost, 3).await;
    demo.is_ready(3).await;
    is_followed(&demo, "96Mi").await;
    // And once more: what a member followed once it follows again.
    is_followed(&demo, "80Mi").await;
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn limits_without_requests_which_the_api_server_fills_in_are_followed_and_come_to_rest() {
    let ground = Ground::open("limits-alone").await;
    let demo =
        Subject::create(&ground, "demo", json!({ "resources": { "limits": { "memory": "256Mi" } } })).await;
    demo.is_ready(3).await;
    demo.change(json!({ "resources": { "limits": { "memory": "512Mi" } } })).await.unwrap();
    until("every member has the new limit", async || {
        let pods = demo.pods().await;
        let limits: Vec<_> = pods
            .iter()
            .map(|pod| resources(pod).limits.and_then(|mut limits| limits.remove("memory")))
            .collect();
        let followed = limits.iter().flatten().filter(|limit| limit.0 == "512Mi").count();
        anyhow::ensure!(followed == 3, "{limits:?}");
        Ok(Some(()))
    })
    .await;
    demo.is_ready(3).await;
    let before = demo.uids().await;
    throughout("it rests", Duration::from_secs(10), async || {
        let picture = demo.picture().await;
        ensure(picture.is("Ready"), || picture.describe())?;
        let now = demo.uids().await;
        ensure(now == before, || format!("pods were {before:?} and are {now:?}"))
    })
    .await;
}
