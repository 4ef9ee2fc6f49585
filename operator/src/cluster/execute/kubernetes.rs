//! Changes of Kubernetes objects. Each is conditional: a creation fails if the name is taken, a patch tests what it was
//! planned on, a deletion names the UID. It never overwrites a whole object.

use crate::write::{self, WriteError, manager, outcome};
use etcd_operator_core::api::{BootstrapRecord, EtcdBackup, EtcdCluster};
use etcd_operator_core::cluster::plan::{Delete, Evict, Kind, Object, Patch, Target};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, Patch as ApiPatch, PatchParams,
    Preconditions, PropagationPolicy,
};
use kube::{Client, ResourceExt};
use serde_json::json;

/// Writes the first members into the cluster's status, unless the cluster object has changed since.
pub(super) async fn record_bootstrap(
    client: &Client,
    cluster: &EtcdCluster,
    record: &BootstrapRecord,
    resource_version: &str,
) -> Result<(), WriteError> {
    let api: Api<EtcdCluster> = Api::namespaced(client.clone(), &cluster.namespace().unwrap_or_default());
    let patch = json!({
        "metadata": { "resourceVersion": resource_version },
        "status": { "bootstrap": record },
    });
    let parameters = PatchParams { field_manager: manager(), ..PatchParams::default() };
    let written = api.patch_status(&cluster.name_any(), &parameters, &ApiPatch::Merge(patch)).await;
    outcome("the cluster object", written)
}

/// Creates an object.
pub(super) async fn create(client: &Client, object: &Object) -> Result<(), WriteError> {
    match object {
        Object::StatefulSet(object) => write::create(client, object).await,
        Object::Claim(object) => write::create(client, object).await,
        Object::Service(object) => write::create(client, object).await,
        Object::DisruptionBudget(object) => write::create(client, object).await,
        Object::Backup(object) => write::create(client, object).await,
        Object::Job(object) => write::create(client, object).await,
    }
}

/// Patches an object.
pub(super) async fn patch(client: &Client, patch: &Patch) -> Result<(), WriteError> {
    let (parameters, operations) = write::as_request(&patch.operations)?;
    let written = dynamic(client, &patch.target).patch(&patch.target.name, &parameters, &operations).await;
    outcome(&describe(&patch.target), written)
}

/// Deletes an object. One that is already gone is not a failure.
pub(super) async fn delete(client: &Client, delete: &Delete) -> Result<(), WriteError> {
    let parameters = DeleteParams {
        grace_period_seconds: delete.grace_period_seconds.and_then(|seconds| u32::try_from(seconds).ok()),
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: Some(delete.target.uid.clone()),
            resource_version: delete.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    let deleted = dynamic(client, &delete.target).delete(&delete.target.name, &parameters).await;
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => outcome(&describe(&delete.target), other),
    }
}

/// Evicts a pod. What its disruption budget does not allow now is answered with 429.
pub(super) async fn evict(client: &Client, evict: &Evict) -> Result<(), WriteError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &evict.target.namespace);
    let preconditions = Preconditions { uid: Some(evict.target.uid.clone()), resource_version: None };
    let delete_options = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let parameters = EvictParams { delete_options: Some(delete_options), ..EvictParams::default() };
    outcome(&describe(&evict.target), pods.evict(&evict.target.name, &parameters).await)
}

fn dynamic(client: &Client, target: &Target) -> Api<DynamicObject> {
    let resource = match target.kind {
        Kind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        Kind::PersistentVolumeClaim => ApiResource::erase::<PersistentVolumeClaim>(&()),
        Kind::Pod => ApiResource::erase::<Pod>(&()),
        Kind::Service => ApiResource::erase::<Service>(&()),
        Kind::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
        Kind::EtcdBackup => ApiResource::erase::<EtcdBackup>(&()),
        Kind::Job => ApiResource::erase::<Job>(&()),
        Kind::Secret => ApiResource::erase::<Secret>(&()),
    };
    Api::namespaced_with(client.clone(), &target.namespace, &resource)
}

fn describe(target: &Target) -> String {
    format!("{} {}", target.kind.as_str(), target.name)
}
