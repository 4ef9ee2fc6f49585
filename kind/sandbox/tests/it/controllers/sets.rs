//! StatefulSets and Deployments from creation to the end.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{Cluster, eventually};

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

fn set(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "serviceName": "web",
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("image:1"),
        },
    })
}

fn is_rolled_out(set: &StatefulSet, replicas: i32) -> bool {
    let status = set.status.clone().unwrap_or_default();
    status.observed_generation == set.metadata.generation
        && status.ready_replicas == Some(replicas)
        && status.updated_replicas == Some(replicas)
        && status.replicas == replicas
        && status.current_revision == status.update_revision
}

async fn rolled_out(cluster: &Cluster, replicas: i32) -> StatefulSet {
    let holds = |sets: &[StatefulSet]| sets.iter().any(|set| is_rolled_out(set, replicas));
    eventually(cluster.api(), "the set is rolled out", holds).await.remove(0)
}

#[tokio::test]
async fn a_stateful_set_starts_updates_scales_and_brings_a_template_back_to_its_old_revision() {
    let cluster = Cluster::start().await;
    cluster.create::<StatefulSet>(set(2)).await;
    let first = rolled_out(&cluster, 2).await;
    cluster.patch::<StatefulSet>("web", json!({"spec": {"template": template("image:2")}})).await;
    let second = rolled_out(&cluster, 2).await;
    assert_ne!(first.status.unwrap().update_revision, second.status.clone().unwrap().update_revision);
    cluster
        .patch::<StatefulSet>("web", json!({"spec": {"replicas": 1, "template": template("image:1")}}))
        .await;
    let third = rolled_out(&cluster, 1).await;
    let pods = eventually(cluster.api::<Pod>(), "one pod is left", |pods| pods.len() == 1).await;
    assert_eq!(pods[0].name_any(), "web-0");
    assert_eq!(pods[0].labels()["controller-revision-hash"], third.status.unwrap().update_revision.unwrap());
}

#[tokio::test]
async fn a_deleted_pod_of_a_stateful_set_comes_back_under_its_name_with_another_uid() {
    let cluster = Cluster::start().await;
    cluster.create::<StatefulSet>(set(1)).await;
    rolled_out(&cluster, 1).await;
    let before = cluster.api::<Pod>().get("web-0").await.unwrap();
    cluster.api::<Pod>().delete("web-0", &DeleteParams::default()).await.unwrap();
    let is_new = |pods: &[Pod]| pods.iter().any(|pod| pod.name_any() == "web-0" && pod.uid() != before.uid());
    eventually(cluster.api::<Pod>(), "the pod is back", is_new).await;
}

#[tokio::test]
async fn deleting_a_stateful_set_takes_its_pods_along() {
    let cluster = Cluster::start().await;
    cluster.create::<StatefulSet>(set(2)).await;
    rolled_out(&cluster, 2).await;
    cluster.api::<StatefulSet>().delete("web", &DeleteParams::background()).await.unwrap();
    eventually(cluster.api::<Pod>(), "no pod is left", <[Pod]>::is_empty).await;
}

#[tokio::test]
async fn an_update_that_never_becomes_ready_stops_at_the_first_pod() {
    let cluster = Cluster::start().await;
    cluster.create::<StatefulSet>(set(2)).await;
    rolled_out(&cluster, 2).await;
    cluster.kubelet.keep_unready("web-1");
    cluster.patch::<StatefulSet>("web", json!({"spec": {"template": template("image:2")}})).await;
    let is_stuck = |sets: &[StatefulSet]| {
        let status = sets[0].status.clone().unwrap_or_default();
        status.updated_replicas == Some(1) && status.ready_replicas == Some(1) && status.replicas == 2
    };
    eventually(cluster.api(), "one updated pod is unready", is_stuck).await;
    let old = cluster.api::<Pod>().get("web-0").await.unwrap();
    assert_eq!(old.spec.unwrap().containers[0].image.as_deref(), Some("image:1"));
}

fn is_available(deployment: &Deployment, replicas: i32) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    status.observed_generation == deployment.metadata.generation
        && status.available_replicas == Some(replicas)
        && status.updated_replicas == Some(replicas)
        && status.replicas == Some(replicas)
}

#[tokio::test]
async fn a_deployment_rolls_out_and_leaves_no_pod_of_the_old_template() {
    let cluster = Cluster::start().await;
    let spec =
        json!({"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template("image:1")});
    cluster.create::<Deployment>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let holds = |held: &[Deployment]| held.iter().any(|deployment| is_available(deployment, 3));
    eventually(cluster.api(), "the Deployment is available", holds).await;
    cluster.patch::<Deployment>("web", json!({"spec": {"template": template("image:2")}})).await;
    let deployment = eventually(cluster.api(), "the Deployment is available again", holds).await.remove(0);
    assert_eq!(deployment.annotations()["deployment.kubernetes.io/revision"], "2");
    let is_new = |pod: &Pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("image:2");
    let all_new = |pods: &[Pod]| pods.len() == 3 && pods.iter().all(is_new);
    eventually(cluster.api(), "three pods of the new template are left", all_new).await;
    assert_eq!(cluster.api::<ReplicaSet>().list(&Default::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn deleting_a_deployment_takes_replica_sets_and_pods_along() {
    let cluster = Cluster::start().await;
    let spec =
        json!({"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template("image:1")});
    cluster.create::<Deployment>(json!({"metadata": {"name": "web"}, "spec": spec})).await;
    eventually(cluster.api::<Pod>(), "two pods are there", |pods| pods.len() == 2).await;
    cluster.api::<Deployment>().delete("web", &DeleteParams::background()).await.unwrap();
    eventually(cluster.api::<Pod>(), "no pod is left", <[Pod]>::is_empty).await;
    eventually(cluster.api::<ReplicaSet>(), "no ReplicaSet is left", <[ReplicaSet]>::is_empty).await;
}
