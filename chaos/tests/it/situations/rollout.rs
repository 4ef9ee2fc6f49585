//! How a change of resources goes from member to member: each is watched for a while before the next, and one that does not bear
//! it stops the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos::subject::{etcd, operator};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use super::changes::resources;
use super::ground::Ground;
use super::observing::{ensure, throughout};
use super::subject::Subject;
use crate::promises::arena::until;

const SOAK_SECONDS: i64 = 20;

fn limit(memory: &str) -> Value {
    json!({ "resources": { "requests": { "memory": "64Mi" }, "limits": { "memory": memory } } })
}

fn has_limit(pod: &Pod, memory: &str) -> bool {
    resources(pod).limits.is_some_and(|limits| limits.get("memory").is_some_and(|limit| limit.0 == memory))
}

/// The pods that were made from the new template.
async fn followers(demo: &Subject<'_>, memory: &str) -> Vec<Pod> {
    demo.pods().await.into_iter().filter(|pod| has_limit(pod, memory)).collect()
}

/// Waits until the first member was restarted by the change and serves.
async fn first_follower(demo: &Subject<'_>, memory: &str) -> Pod {
    until("the first member serves with its new limit", async || {
        let followers = followers(demo, memory).await;
        Ok(followers.into_iter().find(super::subject::is_ready))
    })
    .await
}

/// When the pod was made, and when its etcd container was started.
fn times(pod: &Pod) -> (Timestamp, Timestamp) {
    let created = pod.metadata.creation_timestamp.as_ref().unwrap().0;
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let etcd = containers.into_iter().find(|container| container.name == etcd::CONTAINER);
    let running = etcd.and_then(|container| container.state.as_ref()?.running.as_ref()?.started_at.clone());
    (created, running.unwrap().0)
}

/// Waits until all have followed; the next was never made before the one before it had run for the whole soak.
async fn each_is_watched_before_the_next(demo: &Subject<'_>, memory: &str) {
    until("every member has its new limit", async || {
        Ok((followers(demo, memory).await.len() == 3).then_some(()))
    })
    .await;
    demo.is_ready(3).await;
    let mut lives: Vec<(Timestamp, Timestamp)> = demo.pods().await.iter().map(times).collect();
    lives.sort();
    for pair in lives.windows(2) {
        let waited = pair[1].0.as_second() - pair[0].1.as_second();
        // Kubernetes writes whole seconds, so a difference of two may be one short.
        assert!(waited >= SOAK_SECONDS - 1, "only {waited} s after its container's start: {lives:?}");
    }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_new_memory_limit_goes_from_member_to_member_no_faster_than_the_soak_and_says_what_it_waits_for() {
    let ground = Ground::open("soak").await;
    let demo = Subject::create(&ground, "demo", json!({ "rollout": { "soakSeconds": SOAK_SECONDS } })).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    demo.change(limit("512Mi")).await.unwrap();
    first_follower(&demo, "512Mi").await;
    demo.says("it waits for the soak and is not Ready", |picture| {
        picture.hold("WaitingForSoak").is_some() && !picture.is("Ready")
    })
    .await;
    each_is_watched_before_the_next(&demo, "512Mi").await;
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_restart_of_the_operator_does_not_shorten_the_soak() {
    let ground = Ground::alone("soak-restart").await;
    let demo = Subject::create(&ground, "demo", json!({ "rollout": { "soakSeconds": SOAK_SECONDS } })).await;
    demo.is_ready(3).await;
    demo.change(limit("512Mi")).await.unwrap();
    first_follower(&demo, "512Mi").await;
    let operators = Api::<Pod>::namespaced(ground.client.clone(), operator::NAMESPACE);
    operators.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    each_is_watched_before_the_next(&demo, "512Mi").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_container_that_restarts_on_the_new_template_stops_the_rollout_and_going_back_in_the_spec_goes_back()
 {
    let ground = Ground::open("stopped").await;
    let demo = Subject::create(
        &ground,
        "demo",
        json!({ "resources": limit("256Mi")["resources"], "rollout": { "soakSeconds": 60 } }),
    )
    .await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;
    demo.change(limit("512Mi")).await.unwrap();
    let first = first_follower(&demo, "512Mi").await;
    demo.kill(&first).await;
    let message = demo.holds("RolloutStopped").await;
    assert!(message.contains(super::subject::member_of(&first.name_any())), "it says whose: {message}");
    throughout("the rollout is stopped", Duration::from_secs(75), async || {
        is_stopped(&demo, &before, &first).await
    })
    .await;

    demo.change(limit("256Mi")).await.unwrap();
    demo.is_ready(3).await;
    demo.says("nothing is stopped any more", |picture| picture.hold("RolloutStopped").is_none()).await;
    assert_eq!(followers(&demo, "256Mi").await.len(), 3);
    let now = demo.uids().await;
    let others = |pods: &BTreeMap<String, String>| -> Vec<(String, String)> {
        let others = pods.iter().filter(|(pod, _)| **pod != first.name_any());
        others.map(|(pod, uid)| (pod.clone(), uid.clone())).collect()
    };
    assert_eq!(others(&now), others(&before), "the others were never restarted");
    demo.every_member_has(3, "key", "value").await;
}

/// Longer than the soak: nobody else has followed, it still says so, and the cluster serves.
async fn is_stopped(
    demo: &Subject<'_>,
    before: &BTreeMap<String, String>,
    first: &Pod,
) -> Result<(), String> {
    let now = demo.uids().await;
    let restarted: Vec<&String> = now
        .iter()
        .filter(|(pod, uid)| **pod != first.name_any() && before.get(*pod) != Some(*uid))
        .map(|(pod, _)| pod)
        .collect();
    ensure(restarted.is_empty(), || format!("{restarted:?} were restarted"))?;
    let picture = demo.picture().await;
    ensure(picture.hold("RolloutStopped").is_some(), || format!("not said: {}", picture.describe()))?;
    ensure(!picture.is("Ready"), || "it calls itself Ready".to_owned())
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_soak_delays_no_repair() {
    let ground = Ground::open("soak-repair").await;
    // Longer than the test waits for anything.
    let demo = Subject::create(&ground, "demo", json!({ "rollout": { "soakSeconds": 600 } })).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    demo.change(limit("512Mi")).await.unwrap();
    let first = first_follower(&demo, "512Mi").await.name_any();
    let lost = demo.ready_pods().await.into_iter().find(|pod| *pod != first).unwrap();
    demo.lose_disk(&lost).await;
    demo.replaces(&lost, 3).await;
    demo.every_member_has(3, "key", "value").await;
    assert!(followers(&demo, "512Mi").await.len() < 3, "the third is still being waited for");
}
