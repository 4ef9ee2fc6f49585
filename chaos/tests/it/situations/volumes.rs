//! Volumes: claims that end under running pods, and sizes and classes that are changed later.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use serde_json::json;

use super::changes::requested_memory;
use super::etcdctl::MemberList;
use super::ground::Ground;
use super::observing::{ensure, until_while};
use super::subject::{Subject, member_of};
use crate::promises::arena::until;

/// Class and size that a claim asks for.
pub(super) fn asks_for(claim: &PersistentVolumeClaim) -> (Option<String>, Option<String>) {
    let spec = claim.spec.clone().unwrap_or_default();
    let size =
        spec.resources.and_then(|resources| resources.requests?.get("storage").map(|size| size.0.clone()));
    (spec.storage_class_name, size)
}

/// Loses a disk; the claim of the member that comes instead asks for what the others' do.
pub(super) async fn is_replaced_by_the_same_kind(demo: &Subject<'_>) {
    let before = demo.claims().await;
    let wanted = asks_for(&before[0]);
    let known: BTreeSet<String> = before.iter().map(|claim| claim.name_any()).collect();
    let lost = demo.ready_pods().await.remove(0);
    demo.lose_disk(&lost).await;
    demo.replaces(&lost, 3).await;
    let claims = demo.claims().await;
    let new: Vec<&PersistentVolumeClaim> =
        claims.iter().filter(|claim| !known.contains(&claim.name_any())).collect();
    assert_eq!(new.len(), 1, "one new member, one new claim");
    assert_eq!(asks_for(new[0]), wanted, "the new claim asks for what the old one did");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_class_of_volume_that_does_not_exist_is_said_before_any_voter_goes_and_a_lost_disk_is_repaired_with_the_others_class()
 {
    let ground = Ground::open("storage").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let original = asks_for(&demo.claims().await[0]);
    let before = demo.uids().await;
    demo.change(json!({ "storage": { "storageClassName": "nope" } })).await.unwrap();
    demo.says("the class that is not there is named", |picture| picture.quotes(&["nope", "not found"])).await;
    let picture = demo.picture().await;
    assert!(picture.is("Available") && !picture.is("Ready"), "{}", picture.describe());
    let now = demo.uids().await;
    assert!(
        before.iter().all(|(pod, uid)| now.get(pod) == Some(uid)),
        "voters were {before:?} and are {now:?}"
    );

    let lost = demo.ready_pods().await.remove(0);
    demo.lose_disk(&lost).await;
    until("three others vote, with volumes of the class that is there", async || {
        let list = demo.member_list(None).await?;
        let claims = demo.claims().await;
        let like_the_others: BTreeSet<String> = claims
            .iter()
            .filter(|claim| asks_for(claim) == original)
            .map(|claim| claim.name_any().trim_start_matches("data-").to_owned())
            .collect();
        let is_done = list.voters.len() == 3
            && !list.voters.contains(member_of(&lost))
            && list.voters.is_subset(&like_the_others);
        anyhow::ensure!(is_done, "{list:?}; {like_the_others:?}; {}", demo.picture().await.describe());
        Ok(Some(()))
    })
    .await;
    demo.change(json!({ "storage": { "storageClassName": null } })).await.unwrap();
    demo.is_ready(3).await;
    until("no claim of that class is left", async || {
        Ok(demo.claims().await.iter().all(|claim| asks_for(claim) == original).then_some(()))
    })
    .await;
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn another_class_and_another_access_mode_reach_every_member_with_three_voters_at_each_moment() {
    let ground = Ground::open("storage-moves").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    for (change, pointer, wanted) in [
        (json!({ "storageClassName": "fast" }), "/spec/storageClassName", "fast"),
        (json!({ "accessMode": "ReadWriteOncePod" }), "/spec/accessModes/0", "ReadWriteOncePod"),
    ] {
        demo.change(json!({ "storage": change })).await.unwrap();
        until_while(
            "every volume is as the spec says, and there are three",
            async || {
                let claims = demo.claims().await;
                let is_so = |claim: &PersistentVolumeClaim| {
                    serde_json::to_value(claim).unwrap().pointer(pointer).is_some_and(|found| found == wanted)
                };
                claims.len() == 3 && claims.iter().all(is_so)
            },
            async || match demo.member_list(None).await {
                Ok(list) => ensure(list.voters.len() >= 3, || format!("{list:?}")),
                // Who was asked went meanwhile.
                Err(_) => Ok(()),
            },
        )
        .await;
        demo.is_ready(3).await;
        demo.every_member_has(3, "key", "value").await;
    }
}

/// Whether the pod is no more what it was.
async fn is_touched(demo: &Subject<'_>, pod: &str, uid: &str) -> bool {
    let now = demo.pods_api().get_opt(pod).await.unwrap();
    now.is_none_or(|now| now.uid().as_deref() != Some(uid) || now.metadata.deletion_timestamp.is_some())
}

/// Panics unless three others vote, now that the member was touched.
async fn has_a_successor(demo: &Subject<'_>, pod: &str) {
    let list: MemberList =
        until("the others answer", async || demo.member_list(Some(pod)).await.map(Some)).await;
    let others = list.voters.iter().filter(|voter| voter.as_str() != member_of(pod)).count();
    assert!(others >= 3, "{pod} was touched while only these voted: {list:?}");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_member_whose_volume_is_ending_is_not_restarted_before_another_has_its_vote_and_no_write_is_lost() {
    let ground = Ground::open("ending").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    let pod = demo.ready_pods().await.remove(0);
    let uid = demo.uids().await[&pod].clone();
    let claims = ground.api::<PersistentVolumeClaim>();
    let claim = format!("data-{}", member_of(&pod));
    let claim_uid = claims.get(&claim).await.unwrap().uid();
    claims.delete(&claim, &DeleteParams::default()).await.unwrap();
    demo.says("it is Degraded because a volume is ending", |picture| {
        picture.is("Degraded") && picture.reason("Degraded") == "VolumeEnding"
    })
    .await;
    demo.change(json!({ "resources": { "requests": { "memory": "96Mi" } } })).await.unwrap();

    let (mut written, mut was_touched) = (0, false);
    until("three members that are not this one have followed the change", async || {
        if demo.try_put(&format!("key-{written}"), "value").await.is_ok() {
            written += 1;
        }
        if !was_touched && is_touched(&demo, &pod, &uid).await {
            was_touched = true;
            has_a_successor(&demo, &pod).await;
        }
        let pods = demo.pods().await;
        let followed = pods.iter().filter(|pod| requested_memory(pod).as_deref() == Some("96Mi")).count();
        let is_gone = pods.iter().all(|one| one.name_any() != pod);
        anyhow::ensure!(followed == 3 && is_gone, "{followed} followed; {pod} gone: {is_gone}");
        Ok(Some(()))
    })
    .await;
    demo.replaces(&pod, 3).await;
    demo.is_ready(3).await;
    until("its claim is gone", async || {
        Ok(claims.get_opt(&claim).await?.is_none_or(|now| now.uid() != claim_uid).then_some(()))
    })
    .await;
    assert!(written > 0, "writes went through meanwhile");
    for number in 0..written {
        demo.every_member_has(3, &format!("key-{number}"), "value").await;
    }
}
