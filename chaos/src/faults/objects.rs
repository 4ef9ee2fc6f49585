//! Where each object of a cluster lives in the API, and which of its fields a fault changes. The lower half is pure.

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::record::ObjectIdentity;
use crate::scenario::ClusterObject;
use crate::subject::{FIELD_MANAGER, etcd};

/// One object of the cluster under test, found by name.
pub struct Located {
    api: Api<DynamicObject>,
    /// Its name.
    pub name: String,
    object: ClusterObject,
}

impl Located {
    /// Where `object` lives. `member` is the target's name, for objects that each member has.
    pub async fn find(
        client: &Client,
        namespace: &str,
        cluster: &str,
        object: ClusterObject,
        member: Option<&str>,
    ) -> Result<Located> {
        let (group, version, kind, name) = match object {
            ClusterObject::StatefulSetTemplate
            | ClusterObject::StatefulSetScale
            | ClusterObject::StatefulSet => {
                ("apps", "v1", "StatefulSet", member.context("a StatefulSet belongs to a member")?.to_owned())
            }
            ClusterObject::ServiceSelector | ClusterObject::ClientService => {
                ("", "v1", "Service", cluster.to_owned())
            }
            ClusterObject::PeerService => {
                ("", "v1", "Service", etcd::peers_service(client, namespace, cluster).await?)
            }
            ClusterObject::DisruptionBudget => ("policy", "v1", "PodDisruptionBudget", cluster.to_owned()),
            ClusterObject::ClusterRecord => {
                return Ok(Located { api: etcd::api(client, namespace), name: cluster.to_owned(), object });
            }
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Ok(Located { api: Api::namespaced_with(client.clone(), namespace, &resource), name, object })
    }

    /// The object as it is now; nothing if it is not there.
    pub async fn get(&self) -> Result<Option<DynamicObject>> {
        self.api
            .get_opt(&self.name)
            .await
            .with_context(|| format!("failed to read {} {}", self.object, self.name))
    }

    /// Sets one field by a JSON patch, only if nobody has written the object since `seen` was read.
    pub async fn set(&self, seen: &DynamicObject, field: &Field, value: &Value) -> Result<DynamicObject> {
        let patch: json_patch::Patch = serde_json::from_value(json!([
            { "op": "test", "path": "/metadata/resourceVersion", "value": seen.resource_version() },
            { "op": "add", "path": field.pointer, "value": value },
        ]))
        .context("failed to build a patch")?;
        let patch = Patch::Json::<()>(patch);
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = match written_part(self.object) {
            Some(_status) => self.api.patch_status(&self.name, &parameters, &patch).await,
            None => self.api.patch(&self.name, &parameters, &patch).await,
        };
        patched.with_context(|| format!("failed to change {} of {}", field.name, self.name))
    }

    /// Deletes this very object.
    pub async fn delete(&self, seen: &DynamicObject) -> Result<()> {
        let preconditions = kube::api::Preconditions { uid: seen.uid(), resource_version: None };
        let parameters = kube::api::DeleteParams { preconditions: Some(preconditions), ..Default::default() };
        let deleted = self.api.delete(&self.name, &parameters).await;
        deleted.map(drop).with_context(|| format!("failed to delete {} {}", self.object, self.name))
    }
}

/// One field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// For people.
    pub name: &'static str,
    /// Where it stands in this very object.
    pub pointer: String,
}

impl Field {
    /// The field's value; an absent or empty one is null, so that a list taken away equals a list never there.
    #[must_use]
    pub fn value(&self, object: &DynamicObject) -> Value {
        let value = object.data.pointer(&self.pointer).cloned().unwrap_or(Value::Null);
        let empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        if empty { Value::Null } else { value }
    }
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field.
    pub field: Field,
    /// What it shall hold.
    pub value: Value,
}

/// How `object` is changed for the worse: each would harm the cluster if it were followed or if nobody put it back.
pub fn corruption(object: ClusterObject, now: &DynamicObject) -> Result<Change> {
    Ok(match object {
        // If this variable reached etcd, the member would leave the others and found a cluster of its own.
        ClusterObject::StatefulSetTemplate | ClusterObject::StatefulSet => {
            added_variable(now, json!({ "name": "ETCD_FORCE_NEW_CLUSTER", "value": "true" }))?
        }
        ClusterObject::StatefulSetScale => change("spec.replicas", "/spec/replicas", json!(0)),
        ClusterObject::ServiceSelector | ClusterObject::ClientService | ClusterObject::PeerService => {
            change("spec.selector", "/spec/selector", json!({ "app.kubernetes.io/name": "nobody" }))
        }
        ClusterObject::DisruptionBudget => change("spec.minAvailable", "/spec/minAvailable", json!(0)),
        ClusterObject::ClusterRecord => change("status.clusterId", "/status/clusterId", json!("dead")),
    })
}

/// What somebody else adds to `object`.
pub fn addition(object: ClusterObject, now: &DynamicObject) -> Result<Change> {
    Ok(match object {
        ClusterObject::StatefulSetTemplate | ClusterObject::StatefulSet => {
            added_variable(now, json!({ "name": "SOMEBODY_ELSE", "value": "was-here" }))?
        }
        ClusterObject::StatefulSetScale => change("spec.replicas", "/spec/replicas", json!(2)),
        ClusterObject::ServiceSelector => {
            let mut selector = now.data.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
            selector["somebody-else"] = json!("was-here");
            change("spec.selector", "/spec/selector", selector)
        }
        ClusterObject::ClientService | ClusterObject::PeerService => {
            let mut ports = list(now, "/spec/ports");
            ports.push(
                json!({ "name": "somebody-else", "port": 9999, "targetPort": 9999, "protocol": "TCP" }),
            );
            change("spec.ports", "/spec/ports", Value::Array(ports))
        }
        ClusterObject::DisruptionBudget => change(
            "spec.unhealthyPodEvictionPolicy",
            "/spec/unhealthyPodEvictionPolicy",
            json!("AlwaysAllow"),
        ),
        ClusterObject::ClusterRecord => {
            let mut conditions = list(now, "/status/conditions");
            conditions.push(json!({
                "type": "SomebodyElse", "status": "True", "reason": "WasHere", "message": "",
                "lastTransitionTime": "2000-01-01T00:00:00Z",
            }));
            change("status.conditions", "/status/conditions", Value::Array(conditions))
        }
    })
}

fn change(name: &'static str, pointer: &str, value: Value) -> Change {
    Change { field: Field { name, pointer: pointer.to_owned() }, value }
}

fn list(object: &DynamicObject, pointer: &str) -> Vec<Value> {
    object.data.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn added_variable(now: &DynamicObject, variable: Value) -> Result<Change> {
    let containers = list(now, "/spec/template/spec/containers");
    let index = containers.iter().position(|container| container["name"] == etcd::CONTAINER);
    let index = index.context("the StatefulSet has no container of etcd")?;
    let pointer = format!("/spec/template/spec/containers/{index}/env");
    let mut variables = list(now, &pointer);
    variables.push(variable);
    let name = "spec.template.spec.containers[etcd].env";
    Ok(Change { field: Field { name, pointer }, value: Value::Array(variables) })
}

/// Name and uid of an object.
#[must_use]
pub fn identity(object: &DynamicObject) -> ObjectIdentity {
    ObjectIdentity { name: object.name_any(), uid: object.uid().unwrap_or_default() }
}

/// The subresource through which the part that `object` means is written; none for the object itself.
fn written_part(object: ClusterObject) -> Option<&'static str> {
    match object {
        ClusterObject::ClusterRecord => Some("status"),
        ClusterObject::StatefulSetTemplate
        | ClusterObject::StatefulSetScale
        | ClusterObject::StatefulSet
        | ClusterObject::ServiceSelector
        | ClusterObject::ClientService
        | ClusterObject::PeerService
        | ClusterObject::DisruptionBudget => None,
    }
}

/// Who wrote the object last, by `metadata.managedFields`. Controllers of Kubernetes keep writing the status of what the
/// operator owns, so only writers of the part that `object` means are looked at. Times there have whole seconds, so among
/// equals everybody else goes before the harness: it is asked only after the harness's own value is gone.
#[must_use]
pub fn last_manager(object: ClusterObject, now: &DynamicObject) -> String {
    last_writer(&now.metadata, written_part(object))
}

/// The same for an object of any kind, or for one of its subresources.
#[must_use]
pub fn last_writer(metadata: &ObjectMeta, part: Option<&str>) -> String {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let writers =
        entries.iter().filter(|entry| entry.subresource.as_deref().filter(|part| !part.is_empty()) == part);
    let latest = writers.max_by_key(|entry| {
        let time: Option<Timestamp> = entry.time.as_ref().map(|time| time.0);
        (time, entry.manager.as_deref() != Some(FIELD_MANAGER))
    });
    latest.and_then(|entry| entry.manager.clone()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_wrote_the_status_later_did_not_repair_the_spec() {
        let entry = |manager: &str, time: &str, subresource: Option<&str>| {
            let mut entry = json!({ "manager": manager, "operation": "Update", "time": time });
            if let Some(subresource) = subresource {
                entry["subresource"] = json!(subresource);
            }
            entry
        };
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": { "name": "etcd-abcde", "managedFields": [
                entry(FIELD_MANAGER, "2026-01-01T00:00:01Z", None),
                entry("etcd-operator", "2026-01-01T00:00:02Z", None),
                entry("a-controller", "2026-01-01T00:00:03Z", Some("status")),
            ] },
        }))
        .unwrap();
        assert_eq!(last_manager(ClusterObject::StatefulSetTemplate, &object), "etcd-operator");
        assert_eq!(last_manager(ClusterObject::ClusterRecord, &object), "a-controller");
    }
}
