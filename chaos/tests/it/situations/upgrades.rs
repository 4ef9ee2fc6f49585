//! Changes of etcd's version on clusters that have a past, and under an operator that does not last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chaos::subject::operator;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ground::Ground;
use super::subject::Subject;

/// Longer than an upgrade takes whose operator is killed again and again: each time another process waits for the Lease first.
const KILLED_PATIENCE: Duration = Duration::from_secs(1500);

/// etcd 3.5 keeps its members in two places, and 3.6 reads the one that 3.5 may not have kept up.
#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn members_that_came_and_went_under_3_5_are_no_others_after_any_change_of_version() {
    let ground = Ground::open("upgrade-past").await;
    let demo = Subject::create(&ground, "demo", json!({ "version": "3.5.35" })).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    for _ in 0..2 {
        let lost = demo.ready_pods().await.remove(0);
        demo.lose_disk(&lost).await;
        demo.replaces(&lost, 3).await;
    }
    for size in [5, 3] {
        demo.change(json!({ "size": size })).await.unwrap();
        demo.is_ready(size).await;
    }
    let list = demo.member_list(None).await.unwrap();
    assert_eq!((list.voters.len(), list.learners.len()), (3, 0));
    for version in ["3.6.16", "3.7.3", "3.6.16", "3.5.35"] {
        demo.change(json!({ "version": version })).await.unwrap();
        demo.says(&format!("every member runs {version}"), |picture| {
            picture.is("Ready") && picture.0.data["status"]["version"] == version
        })
        .await;
        assert_eq!(demo.member_list(None).await.unwrap(), list, "after {version}");
        demo.every_member_has(3, "key", "value").await;
    }
}

/// The version of each object of one kind that the operator writes to.
async fn written<K>(ground: &Ground) -> BTreeMap<String, String>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    <K as Resource>::DynamicType: Default,
{
    let by_operator = |object: &K| {
        let managers = object.managed_fields().iter();
        let own = managers.filter(|fields| fields.manager.as_deref() == Some(operator::NAME));
        // A write is a new time of its manager's entry.
        let times = own.filter_map(|fields| fields.time.as_ref().map(|time| time.0.to_string()));
        (object.name_any(), times.collect::<Vec<_>>().join(" "))
    };
    ground.all::<K>().await.iter().map(by_operator).collect()
}

async fn all_written(ground: &Ground) -> [BTreeMap<String, String>; 3] {
    [
        written::<StatefulSet>(ground).await,
        written::<PersistentVolumeClaim>(ground).await,
        written::<Pod>(ground).await,
    ]
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "takes minutes, since another operator waits for the Lease after each kill; see the module's documentation"]
async fn an_operator_that_is_killed_after_every_write_of_an_upgrade_ends_it_all_the_same() {
    let ground = Ground::alone("upgrade-killed").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    let operators = Api::<Pod>::namespaced(ground.client.clone(), operator::NAMESPACE);
    demo.change(json!({ "version": "3.7.3" })).await.unwrap();
    let (began, mut kills, mut seen) = (Instant::now(), 0, all_written(&ground).await);
    loop {
        let picture = demo.picture().await;
        if picture.is("Ready") && picture.0.data["status"]["version"] == "3.7.3" {
            break;
        }
        assert!(began.elapsed() < KILLED_PATIENCE, "after {kills} kills: {}", picture.describe());
        let now = all_written(&ground).await;
        if now != seen {
            seen = now;
            kills += 1;
            let all = ListParams::default();
            operators.delete_collection(&DeleteParams::default().grace_period(0), &all).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(
        kills >= 6,
        "each member is written to twice at least, and the operator was killed {kills} times"
    );
    let list = demo.member_list(None).await.unwrap();
    assert_eq!((list.voters.len(), list.learners.len()), (3, 0));
    demo.every_member_has(3, "key", "value").await;
}
