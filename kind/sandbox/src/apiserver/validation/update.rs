//! Fields that can't change once an object exists.
//!
//! Pure.

use serde_json::{Map, Value, json};

use super::pod;
use super::report::Report;
use crate::apiserver::cluster::Target;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{drop_member, list, text};
use crate::apiserver::quantity::Quantity;

/// The forbidden changes between two states.
pub(super) fn causes(target: &Target, old: &Value, new: &Value) -> Vec<Cause> {
    let id = &target.definition.id;
    if target.definition.is("batch", "jobs") {
        return super::batch::job_update(old, new);
    }
    let cause = match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => return changed_in_pod(target, old, new),
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

fn changed_in_pod(target: &Target, old: &Value, new: &Value) -> Vec<Cause> {
    if target.subresource.as_deref() == Some("ephemeralcontainers") {
        return changed_ephemeral(old, new).into_iter().collect();
    }
    let mut report = Report::default();
    let count = |object: &Value, field: &str| list(object["spec"].get(field)).count();
    for field in ["containers", "initContainers"] {
        let path = format!("spec.{field}");
        if count(old, field) != count(new, field) {
            report.forbidden(path, "pod updates may not add or remove containers");
            return report.into_causes();
        }
        for (index, container) in list(new["spec"].get(field)).enumerate() {
            if text(container, "/image").is_empty() {
                report.required(format!("{path}[{index}].image"), "");
            }
            pod::image_margins(container, &format!("{path}[{index}]"), &mut report);
        }
    }
    if !deadline(old, new, &mut report) {
        return report.into_causes();
    }
    kept_tolerations(old, new, &mut report);
    new_gates(old, new, &mut report);
    report.extend(changed_pod(old, new));
    report.into_causes()
}

/// A pod's deadline only comes nearer. False when nothing else is looked at.
fn deadline(old: &Value, new: &Value, report: &mut Report) -> bool {
    const PATH: &str = "spec.activeDeadlineSeconds";
    const MOST: i64 = i32::MAX as i64;
    let of = |object: &Value| object.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
    match (of(old), of(new)) {
        (_, Some(has)) if !(0..=MOST).contains(&has) => {
            report.invalid(PATH, has, &format!("must be between 0 and {MOST}, inclusive"));
            false
        }
        (Some(had), Some(has)) if has > had => {
            report.invalid(PATH, has, "must be less than or equal to previous value");
            false
        }
        (Some(_), None) => {
            report.invalid(PATH, Value::Null, "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

fn kept_tolerations(old: &Value, new: &Value, report: &mut Report) {
    const PATH: &str = "spec.tolerations";
    let bare = |one: &Value| {
        let mut one = one.clone();
        drop_member(&mut one, "tolerationSeconds");
        one
    };
    let now: Vec<Value> = list(new.pointer("/spec/tolerations")).map(bare).collect();
    if list(old.pointer("/spec/tolerations")).any(|one| !now.contains(&bare(one))) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        return report.forbidden(PATH, why);
    }
    pod::tolerations(&new["spec"], PATH, report);
}

fn new_gates(old: &Value, new: &Value, report: &mut Report) {
    let had: Vec<&str> = list(old.pointer("/spec/schedulingGates")).map(|gate| text(gate, "/name")).collect();
    for (index, gate) in list(new.pointer("/spec/schedulingGates")).enumerate() {
        let name = text(gate, "/name");
        if !had.contains(&name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            report.forbidden(format!("spec.schedulingGates[{index}].name"), &why);
        }
    }
}

fn changed_pod(old: &Value, new: &Value) -> Option<Cause> {
    const FREE: [&str; 3] = ["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    let rest = |object: &Value| {
        let mut spec = fixed(object, &FREE);
        for field in ["containers", "initContainers"] {
            for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = json!("");
            }
        }
        spec
    };
    let (before, mut after) = (rest(old), rest(new));
    let grace = |spec: &Map<String, Value>| spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if grace(&before).is_some_and(|seconds| seconds < 0) && grace(&after) == Some(1) {
        after.insert("terminationGracePeriodSeconds".to_owned(), json!(grace(&before)));
    }
    let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    (before != after).then(|| Cause::forbidden("spec", why))
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
    let size = |object: &Value, pointer: &str| {
        Quantity::parse(text(object, pointer)).unwrap_or_else(|_| Quantity::count(0))
    };
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
