//! Clusters that cannot form as they were written: the status quotes why, and correcting the spec is enough.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::ground::Ground;
use super::silence::cordon;
use super::subject::Subject;
use crate::promises::arena::until;

/// Corrects the spec of a cluster that never formed, and waits until it has, with nothing left over.
pub(super) async fn forms_once_corrected(demo: &Subject<'_>, spec: Value) {
    demo.change(spec).await.unwrap();
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    demo.every_member_has(3, "key", "value").await;
    until("each member has one claim, and no attempt left another", async || {
        let claims = demo.claims().await;
        let names: Vec<String> = claims.iter().map(|claim| claim.name_any()).collect();
        anyhow::ensure!(names.len() == 3, "{names:?}");
        Ok(Some(()))
    })
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_cluster_with_a_misspelled_image_quotes_the_failing_pull_and_forms_once_it_is_corrected() {
    let ground = Ground::open("no-image").await;
    let demo =
        Subject::create(&ground, "demo", json!({ "image": { "repository": "quay.io/coreos/etdc" } })).await;
    demo.says("the failing pull is quoted", |picture| {
        picture.quotes(&["ImagePullBackOff"]) || picture.quotes(&["ErrImagePull"])
    })
    .await;
    assert!(!demo.picture().await.is("Available"));
    forms_once_corrected(&demo, json!({ "image": null })).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_cluster_with_a_storage_class_that_is_not_there_names_it_and_forms_once_it_is_corrected() {
    let ground = Ground::open("no-class").await;
    let demo = Subject::create(&ground, "demo", json!({ "storage": { "storageClassName": "nope" } })).await;
    demo.says("the missing class is named", |picture| picture.quotes(&["nope"])).await;
    forms_once_corrected(&demo, json!({ "storage": { "storageClassName": null } })).await;
    for claim in demo.claims().await {
        let class = claim.spec.and_then(|spec| spec.storage_class_name);
        assert_ne!(class.as_deref(), Some("nope"));
    }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_cluster_of_a_version_that_nobody_built_forms_once_another_is_named() {
    let ground = Ground::open("no-version").await;
    let demo = Subject::create(&ground, "demo", json!({ "version": "3.6.99" })).await;
    demo.says("the image that cannot be pulled is named", |picture| picture.quotes(&["v3.6.99"])).await;
    forms_once_corrected(&demo, json!({ "version": "3.6.16" })).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_pod_that_no_node_takes_is_quoted_with_the_schedulers_words_and_keeps_its_member() {
    let ground = Ground::alone("no-node").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    let before = demo.picture().await;
    let claims: Vec<_> = demo.claims().await.iter().map(|claim| claim.uid()).collect();
    let back = cordon(&ground).await;
    let pod = demo.ready_pods().await.remove(0);
    ground.api::<Pod>().delete(&pod, &Default::default()).await.unwrap();
    demo.says("the scheduler is quoted", |picture| picture.quotes(&["unschedulable"])).await;
    let words = until("the scheduler says why", async || {
        let status = ground.api::<Pod>().get(&pod).await?.status.unwrap_or_default();
        let conditions = status.conditions.into_iter().flatten();
        let unscheduled =
            conditions.into_iter().find(|one| one.type_ == "PodScheduled" && one.status == "False");
        Ok(unscheduled.and_then(|one| one.message))
    })
    .await;
    let beginning: String = words.chars().take(40).collect();
    demo.says("it is quoted word for word", |picture| picture.quotes(&[&beginning])).await;
    drop(back);
    let after = demo.is_ready(3).await;
    assert_eq!(after.members(), before.members(), "the member came back");
    assert_eq!(demo.claims().await.iter().map(|claim| claim.uid()).collect::<Vec<_>>(), claims);
}
