//! The principles of the design that need a whole cluster to be shown, each test named after its principle.

use chaos::agent::client::{Agent as _, AgentTarget, EphemeralAgent};
use chaos::agent::protocol::AgentFault;
use chaos::cluster::images::CHAOS_IMAGE;
use chaos::subject::{etcd, operator};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::arena::{Arena, until};
use super::members::Demo;

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn principle_5_clusters_restart_and_keep_their_data_while_the_operator_is_gone() {
    let arena = Arena::open("principle-5").await;
    arena.install().await;
    let demo = Demo::create(&arena.client, "principle-5").await;
    let formed = demo.is_ready().await;
    demo.put("before", "kept").await;

    delete_operator(&arena).await;
    kill_every_container(&arena, &demo).await;
    delete_every_pod(&demo).await;
    delete_what_only_caches(&arena, &demo).await;
    until("all members serve again, without an operator", async || {
        Ok((demo.ready_pods().await == 3).then_some(()))
    })
    .await;
    demo.every_member_has("before", "kept").await;
    demo.put("meanwhile", "written").await;
    demo.every_member_has("meanwhile", "written").await;
    assert!(demo.api().get("demo").await.unwrap().data.get("status").is_none(), "nobody wrote a status");

    let before = demo.lives().await;
    arena.install().await;
    let taken_over = demo.is_ready().await;
    let identity = |cluster: &kube::api::DynamicObject| cluster.data.pointer("/status/clusterId").cloned();
    assert!(identity(&formed).is_some());
    assert_eq!(identity(&taken_over), identity(&formed), "it is the same etcd cluster");
    is_governed(&arena, &demo).await;
    assert_eq!(demo.lives().await, before, "the operator restarted nobody when it came back");
    demo.every_member_has("meanwhile", "written").await;
    demo.remove().await;
}

async fn delete_operator(arena: &Arena) {
    let deployments = Api::<Deployment>::namespaced(arena.client.clone(), operator::NAMESPACE);
    deployments.delete(operator::NAME, &DeleteParams::background()).await.unwrap();
    until("the operator is gone", async || {
        Ok(arena.operator_pods(operator::NAMESPACE).await.is_empty().then_some(()))
    })
    .await;
}

/// All at once, so that there is no quorum that a member could come back to.
async fn kill_every_container(arena: &Arena, demo: &Demo) {
    let before = demo.lives().await;
    let agent = EphemeralAgent::new(arena.client.clone(), CHAOS_IMAGE, "test");
    let targets: Vec<AgentTarget> = before
        .iter()
        .map(|(pod, life)| AgentTarget {
            namespace: demo.namespace.clone(),
            pod: pod.clone(),
            pod_uid: life.uid.clone(),
            container: etcd::CONTAINER.to_owned(),
            data_volume: None,
        })
        .collect();
    let kills = targets.iter().map(async |target| {
        agent.apply(target, AgentFault::Kill).await.unwrap().finish().await;
    });
    futures::future::join_all(kills).await;
    until("every container was started again in its pod, and serves", async || {
        let now = demo.lives().await;
        let restarted = before.iter().all(|(pod, earlier)| {
            now.get(pod).is_some_and(|life| life.uid == earlier.uid && life.restarts > earlier.restarts)
        });
        Ok((restarted && demo.ready_pods().await == before.len()).then_some(()))
    })
    .await;
}

async fn delete_every_pod(demo: &Demo) {
    let before = demo.lives().await;
    for pod in before.keys() {
        demo.pods_api().delete(pod, &DeleteParams::default()).await.unwrap();
    }
    until("every pod was made anew", async || {
        let now = demo.lives().await;
        let renewed =
            before.iter().all(|(pod, earlier)| now.get(pod).is_some_and(|life| life.uid != earlier.uid));
        Ok(renewed.then_some(()))
    })
    .await;
}

/// What can be made again from disks, the member list and the claims: status, Events, EndpointSlices, the Lease.
async fn delete_what_only_caches(arena: &Arena, demo: &Demo) {
    let none = Patch::Merge(json!({ "status": null }));
    demo.api().patch_status("demo", &PatchParams::default(), &none).await.unwrap();
    let (every, at_once) = (ListParams::default(), DeleteParams::default());
    let events = Api::<Event>::namespaced(arena.client.clone(), &demo.namespace);
    events.delete_collection(&at_once, &every).await.unwrap();
    let slices = Api::<EndpointSlice>::namespaced(arena.client.clone(), &demo.namespace);
    let before: Vec<String> = slices.list(&every).await.unwrap().iter().filter_map(|one| one.uid()).collect();
    assert!(!before.is_empty(), "the Services have endpoints");
    slices.delete_collection(&at_once, &every).await.unwrap();
    until("Kubernetes made the endpoints anew", async || {
        let now: Vec<String> = slices.list(&every).await?.iter().filter_map(|one| one.uid()).collect();
        Ok((now.len() >= before.len() && !now.iter().any(|uid| before.contains(uid))).then_some(()))
    })
    .await;
    let leases = Api::<Lease>::namespaced(arena.client.clone(), operator::NAMESPACE);
    leases.delete(operator::NAME, &at_once).await.unwrap();
}

/// The operator governs the cluster: what is deleted comes back.
async fn is_governed(arena: &Arena, demo: &Demo) {
    let budgets = Api::<PodDisruptionBudget>::namespaced(arena.client.clone(), &demo.namespace);
    let before = budgets.get("demo").await.unwrap().uid();
    budgets.delete("demo", &DeleteParams::default()).await.unwrap();
    until("the operator made the budget anew", async || {
        Ok(budgets.get_opt("demo").await?.filter(|now| now.uid() != before).map(drop))
    })
    .await;
}
