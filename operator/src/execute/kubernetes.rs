//! Changes of Kubernetes objects. Each is conditional: a creation fails if the name is taken, a patch tests what it was
//! planned on, a deletion names the UID. It never overwrites a whole object.

use super::ExecuteError;
use etcd_operator_core::api::{BootstrapRecord, EtcdCluster};
use etcd_operator_core::names::FIELD_MANAGER;
use etcd_operator_core::plan::{Delete, Kind, Object, Patch, Target};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, Patch as ApiPatch, PatchParams, PostParams, Preconditions,
    PropagationPolicy,
};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// Writes the first members into the cluster's status, unless the cluster object has changed since.
pub(super) async fn record_bootstrap(
    client: &Client,
    cluster: &EtcdCluster,
    record: &BootstrapRecord,
    resource_version: &str,
) -> Result<(), ExecuteError> {
    let api: Api<EtcdCluster> = Api::namespaced(client.clone(), &cluster.namespace().unwrap_or_default());
    let patch = json!({
        "metadata": { "resourceVersion": resource_version },
        "status": { "bootstrap": record },
    });
    let parameters = PatchParams { field_manager: manager(), ..PatchParams::default() };
    let written = api.patch_status(&cluster.name_any(), &parameters, &ApiPatch::Merge(patch)).await;
    outcome("the cluster object", &[NOT_FOUND, CONFLICT], written)
}

/// Creates an object.
pub(super) async fn create(client: &Client, object: &Object) -> Result<(), ExecuteError> {
    match object {
        Object::StatefulSet(object) => create_one(client, object).await,
        Object::Claim(object) => create_one(client, object).await,
        Object::Service(object) => create_one(client, object).await,
        Object::DisruptionBudget(object) => create_one(client, object).await,
    }
}

async fn create_one<K>(client: &Client, object: &K) -> Result<(), ExecuteError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let parameters = PostParams { field_manager: manager(), ..PostParams::default() };
    let written = api.create(&parameters, object).await;
    outcome(&format!("{} {}", K::kind(&()), object.name_any()), &[CONFLICT], written)
}

/// Patches an object.
pub(super) async fn patch(client: &Client, patch: &Patch) -> Result<(), ExecuteError> {
    let value = serde_json::to_value(&patch.operations).map_err(ExecuteError::Request)?;
    let operations = serde_json::from_value(value).map_err(ExecuteError::Request)?;
    let parameters = PatchParams { field_manager: manager(), ..PatchParams::default() };
    let written = dynamic(client, &patch.target)
        .patch(&patch.target.name, &parameters, &ApiPatch::Json::<()>(operations))
        .await;
    // A JSON patch whose test failed is answered as unprocessable.
    outcome(&describe(&patch.target), &[NOT_FOUND, CONFLICT, UNPROCESSABLE], written)
}

/// Deletes an object. One that is already gone is not a failure.
pub(super) async fn delete(client: &Client, delete: &Delete) -> Result<(), ExecuteError> {
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
        other => outcome(&describe(&delete.target), &[CONFLICT], other),
    }
}

fn dynamic(client: &Client, target: &Target) -> Api<DynamicObject> {
    let resource = match target.kind {
        Kind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        Kind::PersistentVolumeClaim => ApiResource::erase::<PersistentVolumeClaim>(&()),
        Kind::Pod => ApiResource::erase::<Pod>(&()),
        Kind::Service => ApiResource::erase::<Service>(&()),
        Kind::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
    };
    Api::namespaced_with(client.clone(), &target.namespace, &resource)
}

fn describe(target: &Target) -> String {
    format!("{} {}", target.kind.as_str(), target.name)
}

fn manager() -> Option<String> {
    Some(FIELD_MANAGER.to_owned())
}

const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
const UNPROCESSABLE: u16 = 422;

/// Tells "the world has moved on" from all other failures, by the codes that mean it for this kind of request.
fn outcome<T>(what: &str, overtaken: &[u16], answer: kube::Result<T>) -> Result<(), ExecuteError> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if overtaken.contains(&status.code) => {
            Err(ExecuteError::Overtaken(format!("{what} has changed ({})", status.message)))
        }
        Err(error) => Err(ExecuteError::Kubernetes(error)),
    }
}
