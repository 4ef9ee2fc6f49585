//! Labels that somebody takes from pods: members are still found, and get them back.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::ground::Ground;
use super::observing::{ensure, until_while};
use super::subject::Subject;

/// The labels of each pod, with its uid.
type Labels = BTreeMap<String, (String, BTreeMap<String, String>)>;

/// By name, since labels are what is missing.
async fn labels(ground: &Ground) -> Labels {
    let of = |pod: &Pod| (pod.name_any(), (pod.uid().unwrap_or_default(), pod.labels().clone()));
    ground.all::<Pod>().await.iter().map(of).collect()
}

/// Takes every label of ours from every pod.
async fn take_labels(ground: &Ground) {
    for (pod, (_, labels)) in labels(ground).await {
        let ours = labels.keys().filter(|key| key.starts_with("etcd.operators.rs/"));
        let none: Map<String, Value> = ours.map(|key| (key.clone(), Value::Null)).collect();
        assert!(!none.is_empty());
        let patch = Patch::Merge(json!({ "metadata": { "labels": none } }));
        ground.api::<Pod>().patch(&pod, &PatchParams::default(), &patch).await.unwrap();
    }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn labels_taken_from_all_pods_come_back_without_a_restart_while_the_status_stays_right() {
    let ground = Ground::open("labels").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    let formed = demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = labels(&ground).await;
    take_labels(&ground).await;
    until_while(
        "each pod has its labels again, and was not restarted",
        async || labels(&ground).await == before,
        async || {
            let picture = demo.picture().await;
            ensure(picture.is("Available"), || picture.describe())?;
            ensure(picture.members() == formed.members(), || format!("{:?}", picture.members()))
        },
    )
    .await;
    demo.is_ready(3).await;
    assert_eq!(labels(&ground).await, before);
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn labels_come_back_without_a_quorum_too_and_the_survivors_volume_stays() {
    let ground = Ground::open("labels-no-quorum").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    let pods = demo.ready_pods().await;
    let survivor = &pods[2];
    let claim = |claims: Vec<k8s_openapi::api::core::v1::PersistentVolumeClaim>| {
        let name = format!("data-{}", super::subject::member_of(survivor));
        claims
            .into_iter()
            .find(|claim| claim.name_any() == name)
            .map(|claim| (claim.uid(), claim.metadata.deletion_timestamp))
    };
    let kept = claim(demo.claims().await);
    for lost in &pods[..2] {
        demo.lose_disk(lost).await;
    }
    demo.says("it says that it does not serve", |picture| {
        !picture.is("Available") && picture.reason("Available") == "QuorumLost"
    })
    .await;
    let before = labels(&ground).await[survivor].clone();
    take_labels(&ground).await;
    until_while(
        "the survivor has its labels again, and was not restarted",
        async || labels(&ground).await.get(survivor) == Some(&before),
        async || {
            let picture = demo.picture().await;
            ensure(!picture.is("Available"), || picture.describe())
        },
    )
    .await;
    assert_eq!(claim(demo.claims().await), kept, "nothing is done that could cost what is left");
}
