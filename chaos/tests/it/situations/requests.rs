//! What is asked for once, by an annotation: it is done once, acknowledged, and not done again.

use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::at_rest::comes_to_rest;
use super::ground::Ground;
use super::observing::{ensure, until_while};
use super::picture::Picture;
use super::subject::{Subject, member_of};

/// Long enough for several passes of the operator.
const SOME_PASSES: Duration = Duration::from_secs(15);

async fn ask(demo: &Subject<'_>, what: &str, value: &str) {
    let key = format!("etcd.operators.rs/{what}");
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
    let _: DynamicObject = demo.api().patch(&demo.name, &PatchParams::default(), &patch).await.unwrap();
}

fn is_acknowledged(picture: &Picture, what: &str, value: &str) -> bool {
    picture.0.data["status"]["acknowledged"][what] == value
}

pub(super) fn leader(picture: &Picture) -> &str {
    picture.0.data["status"]["leader"].as_str().unwrap_or_default()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn the_leadership_moves_to_the_member_that_is_asked_for_and_one_that_is_no_member_moves_nothing() {
    let ground = Ground::open("move-leader").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    let picture = demo.says("a leader is known", |picture| !leader(picture).is_empty()).await;
    let (before, uids) = (leader(&picture).to_owned(), demo.uids().await);
    let other = picture.members().into_iter().find(|member| *member != before).unwrap().to_owned();
    ask(&demo, "move-leader", &other).await;
    demo.says("it leads, and the request is acknowledged", |picture| {
        leader(picture) == other && is_acknowledged(picture, "moveLeader", &other)
    })
    .await;
    ask(&demo, "move-leader", "demo-nobody").await;
    let picture = demo
        .says("a request for nobody is acknowledged", |picture| {
            is_acknowledged(picture, "moveLeader", "demo-nobody")
        })
        .await;
    assert_eq!(leader(&picture), other);
    demo.is_ready(3).await;
    assert_eq!(demo.uids().await, uids, "nobody was restarted");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_restart_that_is_asked_for_restarts_every_member_once_and_the_same_word_none_again() {
    let ground = Ground::open("restart").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    for word in ["first", "second"] {
        let before = demo.uids().await;
        ask(&demo, "restart", word).await;
        demo.says("the request is acknowledged", |picture| is_acknowledged(picture, "restart", word)).await;
        demo.is_ready(3).await;
        let after = demo.uids().await;
        assert!(before.keys().eq(after.keys()), "nobody was replaced: {before:?}, {after:?}");
        assert!(
            before.iter().all(|(pod, uid)| after[pod] != *uid),
            "each was restarted: {before:?}, {after:?}"
        );
        comes_to_rest(&demo, SOME_PASSES).await;
        assert_eq!(demo.uids().await, after, "and once is enough");
    }
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_member_whose_replacement_is_asked_for_goes_once_another_votes_and_nobody_else_goes() {
    let ground = Ground::open("replace").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;
    let pod = before.keys().next().unwrap().clone();
    ask(&demo, "replace", member_of(&pod)).await;
    until_while(
        "it is gone, and another serves",
        async || {
            let now = demo.uids().await;
            !now.contains_key(&pod) && demo.ready_pods().await.len() == 3
        },
        async || {
            if let Ok(list) = demo.member_list(None).await {
                ensure(list.voters.len() >= 3, || format!("{list:?}"))?;
            }
            let now = demo.uids().await;
            let others = before.iter().filter(|(name, _)| **name != pod);
            ensure(others.clone().all(|(name, uid)| now.get(name) == Some(uid)), || {
                format!("{before:?}, {now:?}")
            })
        },
    )
    .await;
    demo.replaces(&pod, 3).await;
    demo.says("the request is acknowledged", |picture| is_acknowledged(picture, "replace", member_of(&pod)))
        .await;
    let picture = demo.is_ready(3).await;
    assert_eq!(picture.0.data["status"]["holds"], Value::Array(Vec::new()));
    demo.every_member_has(3, "key", "value").await;
}
