//! Claims, volumes and the pods that wait for them.

use k8s_openapi::api::core::v1::{Event, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use super::{Cluster, eventually};

fn claim() -> Value {
    json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "reader"},
        "spec": {
            "containers": [{"name": "main", "image": "image:1"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        },
    })
}

fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

fn phase_is(claims: &[PersistentVolumeClaim], phase: &str) -> bool {
    claims.iter().any(|claim| claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase))
}

#[tokio::test]
async fn a_pod_waits_for_its_claim_and_runs_once_it_is_bound() {
    let cluster = Cluster::start().await;
    cluster.create::<Pod>(pod()).await;
    let is_explained = |events: &[Event]| {
        events.iter().any(|event| {
            event.reason.as_deref() == Some("FailedScheduling")
                && event.message.as_deref().is_some_and(|message| message.contains("not found"))
        })
    };
    eventually(cluster.api(), "an Event tells of the missing claim", is_explained).await;
    cluster.create::<PersistentVolumeClaim>(claim()).await;
    eventually(cluster.api(), "the pod runs", |pods| pods.iter().any(is_running)).await;
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let bound = cluster.api::<PersistentVolumeClaim>().get("data").await.unwrap();
    let volume = volumes.get(&format!("pvc-{}", bound.uid().unwrap())).await.unwrap();
    let source = volume.spec.unwrap().csi.unwrap();
    assert_eq!(
        (source.driver.as_str(), source.volume_handle),
        (sandbox::controllers::VOLUME_DRIVER, volume.metadata.name.unwrap())
    );
}

#[tokio::test]
async fn a_deleted_claim_outlives_its_pod_and_then_takes_the_volume_along() {
    let cluster = Cluster::start().await;
    cluster.create::<PersistentVolumeClaim>(claim()).await;
    cluster.create::<Pod>(pod()).await;
    eventually(cluster.api(), "the pod runs", |pods| pods.iter().any(is_running)).await;
    cluster.api::<PersistentVolumeClaim>().delete("data", &DeleteParams::default()).await.unwrap();
    let leaving = cluster.api::<PersistentVolumeClaim>().get("data").await.unwrap();
    assert!(leaving.metadata.deletion_timestamp.is_some());
    cluster.api::<Pod>().delete("reader", &DeleteParams::default()).await.unwrap();
    eventually(cluster.api::<PersistentVolumeClaim>(), "the claim is gone", <[_]>::is_empty).await;
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    eventually(volumes, "the volume is gone", <[_]>::is_empty).await;
}

#[tokio::test]
async fn a_claim_grows_and_a_claim_without_volume_is_lost() {
    let cluster = Cluster::start().await;
    cluster.create::<PersistentVolumeClaim>(claim()).await;
    eventually(cluster.api(), "the claim is bound", |claims| phase_is(claims, "Bound")).await;
    let larger = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    cluster.patch::<PersistentVolumeClaim>("data", larger).await;
    let has_grown = |claims: &[PersistentVolumeClaim]| {
        let capacity =
            claims[0].status.as_ref().and_then(|status| status.capacity.clone()).unwrap_or_default();
        capacity.get("storage").is_some_and(|size| size.0 == "2Gi")
    };
    let claim = eventually(cluster.api(), "the claim has grown", has_grown).await.remove(0);
    let volumes: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let name = claim.spec.unwrap().volume_name.unwrap();
    volumes.delete(&name, &DeleteParams::default()).await.unwrap();
    let unprotected = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    volumes.patch(&name, &kube::api::PatchParams::default(), &unprotected).await.unwrap();
    eventually(cluster.api(), "the claim is lost", |claims| phase_is(claims, "Lost")).await;
}
