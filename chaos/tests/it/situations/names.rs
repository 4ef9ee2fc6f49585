//! Names that somebody else has: a user's objects, and those of a cluster whose name looks like one of ours.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos::subject::etcd;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::ground::Ground;
use super::observing::{ensure, throughout};
use super::subject::Subject;
use crate::promises::arena::until;

/// A user's Service and budget with the name that a cluster's would have.
async fn make_users_objects(ground: &Ground) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "demo", "labels": { "app": "shop" } },
        "spec": { "selector": { "app": "shop" }, "ports": [{ "name": "http", "port": 80 }] },
    });
    let service: Service = serde_json::from_value(service).unwrap();
    ground.api::<Service>().create(&PostParams::default(), &service).await.unwrap();
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "demo", "labels": { "app": "shop" } },
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": "shop" } } },
    });
    let budget: PodDisruptionBudget = serde_json::from_value(budget).unwrap();
    ground.api::<PodDisruptionBudget>().create(&PostParams::default(), &budget).await.unwrap();
}

/// Both objects but for what controllers write: the budget's status, and who wrote what when.
async fn users_objects(ground: &Ground) -> Vec<Value> {
    let service = ground.api::<Service>().get("demo").await.unwrap();
    let budget = ground.api::<PodDisruptionBudget>().get("demo").await.unwrap();
    let of_the_user = |mut object: Value| {
        object.as_object_mut().unwrap().remove("status");
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
        object
    };
    vec![
        of_the_user(serde_json::to_value(service).unwrap()),
        of_the_user(serde_json::to_value(budget).unwrap()),
    ]
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn a_users_service_and_budget_of_the_clusters_name_stay_theirs_while_it_forms_heals_and_goes() {
    let ground = Ground::open("taken").await;
    make_users_objects(&ground).await;
    let before = users_objects(&ground).await;
    let version = ground.api::<Service>().get("demo").await.unwrap().resource_version();
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.holds("NameTaken").await;
    demo.says("it serves all the same", |picture| picture.is("Available")).await;
    until("three members serve", async || Ok((demo.ready_pods().await.len() == 3).then_some(()))).await;
    demo.put("key", "value").await;

    let lost = demo.ready_pods().await.remove(0);
    demo.lose_disk(&lost).await;
    demo.replaces(&lost, 3).await;
    demo.every_member_has(3, "key", "value").await;
    assert_eq!(users_objects(&ground).await, before, "nothing of the user's was touched");
    demo.says("it is still said", |picture| picture.hold("NameTaken").is_some()).await;

    demo.delete().await;
    until("the members are gone", async || Ok(ground.all::<Pod>().await.is_empty().then_some(()))).await;
    throughout("the cluster is gone", Duration::from_secs(3), async || {
        let now = users_objects(&ground).await;
        ensure(now == before, || format!("the user's objects were {before:?} and are {now:?}"))
    })
    .await;
    assert_eq!(ground.api::<Service>().get("demo").await.unwrap().resource_version(), version);
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn clusters_called_demo_and_demo_peers_live_side_by_side_and_each_service_leads_to_its_own_members() {
    let ground = Ground::open("side-by-side").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    let peers = Subject::create(&ground, "demo-peers", json!({})).await;
    for cluster in [&demo, &peers] {
        cluster.is_ready(3).await;
    }
    demo.put("whose", "of demo").await;
    peers.put("whose", "of demo-peers").await;
    demo.every_member_has(3, "whose", "of demo").await;
    peers.every_member_has(3, "whose", "of demo-peers").await;
    for cluster in [&demo, &peers] {
        let own: BTreeSet<String> = cluster.uids().await.into_values().collect();
        let services = services_of(cluster).await;
        assert_eq!(services.len(), 2, "one for clients, one for the members: {services:?}");
        for service in services {
            until(
                &format!("{service} leads to the members of {} and nobody else", cluster.name),
                async || {
                    let targets = targets_of(&ground, &service).await;
                    anyhow::ensure!(targets == own, "{targets:?} instead of {own:?}");
                    Ok(Some(()))
                },
            )
            .await;
        }
    }
    throughout("both rest", Duration::from_secs(5), async || {
        for cluster in [&demo, &peers] {
            let picture = cluster.picture().await;
            ensure(picture.is("Ready"), || format!("{}: {}", cluster.name, picture.describe()))?;
        }
        Ok(())
    })
    .await;
}

/// The Services that belong to this very object.
async fn services_of(cluster: &Subject<'_>) -> Vec<String> {
    let owner = cluster.picture().await.0.uid().unwrap();
    let is_ours = |service: &&Service| service.owner_references().iter().any(|one| one.uid == owner);
    let services = cluster.ground.all::<Service>().await;
    let ours: Vec<&Service> = services.iter().filter(is_ours).collect();
    let is_headless = |service: &&&Service| {
        service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
    };
    assert_eq!(ours.iter().filter(is_headless).count(), 1, "one is headless");
    for service in &ours {
        assert_eq!(service.labels().get(etcd::CLUSTER_LABEL), Some(&cluster.name), "{}", service.name_any());
    }
    ours.iter().map(|service| service.name_any()).collect()
}

/// The uids of the pods that a Service leads to.
async fn targets_of(ground: &Ground, service: &str) -> BTreeSet<String> {
    let labels = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let slices = ground.api::<EndpointSlice>().list(&labels).await.unwrap().items;
    let endpoints = slices.into_iter().flat_map(|slice| slice.endpoints);
    endpoints.filter_map(|endpoint| endpoint.target_ref?.uid).collect()
}
