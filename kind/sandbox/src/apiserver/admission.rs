//! What Kubernetes' admission plugins and small controllers add to objects: service accounts, finalizers, addresses.
//!
//! Pure. Each rule names its plugin.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Cluster, Inputs, Target};
use super::error::ApiError;
use super::json::{list, object, set_default, text};
use super::quantity::Quantity;
use super::write::{WriteOptions, create};
use super::{defaults, disabled, job, limits, service};
use crate::store::{GroupResource, ObjectKey};

/// What the annotation on `kube-root-ca.crt` tells people.
const ROOT_CERTIFICATE_DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Holds a CRD until its instances are gone.
pub(crate) const CUSTOM_RESOURCE_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Completes an object that is about to be created.
pub(crate) fn on_create(
    cluster: &Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    new: &mut Value,
) -> Result<(), ApiError> {
    disabled::drop_fields(target, new);
    match (target.definition.id.group.as_str(), target.definition.id.resource.as_str()) {
        ("", "pods") => {
            if limits::set_defaults(cluster, target, new) {
                defaults::classify(new);
            }
            gated(inputs, new);
            runtime_class(target, new)?;
            priority(cluster, target, new)?;
            service_account(cluster, inputs, target, new)?;
            tolerations(new);
        }
        ("", "namespaces") => {
            object(new, "spec").insert("finalizers".to_owned(), json!(["kubernetes"]));
            new["status"] = json!({"phase": "Active"});
        }
        ("", "services") => {
            service::allocate(cluster, new)?;
            service::allocate_ports(cluster, new)?;
        }
        ("batch", "jobs") => job::generate_selector(new),
        ("", "persistentvolumeclaims") => claim(cluster, new),
        ("", "persistentvolumes") => add_finalizer(new, "kubernetes.io/pv-protection"),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            new["status"] = accepted_status(new);
        }
        _ => {}
    }
    Ok(())
}

/// A pod with gates says from the start why it is not scheduled.
fn gated(inputs: &Inputs<'_>, pod: &mut Value) {
    if list(pod.pointer("/spec/schedulingGates")).next().is_some() {
        pod["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": inputs.now_text(),
        }]);
    }
}

/// Plugin `RuntimeClass`: there are no classes here, so that none is found.
fn runtime_class(target: &Target, pod: &Value) -> Result<(), ApiError> {
    let Some(name) = pod.pointer("/spec/runtimeClassName").and_then(Value::as_str) else { return Ok(()) };
    let why = format!("pod rejected: RuntimeClass \"{name}\" not found");
    Err(ApiError::forbidden(&target.definition.id, text(pod, "/metadata/name"), &why))
}

/// Keeps what an update may leave out.
pub(crate) fn on_update(old: &Value, target: &Target, new: &mut Value) {
    disabled::drop_fields(target, new);
    if target.definition.is("", "services") {
        service::keep_addresses(old, new);
        service::keep_ports(old, new);
        service::drop_what_the_type_has_not(old, new);
    }
    if target.definition.is("", "pods") && target.subresource.is_none() {
        tolerations(new);
    }
    if target.definition.is("apiextensions.k8s.io", "customresourcedefinitions")
        && target.subresource.is_none()
    {
        let stored = new.pointer("/status/storedVersions").cloned();
        new["status"] = accepted_status(new);
        let mut versions: Vec<Value> = list(stored.as_ref()).cloned().collect();
        for version in list(new.pointer("/status/storedVersions")) {
            if !versions.contains(version) {
                versions.push(version.clone());
            }
        }
        new["status"]["storedVersions"] = Value::Array(versions);
        // The conditions don't change by an update; their times stay.
        if let Some(conditions) = old.pointer("/status/conditions") {
            new["status"]["conditions"] = conditions.clone();
        }
    }
}

/// What follows a write: a namespace gets its content, a CRD is served.
pub(crate) fn after_write(
    cluster: &mut Cluster,
    inputs: &mut Inputs<'_>,
    key: &ObjectKey,
    stored: &Arc<Value>,
) {
    if key.resource == GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions") {
        cluster.refresh_definition(stored, false);
    }
    let is_namespace = key.resource == GroupResource::new("", "namespaces");
    if is_namespace && stored.pointer("/metadata/deletionTimestamp").is_none() {
        fill_namespace(cluster, inputs, &key.name);
    }
}

/// The ServiceAccount `default` and the ConfigMap `kube-root-ca.crt` of every namespace.
fn fill_namespace(cluster: &mut Cluster, inputs: &mut Inputs<'_>, namespace: &str) {
    let contents = [
        ("serviceaccounts", "default", json!({})),
        ("configmaps", "kube-root-ca.crt", json!({"data": {"ca.crt": cluster.root_certificate}})),
    ];
    for (resource, name, mut body) in contents {
        let target = Target { namespace: Some(namespace.to_owned()), ..cluster.own_target("", resource) };
        if cluster.store.get(&target.definition.key(Some(namespace), name)).is_some() {
            continue;
        }
        body["metadata"] = json!({"name": name});
        if resource == "configmaps" {
            body["metadata"]["annotations"] =
                json!({"kubernetes.io/description": ROOT_CERTIFICATE_DESCRIPTION});
        }
        let made = create(cluster, inputs, &target, body, &WriteOptions::of("kube-controller-manager"));
        debug_assert!(made.is_ok(), "a namespace's own content is valid: {made:?}");
    }
}

/// Plugin `ServiceAccount`: the default account, its existence, and the mounted token.
fn service_account(
    cluster: &Cluster,
    inputs: &mut Inputs<'_>,
    target: &Target,
    pod: &mut Value,
) -> Result<(), ApiError> {
    let spec = object(pod, "spec");
    set_default(spec, "serviceAccountName", "default");
    let name = spec["serviceAccountName"].as_str().unwrap_or_default().to_owned();
    let key = ObjectKey {
        resource: GroupResource::new("", "serviceaccounts"),
        namespace: target.namespace.clone(),
        name: name.clone(),
    };
    let Some(account) = cluster.store.get(&key) else {
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(ApiError::forbidden(&target.definition.id, text(pod, "/metadata/name"), &why));
    };
    spec.insert("serviceAccount".to_owned(), json!(name));
    let no = Value::Bool(false);
    let wanted =
        spec.get("automountServiceAccountToken").or_else(|| account.get("automountServiceAccountToken"));
    if wanted != Some(&no) {
        let volume = format!("kube-api-access-{}", inputs.identifiers.name_suffix());
        mount_token(pod, &volume);
    }
    Ok(())
}

/// Plugin `Priority`: the number behind the name of a class, of the default class, or nothing special.
fn priority(cluster: &Cluster, target: &Target, pod: &mut Value) -> Result<(), ApiError> {
    let classes = cluster.store.list(&GroupResource::new("scheduling.k8s.io", "priorityclasses"), None);
    let spec = object(pod, "spec");
    let named = spec.get("priorityClassName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (number, preemption) = match named.as_str() {
        "" => match classes.iter().find(|(_, class)| class["globalDefault"] == true) {
            Some((key, class)) => {
                spec.insert("priorityClassName".to_owned(), json!(key.name));
                (class["value"].clone(), class["preemptionPolicy"].clone())
            }
            None => (json!(0), Value::Null),
        },
        "system-node-critical" => (json!(2_000_001_000), Value::Null),
        "system-cluster-critical" => (json!(2_000_000_000), Value::Null),
        name => match classes.iter().find(|(key, _)| key.name == name) {
            Some((_, class)) => (class["value"].clone(), class["preemptionPolicy"].clone()),
            None => {
                let why = format!("no PriorityClass with name {name} was found");
                let pod = text(pod, "/metadata/name");
                return Err(ApiError::forbidden(&target.definition.id, pod, &why));
            }
        },
    };
    spec.insert("priority".to_owned(), number);
    set_default(spec, "preemptionPolicy", preemption.as_str().unwrap_or("PreemptLowerPriority"));
    Ok(())
}

/// Plugin `DefaultTolerationSeconds`: a pod stays five minutes on a node that is not ready or not reachable.
fn tolerations(pod: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerates = |one: &Value| {
            matches!(text(one, "/key"), found if found == key || found.is_empty())
                && matches!(text(one, "/effect"), "" | "NoExecute")
        };
        if !list(pod.pointer("/spec/tolerations")).any(tolerates) {
            let toleration =
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
            push(object_value(pod, "spec"), "tolerations", toleration);
        }
    }
}

fn mount_token(pod: &mut Value, volume_name: &str) {
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let mut mounted = false;
    for containers in ["initContainers", "containers"] {
        let found = pod["spec"].get_mut(containers).and_then(Value::as_array_mut);
        for container in found.into_iter().flatten() {
            if list(container.get("volumeMounts")).any(|mount| mount["mountPath"] == PATH) {
                continue;
            }
            let mount = json!({"name": volume_name, "mountPath": PATH, "readOnly": true});
            push(container, "volumeMounts", mount);
            mounted = true;
        }
    }
    if mounted {
        let volume = json!({"name": volume_name, "projected": {"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
            ]}},
        ]}});
        push(object_value(pod, "spec"), "volumes", volume);
    }
}

/// Plugins `DefaultStorageClass` and `StorageObjectInUseProtection`.
fn claim(cluster: &Cluster, claim: &mut Value) {
    add_finalizer(claim, "kubernetes.io/pvc-protection");
    if claim.pointer("/spec/storageClassName").is_none() {
        let classes = cluster.store.list(&GroupResource::new("storage.k8s.io", "storageclasses"), None);
        let default = classes.iter().find(|(_, class)| {
            text(class, "/metadata/annotations/storageclass.kubernetes.io~1is-default-class") == "true"
        });
        if let Some((key, _)) = default {
            claim["spec"]["storageClassName"] = json!(key.name);
        }
    }
    claim["status"] = json!({});
}

/// Plugin `PersistentVolumeClaimResize`: a claim grows only where its class says so.
pub(crate) fn check_growth(
    cluster: &Cluster,
    target: &Target,
    old: &Value,
    new: &Value,
) -> Result<(), ApiError> {
    if !target.definition.is("", "persistentvolumeclaims") || target.subresource.is_some() {
        return Ok(());
    }
    let size = |claim: &Value| Quantity::parse(text(claim, "/spec/resources/requests/storage")).ok();
    if size(new) <= size(old) {
        return Ok(());
    }
    let class = |claim: &Value| text(claim, "/spec/storageClassName").to_owned();
    let resource = GroupResource::new("storage.k8s.io", "storageclasses");
    let found = cluster.store.get(&ObjectKey { resource, namespace: None, name: class(new) });
    let grows = found.is_some_and(|class| class["allowVolumeExpansion"] == true) && class(old) == class(new);
    let refuse = |why| Err(ApiError::forbidden(&target.definition.id, text(old, "/metadata/name"), why));
    match (text(old, "/status/phase"), grows) {
        ("Bound", true) => Ok(()),
        ("Bound", false) => refuse(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        ),
        _ => refuse("Only bound persistent volume claims can be expanded"),
    }
}

fn add_finalizer(value: &mut Value, finalizer: &str) {
    let metadata = object_value(value, "metadata");
    if !list(metadata.get("finalizers")).any(|one| one == finalizer) {
        push(metadata, "finalizers", json!(finalizer));
    }
}

fn object_value<'a>(value: &'a mut Value, field: &str) -> &'a mut Value {
    object(value, field);
    &mut value[field]
}

fn push(value: &mut Value, field: &str, item: Value) {
    if !value[field].is_array() {
        value[field] = json!([]);
    }
    if let Some(items) = value[field].as_array_mut() {
        items.push(item);
    }
}

/// The status of a CRD that is accepted and served, which here happens within the write.
fn accepted_status(crd: &Value) -> Value {
    let since = crd.pointer("/metadata/creationTimestamp").cloned().unwrap_or(Value::Null);
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since});
    let stored = list(crd.pointer("/spec/versions")).filter(|version| version["storage"] == true);
    json!({
        "acceptedNames": crd.pointer("/spec/names"),
        "storedVersions": stored.map(|version| version["name"].clone()).collect::<Vec<_>>(),
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    })
}
