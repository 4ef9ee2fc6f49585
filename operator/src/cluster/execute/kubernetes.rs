//! Changes of Kubernetes objects. Each is conditional: a creation fails if the name is taken, a patch tests what it was
//! planned on, a deletion names the UID. It never overwrites a whole object.

use super::ExecuteError;
use etcd_operator_core::api::{BootstrapRecord, EtcdCluster};
use etcd_operator_core::cluster::plan::{Delete, Evict, Kind, Object, Patch, Target};
use etcd_operator_core::names::FIELD_MANAGER;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, Patch as ApiPatch, PatchParams, PostParams,
    Preconditions, PropagationPolicy,
};
use kube::core::{NamespaceResourceScope, Status};
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
    outcome("the cluster object", written)
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
    outcome(&format!("{} {}", K::kind(&()), object.name_any()), written)
}

/// Patches an object.
pub(super) async fn patch(client: &Client, patch: &Patch) -> Result<(), ExecuteError> {
    let value = serde_json::to_value(&patch.operations).map_err(ExecuteError::Request)?;
    let operations = serde_json::from_value(value).map_err(ExecuteError::Request)?;
    let parameters = PatchParams { field_manager: manager(), ..PatchParams::default() };
    let written = dynamic(client, &patch.target)
        .patch(&patch.target.name, &parameters, &ApiPatch::Json::<()>(operations))
        .await;
    outcome(&describe(&patch.target), written)
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
        other => outcome(&describe(&delete.target), other),
    }
}

/// Evicts a pod. What its disruption budget does not allow now is answered with 429.
pub(super) async fn evict(client: &Client, evict: &Evict) -> Result<(), ExecuteError> {
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
const TOO_MANY_REQUESTS: u16 = 429;
const SERVER_ERROR: u16 = 500;

/// Tells the three kinds of failure apart: the world has moved on, the server refuses, or it can't do it now.
fn outcome<T>(what: &str, answer: kube::Result<T>) -> Result<(), ExecuteError> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => match status.code {
            NOT_FOUND | CONFLICT => Err(overtaken(what, &status)),
            UNPROCESSABLE if is_failed_test(&status) => Err(overtaken(what, &status)),
            TOO_MANY_REQUESTS | SERVER_ERROR.. => Err(ExecuteError::Kubernetes(kube::Error::Api(status))),
            _ => Err(ExecuteError::Refused {
                message: status.message.clone(),
                source: kube::Error::Api(status),
            }),
        },
        Err(error) => Err(ExecuteError::Kubernetes(error)),
    }
}

fn overtaken(what: &str, status: &Status) -> ExecuteError {
    ExecuteError::Overtaken(format!("{what} has changed ({})", status.message))
}

/// Whether a 422 says that a test of a JSON patch failed. A refusal by validation has the same code and names the object and the
/// fields (`k8s.io/apiserver/pkg/endpoints/handlers/patch.go`, where a failed test becomes a generic response without details).
fn is_failed_test(status: &Status) -> bool {
    status.details.as_ref().is_none_or(|details| details.kind.is_empty() && details.causes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assert_matches::assert_matches;
    use etcd_operator_core::cluster::plan::SetbackKind;
    use serde_json::json;

    /// What comes of an answer with this code and these details.
    fn setback(code: u16, details: &serde_json::Value) -> SetbackKind {
        let status = json!({ "code": code, "message": "the server's words", "details": details });
        let status: Status = serde_json::from_value(status).unwrap();
        outcome("Service demo", Err::<(), _>(kube::Error::Api(Box::new(status)))).unwrap_err().setback()
    }

    #[test]
    fn what_another_writer_changed_was_overtaken_and_nothing_is_said() {
        for code in [404, 409] {
            assert_matches!(setback(code, &json!(null)), SetbackKind::Overtaken, "{code}");
        }
        assert_matches!(setback(422, &json!(null)), SetbackKind::Overtaken, "a failed test of a patch");
    }

    #[test]
    fn what_validation_quotas_admission_and_rights_refuse_is_quoted() {
        let invalid = json!({ "kind": "StatefulSet", "causes": [{ "field": "spec", "message": "no" }] });
        for (code, details) in [(400, json!(null)), (403, json!({ "kind": "services" })), (422, invalid)] {
            let setback = setback(code, &details);
            assert_matches!(setback, SetbackKind::Refused(message) if message == "the server's words", "{code}");
        }
    }

    #[test]
    fn what_the_server_cannot_do_now_is_tried_again() {
        for code in [429, 500, 503, 504] {
            assert_matches!(setback(code, &json!(null)), SetbackKind::NotNow(_), "{code}");
        }
    }
}
