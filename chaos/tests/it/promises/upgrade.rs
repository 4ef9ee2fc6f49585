//! The operator itself is upgraded under load. Beside it runs whatever `CHAOS_TEST_PREVIOUS_OPERATOR` names as the earlier one;
//! the same binary under another image, unless it is set.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos::cluster::images::OPERATOR_IMAGE;
use chaos::subject::{etcd, operator};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::arena::{Arena, PREVIOUS_IMAGE, until};
use super::members::{Demo, Life};
use super::writers;

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
async fn an_upgrade_of_the_operator_restarts_no_member_and_each_keeps_its_gate_until_its_next_restart() {
    let arena = Arena::open("upgrade").await;
    arena.install_previous().await;
    let demo = Demo::create(&arena.client, "upgrade").await;
    demo.is_ready().await;
    start_load(&arena, &demo).await;
    let before = demo.lives().await;
    let earlier: Vec<String> =
        arena.operator_pods(operator::NAMESPACE).await.iter().filter_map(|one| one.uid()).collect();
    let writes = written(&arena, &demo).await;
    assert_eq!(gates(&arena, &demo).await, [PREVIOUS_IMAGE; 6]);

    arena.install().await;
    let leases = Api::<Lease>::namespaced(arena.client.clone(), operator::NAMESPACE);
    until("a new operator holds the Lease", async || {
        let holder = leases.get(operator::NAME).await?.spec.and_then(|spec| spec.holder_identity);
        let now: Vec<String> =
            arena.operator_pods(operator::NAMESPACE).await.iter().filter_map(|one| one.uid()).collect();
        let is_new = holder.is_some_and(|holder| {
            now.iter().any(|uid| holder.ends_with(uid.as_str()))
                && !earlier.iter().any(|uid| holder.ends_with(uid.as_str()))
        });
        Ok(is_new.then_some(()))
    })
    .await;
    // It has looked at the cluster once it has put back what is missing.
    remove_budget(&arena, &demo).await;
    until("clients write on", async || Ok((written(&arena, &demo).await > writes + 100).then_some(()))).await;
    assert_eq!(demo.lives().await, before, "nobody was restarted");
    assert_eq!(gates(&arena, &demo).await, [PREVIOUS_IMAGE; 6], "each member keeps its gate");

    let before = lose_a_pod(&demo, &before).await;
    assert_eq!(
        gates(&arena, &demo).await,
        [PREVIOUS_IMAGE; 6],
        "a lost pod comes back behind the gate it had"
    );

    let spec = json!({ "resources": { "requests": { "memory": "96Mi" } }, "rollout": { "soakSeconds": 1 } });
    let resources = Patch::Merge(json!({ "spec": spec }));
    demo.api().patch("demo", &PatchParams::default(), &resources).await.unwrap();
    until("every member has the new gate after its planned restart", async || {
        let gates = gates(&arena, &demo).await;
        let cluster = demo.api().get("demo").await?;
        anyhow::ensure!(gates == [OPERATOR_IMAGE; 6], "{gates:?}; {}", cluster.data["status"]);
        Ok(Some(()))
    })
    .await;
    demo.is_ready().await;
    let now = demo.lives().await;
    assert!(before.iter().all(|(pod, life)| now.get(pod).is_some_and(|now| now.uid != life.uid)), "{now:?}");
    demo.remove().await;
}

/// One pod is lost; its gate, of the earlier operator, lets the member start by what the new operator has written. Returns the
/// lives after that.
async fn lose_a_pod(demo: &Demo, before: &BTreeMap<String, Life>) -> BTreeMap<String, Life> {
    let lost = before.keys().next().unwrap();
    demo.pods_api().delete(lost, &DeleteParams::default()).await.unwrap();
    until("the lost pod is there again", async || {
        let now = demo.lives().await;
        Ok(now.get(lost).is_some_and(|now| now.uid != before[lost].uid).then_some(()))
    })
    .await;
    demo.is_ready().await;
    let now = demo.lives().await;
    assert!(now.iter().all(|(pod, life)| pod == lost || before.get(pod) == Some(life)), "{now:?}");
    now
}

async fn start_load(arena: &Arena, demo: &Demo) {
    let peers_service = etcd::peers_service(&arena.client, &demo.namespace, "demo").await.unwrap();
    let limit = Duration::from_secs(2);
    writers::start(&arena.client, &demo.namespace, "demo", Some(&peers_service), limit).await;
}

async fn written(arena: &Arena, demo: &Demo) -> u64 {
    writers::acknowledged(&arena.client, &demo.namespace).await
}

/// The images of the members' gates: those of the templates, then those of the pods.
async fn gates(arena: &Arena, demo: &Demo) -> Vec<String> {
    let sets = Api::<StatefulSet>::namespaced(arena.client.clone(), &demo.namespace);
    let sets = sets.list(&ListParams::default()).await.unwrap().items;
    let image = |spec: Option<PodSpec>| spec?.init_containers?.into_iter().next()?.image;
    let templates = sets.into_iter().filter_map(|set| image(set.spec?.template.spec));
    let pods = demo.pods().await;
    templates.chain(pods.into_iter().filter_map(|pod| image(pod.spec))).collect()
}

async fn remove_budget(arena: &Arena, demo: &Demo) {
    use k8s_openapi::api::policy::v1::PodDisruptionBudget;
    let budgets = Api::<PodDisruptionBudget>::namespaced(arena.client.clone(), &demo.namespace);
    let before = budgets.get("demo").await.unwrap().uid();
    budgets.delete("demo", &Default::default()).await.unwrap();
    until("the new operator made the budget anew", async || {
        Ok(budgets.get_opt("demo").await?.filter(|now| now.uid() != before).map(drop))
    })
    .await;
}
