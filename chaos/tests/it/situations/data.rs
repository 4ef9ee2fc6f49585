//! Disks that do not keep what they were given: a member whose data is not what the others have, or that cannot start from it, is
//! replaced from the others; where nobody can tell whose data is right, nothing is touched.

use std::time::Duration;

use chaos::agent::protocol::{AgentFault, SpoilFault};
use chaos::subject::operator;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::json;

use super::etcdctl::{self, OWN};
use super::ground::{Afterwards, Ground};
use super::observing::{ensure, throughout};
use super::requests::leader;
use super::subject::{DATA_MOUNT, Subject, member_of};
use crate::promises::arena::{PATIENCE, until};

const RIGHT: &str = "what-was-written";
const DATABASE: &str = "data/member/snap/db";
const LOG: &str = "data/member/wal/0000000000000000-0000000000000000.wal";

/// What a member has in a file becomes something else.
async fn spoil(demo: &Subject<'_>, pod: &str, file: &str, new: &str) {
    let pod: Pod = demo.pods_api().get(pod).await.unwrap();
    let path = format!("{DATA_MOUNT}/{file}").into();
    let fault = SpoilFault { path, old: RIGHT.to_owned(), new: new.to_owned() };
    let (proof, _) = demo.fault(&pod, AgentFault::Spoil(fault)).await.finish().await;
    assert_eq!(proof.gaps(), [], "{}", pod.name_any());
}

/// A member that leads, or one that does not.
async fn victim(demo: &Subject<'_>, leads: bool) -> String {
    let picture = demo.says("a leader is known", |picture| !leader(picture).is_empty()).await;
    let leader = format!("{}-0", leader(&picture));
    let pods = demo.ready_pods().await;
    pods.into_iter().find(|pod| (*pod == leader) == leads).expect("there are some of both")
}

/// The operator compares data every two seconds, until the value is dropped.
async fn compare_often(ground: &Ground) -> Afterwards {
    let deployment = format!("deployment/{}", operator::NAME);
    let set = |value: &str| -> Vec<String> {
        ["-n", operator::NAMESPACE, "set", "env", &deployment, value].map(str::to_owned).to_vec()
    };
    let words = set("COMPARE_DATA_EVERY=2s");
    ground.kubectl(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let back = set("COMPARE_DATA_EVERY-");
    let back = ground.afterwards(&back.iter().map(String::as_str).collect::<Vec<_>>());
    operator::wait_ready(&ground.client, PATIENCE).await.unwrap();
    back
}

/// The revision that one member has.
async fn revision(demo: &Subject<'_>, pod: &str) -> String {
    let said = etcdctl::run(&demo.pods_api(), pod, OWN, &["get", "key", "--write-out=json"]).await.unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    said["header"]["revision"].to_string()
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn data_that_differs_is_noticed_at_rest_and_its_member_is_replaced_on_every_minor() {
    let ground = Ground::alone("data").await;
    let _back = compare_often(&ground).await;
    let cases = [("3.5.35", false), ("3.6.16", true), ("3.7.3", false)];
    join_all(cases.map(async |(version, leads)| {
        let name = format!("demo-{}", version.replace('.', "-"));
        let demo = Subject::create(&ground, &name, json!({ "version": version })).await;
        demo.is_ready(3).await;
        demo.put("key", RIGHT).await;
        demo.every_member_has(3, "key", RIGHT).await;
        let wrong = victim(&demo, leads).await;
        spoil(&demo, &wrong, DATABASE, "what-is-now-here").await;
        demo.replaces(&wrong, 3).await;
        demo.every_member_has(3, "key", RIGHT).await;
        demo.is_ready(3).await;
    }))
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn where_nobody_can_tell_whose_data_is_right_nothing_is_touched_until_a_person_has_decided() {
    let ground = Ground::alone("data-split").await;
    let _back = compare_often(&ground).await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", RIGHT).await;
    demo.every_member_has(3, "key", RIGHT).await;
    let right = victim(&demo, true).await;
    let wrong: Vec<String> = demo.ready_pods().await.into_iter().filter(|pod| *pod != right).collect();
    let (before, list) = (demo.uids().await, demo.member_list(None).await.unwrap());
    // At once, or the first is replaced before the second differs.
    join_all(
        [("what-is-now-here", &wrong[0]), ("what-it-became!!", &wrong[1])]
            .map(async |(new, pod)| spoil(&demo, pod, DATABASE, new).await),
    )
    .await;
    let message = demo.holds("DataDiffers").await;
    assert!(wrong.iter().all(|pod| message.contains(member_of(pod))), "{message}");
    demo.change(json!({ "size": 5 })).await.unwrap();
    throughout("nobody knows whose data is right", Duration::from_secs(12), async || {
        let (uids, now) = (demo.uids().await, demo.member_list(None).await);
        ensure(uids == before, || format!("pods were {before:?} and are {uids:?}"))?;
        ensure(now.as_ref().ok() == Some(&list), || format!("the members were {list:?} and are {now:?}"))?;
        let picture = demo.picture().await;
        let says_so = |kind| picture.reason(kind) == "DataDiffers";
        ensure(says_so("Degraded") && says_so("Ready"), || picture.describe())
    })
    .await;
    for pod in &wrong {
        remove_by_hand(&demo, &right, member_of(pod)).await;
    }
    demo.is_ready(5).await;
    demo.every_member_has(5, "key", RIGHT).await;
}

/// As the documentation tells a person to.
async fn remove_by_hand(demo: &Subject<'_>, through: &str, member: &str) {
    let pods = demo.pods_api();
    until(&format!("{member} is removed"), async || {
        let said = etcdctl::run(&pods, through, OWN, &["member", "list"]).await?;
        let Some(line) = said.lines().find(|line| line.contains(&format!(" {member},"))) else {
            return Ok(Some(()));
        };
        let id = line.split(',').next().unwrap_or_default();
        etcdctl::run(&pods, through, OWN, &["member", "remove", id]).await.map(|_| None)
    })
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_member_that_cannot_start_from_its_log_is_replaced_without_waiting_for_its_silence() {
    let ground = Ground::open("data-log").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", RIGHT).await;
    let broken = victim(&demo, false).await;
    spoil(&demo, &broken, LOG, "what-is-now-here").await;
    let pod: Pod = demo.pods_api().get(&broken).await.unwrap();
    demo.kill(&pod).await;
    demo.replaces(&broken, 3).await;
    demo.every_member_has(3, "key", RIGHT).await;
    let removals = demo.events("MemberRemoved").await;
    let told = removals.iter().filter_map(|event| event.note.as_deref());
    assert!(
        told.clone().any(|note| note.contains("its log or a snapshot is damaged")),
        "{:?}",
        told.collect::<Vec<_>>()
    );
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "takes two minutes, since etcd compares what it has compacted once a minute; see the module's documentation"]
async fn an_alarm_of_etcd_about_data_ends_with_its_member_and_writes_go_on() {
    let ground = Ground::open("data-alarm").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", RIGHT).await;
    demo.every_member_has(3, "key", RIGHT).await;
    let wrong = victim(&demo, false).await;
    spoil(&demo, &wrong, DATABASE, "what-is-now-here").await;
    // What is compacted must not be the key's only revision.
    demo.put("other", "value").await;
    let right = victim(&demo, true).await;
    let revision = revision(&demo, &right).await;
    etcdctl::run(&demo.pods_api(), &right, OWN, &["compact", &revision]).await.unwrap();
    demo.replaces(&wrong, 3).await;
    demo.put("after", "value").await;
    demo.every_member_has(3, "key", RIGHT).await;
    let alarms = etcdctl::run(&demo.pods_api(), &right, OWN, &["alarm", "list"]).await.unwrap();
    assert_eq!(alarms.trim(), "");
    assert!(!demo.events("AlarmRaised").await.is_empty(), "etcd itself noticed it");
    demo.is_ready(3).await;
}
