//! Endpoints, disruption budgets, and that a cluster at rest is silent.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DeleteParams;
use serde_json::json;

use super::{Cluster, eventually};

async fn start_three(cluster: &Cluster) {
    cluster
        .create::<StatefulSet>(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 3,
                "podManagementPolicy": "Parallel",
                "serviceName": "web",
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": "image:1"}]},
                },
            },
        }))
        .await;
}

fn ready_names(slices: &[EndpointSlice]) -> Vec<String> {
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter());
    let ready =
        endpoints.filter(|endpoint| endpoint.conditions.as_ref().and_then(|held| held.ready) == Some(true));
    ready.filter_map(|endpoint| endpoint.hostname.clone()).collect()
}

#[tokio::test]
async fn a_service_follows_its_pods_and_leaves_no_slice_behind() {
    let cluster = Cluster::start().await;
    let spec = json!({"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]});
    cluster.create::<Service>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    start_three(&cluster).await;
    let of_the_service = |slices: &[EndpointSlice]| ready_names(slices) == ["web-0", "web-1", "web-2"];
    eventually(cluster.api(), "all three pods are listed as ready", of_the_service).await;
    cluster.kubelet.keep_unready("web-1");
    cluster.api::<Pod>().delete("web-1", &DeleteParams::default()).await.unwrap();
    let without_one = |slices: &[EndpointSlice]| ready_names(slices) == ["web-0", "web-2"];
    eventually(cluster.api(), "the unready pod is not listed as ready", without_one).await;
    cluster.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    eventually(cluster.api(), "the slice is gone", |slices: &[EndpointSlice]| {
        !slices.iter().any(|slice| slice.metadata.generate_name.as_deref() == Some("web-"))
    })
    .await;
}

#[tokio::test]
async fn a_budget_allows_what_is_ready_beyond_its_minimum() {
    let cluster = Cluster::start().await;
    let spec = json!({"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}});
    cluster.create::<PodDisruptionBudget>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    start_three(&cluster).await;
    let allows = |budgets: &[PodDisruptionBudget], number: i32| {
        budgets[0]
            .status
            .as_ref()
            .is_some_and(|status| status.disruptions_allowed == number && status.expected_pods == 3)
    };
    eventually(cluster.api(), "one disruption is allowed", |budgets| allows(budgets, 1)).await;
    cluster.kubelet.keep_unready("web-0");
    cluster.api::<Pod>().delete("web-0", &DeleteParams::default()).await.unwrap();
    eventually(cluster.api(), "no disruption is allowed", |budgets| allows(budgets, 0)).await;
}

#[tokio::test]
async fn a_cluster_at_rest_writes_nothing() {
    let server = crate::apiserver::server();
    let client = server.client();
    let kubelet = super::Kubelet::start(client.clone()).await;
    let controllers = super::Controllers::start(
        client.clone(),
        std::sync::Arc::new(sandbox::apiserver::inputs::SystemClock),
    );
    let cluster = Cluster { client, _controllers: controllers, kubelet };
    start_three(&cluster).await;
    let all_ready = |sets: &[StatefulSet]| {
        let status = sets[0].status.clone().unwrap_or_default();
        status.available_replicas == Some(3) && status.observed_generation == sets[0].metadata.generation
    };
    eventually(cluster.api(), "all pods are available", all_ready).await;
    let mut revision = server.revision();
    // The last Events of the start may still be on their way; from some moment on nothing more comes.
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = server.revision();
        if now == revision {
            break;
        }
        assert!(now < 500, "the controllers keep writing");
        revision = now;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.revision(), revision);
}
