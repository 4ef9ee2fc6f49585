//! Volumes that are asked to grow later: those that can, those that cannot, and those that are asked to shrink.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt as _;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::json;

use super::ground::{Afterwards, Ground};
use super::subject::Subject;
use super::volumes::{asks_for, is_replaced_by_the_same_kind};
use crate::promises::arena::until;

/// How much a claim says that its volume holds.
fn holds(claim: &PersistentVolumeClaim) -> Option<String> {
    claim.status.as_ref()?.capacity.as_ref()?.get("storage").map(|size| size.0.clone())
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_larger_size_makes_every_volume_larger_while_its_member_runs() {
    let ground = Ground::open("growth").await;
    let etcd = json!({ "quotaBackendBytes": "128Mi" });
    let demo = Subject::create(&ground, "demo", json!({ "etcd": etcd })).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;
    demo.change(json!({ "storage": { "size": "2Gi" } })).await.unwrap();
    until("every claim asks for more, and holds it", async || {
        let claims = demo.claims().await;
        let grown = claims.iter().filter(|claim| {
            asks_for(claim).1.as_deref() == Some("2Gi") && holds(claim).as_deref() == Some("2Gi")
        });
        anyhow::ensure!(
            grown.count() == 3,
            "{:?}",
            claims.iter().map(|one| (asks_for(one), holds(one))).collect::<Vec<_>>()
        );
        Ok(Some(()))
    })
    .await;
    demo.is_ready(3).await;
    assert_eq!(demo.uids().await, before, "nobody was restarted or replaced");
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_larger_size_of_volume_raises_the_quota_that_nobody_chose() {
    let ground = Ground::open("growth-quota").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    let picture = demo.is_ready(3).await;
    assert_eq!(picture.0.data["status"]["databaseQuota"], "256Mi");
    demo.change(json!({ "storage": { "size": "2Gi" } })).await.unwrap();
    demo.says("the quota has followed at every member", |picture| {
        picture.is("Ready") && picture.0.data["status"]["databaseQuota"] == "512Mi"
    })
    .await;
    let picture = demo.is_ready(3).await;
    assert_eq!(picture.0.data["status"]["holds"], json!([]));
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_smaller_size_is_held_and_a_lost_disk_is_replaced_by_one_like_the_others() {
    let ground = Ground::open("shrink").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    demo.change(json!({ "storage": { "size": "512Mi" } })).await.unwrap();
    let message = demo.holds("VolumesDoNotShrink").await;
    assert!(message.contains("1Gi") && message.contains("512Mi"), "it says what is not applied: {message}");
    is_replaced_by_the_same_kind(&demo).await;
    demo.says("it is still said", |picture| picture.hold("VolumesDoNotShrink").is_some()).await;
    demo.change(json!({ "storage": { "size": "1Gi" } })).await.unwrap();
    let picture = demo.is_ready(3).await;
    assert_eq!(picture.hold("VolumesDoNotShrink"), None);
    demo.every_member_has(3, "key", "value").await;
}

/// A class like the default one whose volumes cannot grow.
async fn class_without_growth(ground: &Ground) -> (String, Afterwards) {
    let classes = Api::<StorageClass>::all(ground.client.clone());
    let standard = classes.get("standard").await.unwrap();
    let name = format!("rigid-{}", std::process::id());
    let rigid = StorageClass {
        metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
        allow_volume_expansion: Some(false),
        ..standard
    };
    let afterwards = ground.afterwards(&["delete", "storageclass", &name, "--wait=false"]);
    classes.create(&PostParams::default(), &rigid).await.unwrap();
    (name, afterwards)
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn volumes_that_cannot_grow_are_said_in_the_servers_words_and_their_members_serve_and_are_replaced() {
    let ground = Ground::open("rigid").await;
    let (class, _afterwards) = class_without_growth(&ground).await;
    let demo = Subject::create(&ground, "demo", json!({ "storage": { "storageClassName": class } })).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;
    demo.change(json!({ "storage": { "size": "2Gi" } })).await.unwrap();
    let message = demo.holds("Refused").await;
    assert!(message.contains("must support resize"), "the server's own words: {message}");
    let picture = demo.picture().await;
    assert!(picture.is("Available"), "{}", picture.describe());
    assert_eq!(demo.uids().await, before, "nobody was restarted or replaced");

    let lost = demo.ready_pods().await.remove(0);
    demo.lose_disk(&lost).await;
    demo.replaces(&lost, 3).await;
    demo.every_member_has(3, "key", "value").await;
    for claim in demo.claims().await {
        assert_eq!(asks_for(&claim).0.as_ref(), Some(&class), "of {}", claim.name_any());
    }
    demo.says("it is still said", |picture| picture.hold("Refused").is_some()).await;
    demo.change(json!({ "storage": { "size": "1Gi" } })).await.unwrap();
    demo.put("key", "another").await;
    demo.every_member_has(3, "key", "another").await;
}
