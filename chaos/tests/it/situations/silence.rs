//! Pods that do not start for long: their members are not lost, and nothing is taken from them. The times here are longer than
//! the five minutes after which the operator gives up a member that is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::etcdctl::MemberList;
use super::ground::{Afterwards, Ground};
use super::observing::{ensure, throughout};
use super::subject::Subject;
use crate::promises::arena::until;

/// Five minutes of grace, and what a busy machine takes to act on its end.
const LONGER_THAN_THE_GRACE: Duration = Duration::from_secs(345);

/// Lets no pod on to any node until the value is dropped.
pub(super) async fn cordon(ground: &Ground) -> Vec<Afterwards> {
    let nodes = Api::<Node>::all(ground.client.clone());
    let mut back = Vec::new();
    for node in nodes.list(&ListParams::default()).await.unwrap() {
        back.push(ground.afterwards(&["uncordon", &node.name_any()]));
        let patch = Patch::Merge(json!({ "spec": { "unschedulable": true } }));
        nodes.patch(&node.name_any(), &PatchParams::default(), &patch).await.unwrap();
    }
    back
}

/// The claims by name: which ones they are, and whether they are leaving.
async fn claims(demo: &Subject<'_>) -> BTreeMap<String, (Option<String>, bool)> {
    let fate = |claim: &k8s_openapi::api::core::v1::PersistentVolumeClaim| {
        (claim.name_any(), (claim.uid(), claim.metadata.deletion_timestamp.is_some()))
    };
    demo.claims().await.iter().map(fate).collect()
}

/// The reason why a pod's containers do not start yet.
fn waits_for(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let containers = lists.into_iter().flatten().flatten();
    containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone()).next()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "takes more than six minutes, since it outwaits the operator's grace; see the module's documentation"]
async fn pods_that_cannot_pull_or_find_no_node_for_longer_than_the_grace_are_no_lost_members() {
    let ground = Ground::alone("not-started").await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 5 })).await;
    demo.is_ready(5).await;
    demo.put("key", "value").await;
    let list = demo.member_list(None).await.unwrap();
    let kept = claims(&demo).await;

    demo.change(json!({ "image": { "repository": "quay.io/coreos/etdc" } })).await.unwrap();
    let stuck = until("one member cannot pull its new image", async || {
        let pods = demo.pods().await;
        Ok(pods
            .iter()
            .find(|pod| waits_for(pod).is_some_and(|why| why.contains("Image")))
            .map(|pod| pod.name_any()))
    })
    .await;
    let back = cordon(&ground).await;
    let pending = demo.ready_pods().await.remove(0);
    ground.api::<Pod>().delete(&pending, &Default::default()).await.unwrap();
    demo.says("the failing pull and the missing node are quoted", |picture| {
        picture.quotes(&["Image"]) && picture.quotes(&["unschedulable"])
    })
    .await;
    let serving: BTreeSet<String> = demo.ready_pods().await.into_iter().collect();
    assert_eq!(serving.len(), 3, "{stuck} and {pending} do not serve");
    throughout("two pods do not start", LONGER_THAN_THE_GRACE, async || {
        is_left_alone(&demo, &list, &kept, &serving).await
    })
    .await;

    drop(back);
    demo.change(json!({ "image": null })).await.unwrap();
    demo.is_ready(5).await;
    assert_eq!(demo.member_list(None).await.unwrap(), list, "all are the members they were");
    assert_eq!(claims(&demo).await, kept);
    demo.every_member_has(5, "key", "value").await;
}

/// Nobody was removed or added, no volume was taken, nobody else was restarted.
async fn is_left_alone(
    demo: &Subject<'_>,
    list: &MemberList,
    kept: &BTreeMap<String, (Option<String>, bool)>,
    serving: &BTreeSet<String>,
) -> Result<(), String> {
    let now = claims(demo).await;
    ensure(now == *kept, || format!("claims were {kept:?} and are {now:?}"))?;
    let pods: BTreeSet<String> = demo.ready_pods().await.into_iter().collect();
    ensure(pods == *serving, || format!("{serving:?} served, and now {pods:?}"))?;
    match demo.member_list(None).await {
        Ok(now) => ensure(now == *list, || format!("the members were {list:?} and are {now:?}")),
        Err(error) => Err(format!("the member list is not answered: {error:#}")),
    }
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "takes more than six minutes, since it outwaits the operator's grace; see the module's documentation"]
async fn a_learner_that_finds_no_node_for_longer_than_the_grace_leaves_no_trail_of_claims() {
    let ground = Ground::alone("no-learner").await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    demo.is_ready(1).await;
    demo.put("key", "value").await;
    let back = cordon(&ground).await;
    demo.change(json!({ "size": 3 })).await.unwrap();
    demo.says("the scheduler is quoted", |picture| picture.quotes(&["unschedulable"])).await;
    throughout("the learner does not start", LONGER_THAN_THE_GRACE, async || {
        let now = claims(&demo).await;
        ensure(now.len() <= 2, || format!("a claim for the first and one for the second, not {now:?}"))?;
        let picture = demo.picture().await;
        ensure(picture.is("Available"), || picture.describe())
    })
    .await;
    drop(back);
    demo.is_ready(3).await;
    demo.every_member_has(3, "key", "value").await;
    assert_eq!(claims(&demo).await.len(), 3);
}
