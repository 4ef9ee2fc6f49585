//! The Service for clients as its settings say: types from the outside and back, and the notes of others on it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::at_rest::comes_to_rest;
use super::ground::Ground;
use super::subject::Subject;
use crate::promises::arena::until;

/// Long enough for several passes of the operator.
const SOME_PASSES: Duration = Duration::from_secs(15);

/// Waits until the Service is so.
async fn is_followed(demo: &Subject<'_>, what: &str, wanted: impl Fn(&Value) -> bool) -> Service {
    let services = demo.ground.api::<Service>();
    until(what, async || {
        let service = services.get(&demo.name).await?;
        let shown = serde_json::to_value(&service)?;
        anyhow::ensure!(wanted(&shown), "{} {}", shown["metadata"]["annotations"], shown["spec"]);
        Ok(Some(service))
    })
    .await
}

async fn note(demo: &Subject<'_>, key: &str, value: &str) {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
    demo.ground.api::<Service>().patch(&demo.name, &PatchParams::default(), &patch).await.unwrap();
}

fn is_of_type(service: &Value, kind: &str) -> bool {
    service["spec"]["type"] == kind
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn annotations_follow_the_spec_and_those_of_others_stay() {
    let ground = Ground::open("service-notes").await;
    let settings = json!({ "annotations": { "example.com/a": "1", "example.com/b": "1" } });
    let peers = json!({ "annotations": { "example.com/dns": "true" } });
    let demo =
        Subject::create(&ground, "demo", json!({ "size": 1, "service": settings, "peerService": peers }))
            .await;
    demo.is_ready(1).await;
    let before = demo.uids().await;
    note(&demo, "example.com/theirs", "2").await;
    // One that somebody else changed is put back; one that the spec drops goes.
    note(&demo, "example.com/a", "3").await;
    demo.change(json!({ "service": { "annotations": { "example.com/b": null } }, "peerService": null }))
        .await
        .unwrap();
    is_followed(&demo, "the annotations are as the spec and others say", |service| {
        let has = |key: &str| service["metadata"]["annotations"][key].as_str();
        has("example.com/a") == Some("1")
            && has("example.com/b").is_none()
            && has("example.com/theirs") == Some("2")
    })
    .await;
    until("the peers' Service has lost its annotation", async || {
        let services = ground.all::<Service>().await;
        let has = |service: &Service| service.annotations().contains_key("example.com/dns");
        Ok((!services.iter().any(has)).then_some(()))
    })
    .await;
    demo.is_ready(1).await;
    assert_eq!(demo.uids().await, before, "no Service restarts anybody");
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_service_becomes_each_type_and_a_plain_one_again_and_rests_as_each() {
    let ground = Ground::open("service-types").await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    demo.is_ready(1).await;
    let before = demo.uids().await;
    let plain = is_followed(&demo, "a plain one", |service| is_of_type(service, "ClusterIP")).await;
    let steps = [
        ("NodePort", json!({ "type": "NodePort", "annotations": { "example.com/outside": "true" } })),
        (
            "LoadBalancer",
            json!({
                "type": "LoadBalancer", "loadBalancerClass": "example.com/none", "externalTrafficPolicy": "Local",
                "internalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["10.0.0.0/8"], "appProtocol": "kubernetes.io/h2c",
            }),
        ),
        (
            "NodePort",
            json!({
                "type": "NodePort", "loadBalancerClass": null, "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": null,
                "loadBalancerSourceRanges": null, "appProtocol": null,
            }),
        ),
        ("LoadBalancer", json!({ "type": "LoadBalancer", "externalTrafficPolicy": null })),
        ("ClusterIP", Value::Null),
    ];
    for (kind, change) in steps {
        demo.change(json!({ "service": change })).await.unwrap();
        is_followed(&demo, &format!("it is a {kind}"), |service| is_of_type(service, kind)).await;
        demo.is_ready(1).await;
        comes_to_rest(&demo, SOME_PASSES).await;
        is_followed(&demo, &format!("it is still a {kind}"), |service| is_of_type(service, kind)).await;
    }
    let after = ground.api::<Service>().get("demo").await.unwrap();
    assert_eq!(after.spec, plain.spec, "nothing is left of what it was meanwhile");
    assert_eq!(after.annotations(), plain.annotations());
    assert_eq!(demo.uids().await, before, "no Service restarts anybody");
    assert_eq!(demo.events("DriftRepaired").await, [], "nobody changed anything");
}
