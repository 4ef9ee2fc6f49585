//! Watches that lose, delay and repeat what happens: the operator finds it all the same, and does nothing that it should not.

use super::{Fleet, eventually, in_own_network, name, namespace};
use crate::reconcile::controller_of;
use crate::support::kubernetes::{api_server, create_namespace};
use etcd_operator::audit::Audit;
use etcd_operator::registration::register;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use sandbox::apiserver::StaleWatches;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

/// So that a test takes seconds where users may wait for minutes.
const HASTY: Audit = Audit { at_least: Duration::from_millis(20), round: Duration::from_secs(2) };

#[test]
fn what_watches_lose_delay_or_repeat_is_found_and_nothing_else_is_done() {
    in_own_network(async || {
        let server = api_server();
        register(server.client()).await.unwrap();
        create_namespace(&server.client(), "operator").await;
        let mut operator = JoinSet::new();
        let controller = controller_of(&server.client(), HASTY);
        operator.spawn(async move { controller.run().await });
        let fleet = Fleet::start(server.client());
        fleet.grow_to(2).await;
        let pods = pods(&fleet).await;
        for stale in [
            StaleWatches { lose_every: 1, ..StaleWatches::default() },
            StaleWatches { lag: Duration::from_millis(700), ..StaleWatches::default() },
            StaleWatches { lose_every: 2, repeat: true, ..StaleWatches::default() },
        ] {
            server.make_watches_stale(stale);
            point_service_at_nobody(&fleet, 0).await;
            delete_budget(&fleet, 1).await;
            eventually("the Service selects members again", async || {
                service(&fleet, 0).await.filter(|selector| !selector.contains_key("app"))
            })
            .await;
            let budgets = budgets(&fleet, 1);
            eventually("the budget is there again", async || budgets.get_opt(&name(1)).await.unwrap()).await;
        }
        assert_eq!(self::pods(&fleet).await, pods, "no member was touched");
    });
}

async fn pods(fleet: &Fleet) -> BTreeSet<String> {
    let pods = Api::<Pod>::all(fleet.client.clone()).list(&ListParams::default()).await.unwrap();
    pods.items.iter().filter_map(|pod| pod.uid()).collect()
}

fn services(fleet: &Fleet, cluster: usize) -> Api<Service> {
    Api::namespaced(fleet.client.clone(), &namespace(cluster))
}

fn budgets(fleet: &Fleet, cluster: usize) -> Api<PodDisruptionBudget> {
    Api::namespaced(fleet.client.clone(), &namespace(cluster))
}

/// By what the Service of a cluster selects.
async fn service(fleet: &Fleet, cluster: usize) -> Option<std::collections::BTreeMap<String, String>> {
    services(fleet, cluster).get(&name(cluster)).await.unwrap().spec?.selector
}

pub(super) async fn point_service_at_nobody(fleet: &Fleet, cluster: usize) {
    let change = json!({ "spec": { "selector": { "app": "nobody" } } });
    let by = PatchParams::default();
    services(fleet, cluster).patch(&name(cluster), &by, &Patch::Merge(change)).await.unwrap();
}

pub(super) async fn selects_members(fleet: &Fleet, cluster: usize) -> bool {
    service(fleet, cluster).await.is_some_and(|selector| !selector.contains_key("app"))
}

async fn delete_budget(fleet: &Fleet, cluster: usize) {
    budgets(fleet, cluster).delete(&name(cluster), &DeleteParams::default()).await.unwrap();
}
