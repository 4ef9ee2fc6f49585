//! Drains: what `kubectl drain` asks for, evictions, meets the operator's budget and its planned restarts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chaos::live::samples;
use chaos::subject::etcd;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Api, EvictParams, ListParams};
use serde_json::{Value, json};

use super::changes::requested_memory;
use super::ground::Ground;
use super::subject::{Subject, is_ready};
use crate::promises::arena::until;

/// Asks for evictions, and takes a refusal for an answer.
struct Drain(Api<Pod>);

impl Drain {
    async fn on(ground: &Ground) -> Drain {
        // A client that asks again by itself after a refusal would only come back once it was granted.
        let client = ground.client_without_retries().await;
        Drain(Api::namespaced(client, &ground.namespace))
    }

    /// Asks for the eviction of a pod; whether it was granted. A budget refuses with 429.
    async fn evict(&self, pod: &str) -> bool {
        match self.0.evict(pod, &EvictParams::default()).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 429 || status.code == 404 => false,
            Err(error) => panic!("evicting {pod}: {error}"),
        }
    }
}

/// Waits until the budget has seen its pods and allows one disruption.
async fn one_may_go(ground: &Ground) {
    until("the budget allows one disruption", async || {
        let budgets = ground.api::<PodDisruptionBudget>().list(&ListParams::default()).await?.items;
        let allowed = budgets.iter().filter_map(|budget| Some(budget.status.as_ref()?.disruptions_allowed));
        Ok((allowed.collect::<Vec<_>>() == [1]).then_some(()))
    })
    .await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_drain_of_a_cluster_of_one_ends_and_its_data_is_back() {
    let ground = Ground::open("drain-one").await;
    let drain = Drain::on(&ground).await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    demo.is_ready(1).await;
    demo.put("key", "value").await;
    let before = demo.uids().await;
    let pod = before.keys().next().unwrap();
    until("the eviction is granted", async || Ok(drain.evict(pod).await.then_some(()))).await;
    until("the pod is another, of the same member", async || {
        let now = demo.uids().await;
        Ok((now.keys().eq(before.keys()) && now != before).then_some(()))
    })
    .await;
    demo.is_ready(1).await;
    demo.every_member_has(1, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_second_eviction_is_refused_until_the_first_member_serves_again() {
    let ground = Ground::open("drain-two").await;
    let drain = Drain::on(&ground).await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    one_may_go(&ground).await;
    let before = demo.uids().await;
    let pods: Vec<&String> = before.keys().collect();
    assert!(drain.evict(pods[0]).await, "the first is granted");
    assert!(!drain.evict(pods[1]).await, "the second at the same time is refused");
    until("the second is granted at last", async || {
        let granted = drain.evict(pods[1]).await;
        if granted {
            let first = demo.pods_api().get(pods[0]).await?;
            let is_back = first.uid().as_ref() != before.get(pods[0]) && is_ready(&first);
            assert!(is_back, "{} was evicted before {} served again", pods[1], pods[0]);
        }
        Ok(granted.then_some(()))
    })
    .await;
    demo.is_ready(3).await;
    demo.every_member_has(3, "key", "value").await;
}

/// What was seen of the members' pods while they were restarted.
#[derive(Default)]
struct Seen {
    /// The least number of members that were up at one moment.
    least: Option<usize>,
    /// uids of pods that have served since they were made. One counts as up until it leaves or its process ends: that it is not
    /// ready while a leader is elected is no disruption of its own.
    served: BTreeSet<String>,
    /// uids of pods that left by eviction.
    evicted: BTreeSet<String>,
}

/// Whether its etcd runs and nobody has told it to end.
fn runs(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && samples::process(pod, etcd::CONTAINER).is_some()
}

/// Looks at the pods until told to stop.
async fn look_on(demo: &Subject<'_>, done: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !done.load(Ordering::Relaxed) {
        let pods = demo.pods_api().list(&ListParams::default()).await.unwrap().items;
        seen.served.extend(pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| pod.uid()));
        let up = pods.iter().filter(|pod| runs(pod) && seen.served.contains(&pod.uid().unwrap_or_default()));
        let up = up.count();
        seen.least = Some(seen.least.map_or(up, |least| least.min(up)));
        for pod in &pods {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            if conditions.into_iter().any(|one| one.type_ == "DisruptionTarget" && one.status == "True") {
                seen.evicted.insert(pod.uid().unwrap_or_default());
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    seen
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn planned_restarts_go_through_the_budget_so_that_a_drain_beside_them_takes_no_second_member() {
    let ground = Ground::open("drain-restarts").await;
    let change = json!({ "resources": { "requests": { "memory": "96Mi" } } });
    change_beside_a_drain(&ground, change, |pod| requested_memory(pod).as_deref() == Some("96Mi")).await;
}

/// The same of an upgrade: nodes are drained for their own sake while it goes on.
#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn an_upgrade_goes_through_the_budget_so_that_a_drain_beside_it_takes_no_second_member() {
    let ground = Ground::open("drain-upgrade").await;
    let image = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone());
    let runs_it = |pod: &Pod| image(pod).is_some_and(|image| image.ends_with(":v3.7.3"));
    change_beside_a_drain(&ground, json!({ "version": "3.7.3" }), runs_it).await;
}

/// Changes a cluster, and has a drain ask for the eviction of every member that has not gone yet, time after time.
async fn change_beside_a_drain(ground: &Ground, change: Value, follows: impl Fn(&Pod) -> bool) {
    let drain = Drain::on(ground).await;
    let demo = Subject::create(ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    one_may_go(ground).await;
    let before = demo.uids().await;
    demo.change(change).await.unwrap();
    let done = AtomicBool::new(false);
    let restarts = async {
        until("every member was restarted", async || {
            // A drain that comes back as soon as it is refused: at all three, one after the other.
            for pod in before.keys() {
                if demo.uids().await.get(pod) == before.get(pod) {
                    drain.evict(pod).await;
                }
            }
            let pods = demo.pods().await;
            Ok((pods.iter().filter(|pod| follows(pod)).count() == 3).then_some(()))
        })
        .await;
        demo.is_ready(3).await;
        done.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(look_on(&demo, &done), restarts);
    assert!(seen.least >= Some(2), "never more than one of three is down: {:?} were up", seen.least);
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_serving_voter_is_restarted_by_eviction_and_not_by_deletion() {
    let ground = Ground::open("restart-evicts").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    one_may_go(&ground).await;
    let before: BTreeSet<String> = demo.uids().await.into_values().collect();
    demo.change(json!({ "resources": { "requests": { "memory": "96Mi" } } })).await.unwrap();
    let done = AtomicBool::new(false);
    let restarts = async {
        until("every member was restarted", async || {
            let now: BTreeSet<String> = demo.uids().await.into_values().collect();
            Ok((now.len() == 3 && now.is_disjoint(&before)).then_some(()))
        })
        .await;
        done.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(look_on(&demo, &done), restarts);
    let unseen: Vec<&String> = before.difference(&seen.evicted).collect();
    assert!(unseen.is_empty(), "these pods went without an eviction: {unseen:?}");
    assert!(seen.least >= Some(2), "{:?} were up", seen.least);
}
