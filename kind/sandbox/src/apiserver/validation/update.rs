//! Fields that can't change once an object exists.
//!
//! Pure.

use serde_json::{Map, Value, json};

use crate::apiserver::cluster::Target;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{drop_member, list, text};
use crate::apiserver::quantity;

/// The forbidden changes between two states.
pub(super) fn causes(target: &Target, old: &Value, new: &Value) -> Vec<Cause> {
    let id = &target.definition.id;
    if target.definition.is("batch", "jobs") {
        return super::batch::job_update(old, new);
    }
    let cause = match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => return pod(target, old, new),
        ("apps", "statefulsets") => stateful_set(old, new),
        ("apps", "deployments" | "replicasets" | "daemonsets") => immutable(old, new, "spec.selector"),
        ("discovery.k8s.io", "endpointslices") => immutable(old, new, "addressType"),
        ("", "persistentvolumeclaims") => return claim(old, new),
        ("", "services") => address(old, new),
        ("", "secrets") => immutable(old, new, "type").or_else(|| sealed(old, new)),
        ("", "configmaps") => sealed(old, new),
        ("events.k8s.io", "events") => (old.get("note") != new.get("note"))
            .then(|| Cause::invalid("message", &new["note"], "field is immutable")),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => role_reference(old, new),
        ("storage.k8s.io", "storageclasses") => immutable(old, new, "provisioner"),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            immutable(old, new, "spec.scope").or_else(|| immutable(old, new, "spec.names.kind"))
        }
        _ => None,
    };
    cause.into_iter().collect()
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    object.pointer(&format!("/{}", path.replace('.', "/")))
}

fn immutable(old: &Value, new: &Value, path: &str) -> Option<Cause> {
    let value = at(new, path).unwrap_or(&Value::Null);
    (at(old, path) != at(new, path)).then(|| Cause::invalid(path, value, "field is immutable"))
}

fn role_reference(old: &Value, new: &Value) -> Option<Cause> {
    let changed = old.get("roleRef") != new.get("roleRef");
    changed.then(|| Cause::invalid("roleRef", &new["roleRef"], "cannot change roleRef"))
}

/// Spec without the members that may change.
fn fixed(object: &Value, free: &[&str]) -> Map<String, Value> {
    let mut spec = object["spec"].as_object().cloned().unwrap_or_default();
    free.iter().for_each(|field| drop(spec.remove(*field)));
    spec
}

fn stateful_set(old: &Value, new: &Value) -> Option<Cause> {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    (fixed(old, &FREE) != fixed(new, &FREE)).then(|| Cause::forbidden("spec", why))
}

fn pod(target: &Target, old: &Value, new: &Value) -> Vec<Cause> {
    let free: &[&str] = match target.subresource.as_deref() {
        Some("ephemeralcontainers") => &["ephemeralContainers"],
        Some(_) | None => &["activeDeadlineSeconds", "tolerations"],
    };
    let without_images = |object: &Value| {
        let mut spec = fixed(object, free);
        for field in ["containers", "initContainers"] {
            for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = json!("");
            }
        }
        spec
    };
    let count = |object: &Value, field: &str| list(object["spec"].get(field)).count();
    for field in ["containers", "initContainers"] {
        if count(old, field) != count(new, field) {
            let why = match field {
                "containers" => "pod updates may not add or remove containers",
                _ => "pod updates may not add or remove init containers",
            };
            return vec![Cause::forbidden(format!("spec.{field}"), why)];
        }
    }
    let mut causes = Vec::new();
    let deadline = |object: &Value| object.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
    if let (Some(had), has) = (deadline(old), deadline(new))
        && has.is_none_or(|has| has > had)
    {
        let path = "spec.activeDeadlineSeconds";
        let why = "must be less than or equal to previous value";
        causes.push(match has {
            Some(has) => Cause::invalid(path, &json!(has), why),
            None => {
                Cause::invalid(path, &Value::Null, "must not update from a positive integer to nil value")
            }
        });
    }
    if without_images(old) == without_images(new) {
        causes.extend(changed_ephemeral(old, new));
        return causes;
    }
    let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    causes.push(Cause::forbidden("spec", why));
    causes
}

fn changed_ephemeral(old: &Value, new: &Value) -> Option<Cause> {
    let now: Vec<&Value> = list(new.pointer("/spec/ephemeralContainers")).collect();
    let changed =
        list(old.pointer("/spec/ephemeralContainers")).find(|container| !now.contains(container))?;
    let why = format!("existing ephemeral containers \"{}\" may not be changed", text(changed, "/name"));
    Some(Cause::forbidden("spec.ephemeralContainers", &why))
}

fn claim(old: &Value, new: &Value) -> Vec<Cause> {
    let bound = text(new, "/status/phase") == "Bound";
    // Binding fills in the volume, and a default class may be set later.
    let late = |field: &str| at(old, &format!("spec.{field}")).is_none();
    let mut free: Vec<&str> =
        ["volumeName", "storageClassName"].into_iter().filter(|field| late(field)).collect();
    free.extend(bound.then_some("volumeAttributesClassName"));
    let without_size = |object: &Value| {
        let mut spec = fixed(object, &free);
        let requests = spec.get_mut("resources").and_then(|resources| resources.get_mut("requests"));
        if let Some(requests) = requests.filter(|_| bound) {
            drop_member(requests, "storage");
        }
        spec
    };
    let mut causes = Vec::new();
    if without_size(old) != without_size(new) {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", why));
    }
    let size = |object: &Value, pointer: &str| quantity::bytes(text(object, pointer)).unwrap_or(0.0);
    let requested = |object: &Value| size(object, "/spec/resources/requests/storage");
    if requested(new) < requested(old) && requested(new) <= size(old, "/status/capacity/storage") {
        let less = "field can not be less than status.capacity";
        causes.push(Cause::forbidden("spec.resources.requests.storage", less));
    }
    causes.extend(
        immutable(old, new, "spec.volumeMode").map(|cause| Cause { field: "volumeMode".to_owned(), ..cause }),
    );
    causes
}

fn address(old: &Value, new: &Value) -> Option<Cause> {
    let (before, after) = (text(old, "/spec/clusterIP"), text(new, "/spec/clusterIP"));
    let external = text(new, "/spec/type") == "ExternalName";
    let changed = !before.is_empty() && before != after && !external;
    changed.then(|| Cause::invalid("spec.clusterIPs[0]", &json!([after]), "may not change once set"))
}

/// `immutable: true` seals a ConfigMap or a Secret.
fn sealed(old: &Value, new: &Value) -> Option<Cause> {
    if old["immutable"] != true {
        return None;
    }
    let changed =
        ["data", "binaryData", "immutable"].into_iter().find(|field| old.get(*field) != new.get(*field))?;
    Some(Cause::forbidden(changed, "field is immutable when `immutable` is set"))
}
