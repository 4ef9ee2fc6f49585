//! Writes that the API server refuses: said in its words, and no reason to stop healing.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::ground::Ground;
use super::subject::{Subject, object};
use crate::promises::arena::until;

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn requests_above_limits_are_refused_when_they_are_applied_with_a_message_that_names_them() {
    let ground = Ground::open("above").await;
    let clusters = chaos::subject::etcd::api(&ground.client, &ground.namespace);
    let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
    let above = [
        json!({ "requests": { "memory": "1Gi" }, "limits": { "memory": "512Mi" } }),
        json!({ "requests": { "memory": "2G" }, "limits": { "memory": "1Gi" } }),
        json!({ "requests": { "cpu": "1" }, "limits": { "cpu": "500m" } }),
        json!({ "requests": { "cpu": 2, "memory": "64Mi" }, "limits": { "cpu": 1, "memory": "128Mi" } }),
    ];
    for resources in above {
        let refused = object(&ground.namespace, "demo", json!({ "resources": resources }));
        match clusters.create(&rehearsal, &refused).await {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 422, "{resources}: {}", status.message);
                let message = status.message.to_lowercase();
                assert!(message.contains("request") && message.contains("limit"), "{}", status.message);
            }
            other => panic!("{resources} was taken: {other:?}"),
        }
    }
    let within = [
        json!({ "requests": { "memory": "512Mi" }, "limits": { "memory": "1Gi" } }),
        json!({ "requests": { "memory": "1Gi", "cpu": "500m" }, "limits": { "memory": "1024Mi", "cpu": 1 } }),
        json!({ "requests": { "cpu": "2" }, "limits": { "memory": "1Gi" } }),
    ];
    for resources in within {
        let taken = object(&ground.namespace, "demo", json!({ "resources": resources }));
        clusters.create(&rehearsal, &taken).await.unwrap_or_else(|error| panic!("{resources}: {error}"));
    }
}

/// A refused Service and a refused budget are said, and a member that loses its disk is replaced all the same. `refuse` makes the
/// API server refuse both; `allow` ends that.
pub(super) async fn are_said_and_stop_no_replacement(
    ground: &Ground,
    word: &str,
    refuse: impl AsyncFnOnce(),
    allow: impl AsyncFnOnce(),
) {
    let demo = Subject::create(ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    refuse().await;
    ground.api::<Service>().delete("demo", &DeleteParams::default()).await.unwrap();
    ground.api::<PodDisruptionBudget>().delete("demo", &DeleteParams::default()).await.unwrap();
    let message = demo.holds("Refused").await;
    assert!(message.contains(word), "the server's own words: {message}");

    let lost = demo.ready_pods().await.remove(0);
    demo.lose_disk(&lost).await;
    demo.replaces(&lost, 3).await;
    demo.every_member_has(3, "key", "value").await;
    demo.says("it is still refused, and not Ready", |picture| {
        picture.hold("Refused").is_some() && !picture.is("Ready") && picture.is("Available")
    })
    .await;
    let events = demo.events("Refused").await.len();
    assert!(events <= 4, "one Event for one fact, not {events}");

    allow().await;
    until("the Service is back", async || Ok(ground.api::<Service>().get_opt("demo").await?.map(drop))).await;
    until("the budget is back", async || {
        Ok(ground.api::<PodDisruptionBudget>().get_opt("demo").await?.map(drop))
    })
    .await;
    demo.is_ready(3).await;
    demo.says("nothing is refused any more", |picture| picture.hold("Refused").is_none()).await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn rights_that_were_taken_away_are_said_in_the_servers_words_and_stop_no_replacement() {
    let ground = Ground::alone("no-rights").await;
    let roles = Api::<ClusterRole>::all(ground.client.clone());
    let before = roles.get("etcd-operator").await.unwrap();
    let rules = |rules: &Value| Patch::Merge(json!({ "rules": rules }));
    let given = serde_json::to_value(&before.rules).unwrap();
    let mut fewer = given.clone();
    for rule in fewer.as_array_mut().unwrap() {
        let resources = rule["resources"].to_string();
        if resources.contains("services") || resources.contains("poddisruptionbudgets") {
            rule["verbs"] = json!(["get", "list", "watch"]);
        }
    }
    assert_ne!(fewer, given);
    let parameters = PatchParams::default();
    are_said_and_stop_no_replacement(
        &ground,
        "forbidden",
        async || drop(roles.patch("etcd-operator", &parameters, &rules(&fewer)).await.unwrap()),
        async || drop(roles.patch("etcd-operator", &parameters, &rules(&given)).await.unwrap()),
    )
    .await;
}
