//! What an object must be before it is stored: names, required fields, values, fields that can't change.
//!
//! The essential part of Kubernetes' validation; messages as `kubectl` shows them. Pure.

mod batch;
mod names;
mod pod;
mod update;

use kube_cel::RootContext;
use serde_json::{Value, json};

use self::names::{label_causes, name_causes};
use super::cluster::Target;
use super::definition::Shape;
use super::error::{ApiError, Cause};
use super::json::{list, text};
use super::structural;
use crate::store::selector::Selector;

/// Checks a new object.
pub(crate) fn on_create(target: &Target, new: &Value) -> Vec<Cause> {
    let mut causes = name_causes(target, text(new, "/metadata/name"));
    causes.extend(label_causes(new));
    match &target.definition.shape {
        Shape::BuiltIn(_) if target.definition.is("batch", "cronjobs") => {
            causes.extend(batch::new_cron_job(new));
        }
        Shape::BuiltIn(_) => causes.extend(built_in(target, new)),
        Shape::Custom(_) => causes.extend(custom(target, None, new)),
    }
    causes
}

/// Checks a changed object. What was wrong before, and has not changed, is let through for custom resources
/// (validation ratcheting).
pub(crate) fn on_update(target: &Target, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = label_causes(new);
    match &target.definition.shape {
        Shape::BuiltIn(_) => {
            if target.subresource.as_deref() != Some("status") {
                causes.extend(built_in(target, new));
                causes.extend(update::causes(target, old, new));
            }
        }
        Shape::Custom(_) => {
            let before = custom(target, None, old);
            causes.extend(custom(target, Some(old), new).into_iter().filter(|cause| !before.contains(cause)));
        }
    }
    causes
}

fn custom(target: &Target, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let Shape::Custom(schema) = &target.definition.shape else { return Vec::new() };
    let Some(version) = schema.versions.get(&target.version) else { return Vec::new() };
    let causes = structural::check::check(&version.schema, new);
    if !causes.is_empty() {
        return causes;
    }
    let context = RootContext {
        api_version: target.api_version(),
        api_group: target.definition.id.group.clone(),
        kind: target.definition.kind.clone(),
    };
    structural::rules::check(&version.rules, &version.schema, new, old, &context)
}

fn built_in(target: &Target, new: &Value) -> Vec<Cause> {
    let id = &target.definition.id;
    match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => pod::causes(&new["spec"], "spec", None),
        ("apps", "statefulsets" | "deployments" | "replicasets" | "daemonsets") => workload(new),
        ("batch", "jobs") => batch::job(new),
        ("batch", "cronjobs") => batch::cron_job(new),
        ("", "services") => service(new),
        ("", "persistentvolumeclaims") => claim(new),
        ("policy", "poddisruptionbudgets") => budget(new),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(new),
        ("coordination.k8s.io", "leases") => lease(new),
        _ => Vec::new(),
    }
}

fn workload(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let selector = new.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
    match Selector::from_object(&selector) {
        Ok(selector) if selector.is_empty() => causes.push(Cause::required("spec.selector", "")),
        Ok(selector) if !selector.matches(&new["spec"]["template"]) => {
            let labels = &new["spec"]["template"]["metadata"]["labels"];
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
        }
        Ok(_) => {}
        Err(error) => causes.push(Cause::invalid("spec.selector", &selector, &error.to_string())),
    }
    if let Some(count) =
        new.pointer("/spec/replicas").filter(|count| count.as_i64().is_some_and(|count| count < 0))
    {
        causes.push(Cause::invalid("spec.replicas", count, "must be greater than or equal to 0"));
    }
    causes.extend(pod::causes(&pod_spec(new), "spec.template.spec", Some("Always")));
    let enumerations: [(&str, &[&str]); 3] = [
        ("podManagementPolicy", &["OrderedReady", "Parallel"]),
        ("updateStrategy.type", &["OnDelete", "RollingUpdate"]),
        ("strategy.type", &["Recreate", "RollingUpdate"]),
    ];
    for (path, supported) in enumerations {
        causes.extend(enumeration(new, &format!("spec.{path}"), supported));
    }
    causes
}

/// The pods' spec with the volumes that a StatefulSet's claim templates will add.
fn pod_spec(workload: &Value) -> Value {
    let mut spec = workload["spec"]["template"]["spec"].clone();
    let claims = list(workload["spec"].get("volumeClaimTemplates"));
    let added: Vec<Value> = claims.map(|claim| json!({"name": text(claim, "/metadata/name")})).collect();
    if !added.is_empty() {
        let volumes: Vec<Value> = list(spec.get("volumes")).cloned().chain(added).collect();
        spec["volumes"] = volumes.into();
    }
    spec
}

/// A value that is there must be one of these.
fn enumeration(object: &Value, path: &str, supported: &[&str]) -> Option<Cause> {
    let value = object.pointer(&format!("/{}", path.replace('.', "/")))?;
    let known = value.as_str().is_some_and(|text| supported.contains(&text));
    let names: Vec<String> = supported.iter().map(|one| (*one).to_owned()).collect();
    (!known).then(|| Cause::unsupported(path, value, &names))
}

fn service(new: &Value) -> Vec<Cause> {
    let mut causes: Vec<Cause> =
        enumeration(new, "spec.type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])
            .into_iter()
            .collect();
    let headless = text(new, "/spec/clusterIP") == "None" || text(new, "/spec/type") == "ExternalName";
    let ports: Vec<&Value> = list(new.pointer("/spec/ports")).collect();
    if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    let mut names = std::collections::BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        if !port["port"].as_u64().is_some_and(|number| (1..=65535).contains(&number)) {
            causes.push(Cause::invalid(
                format!("{path}.port"),
                &port["port"],
                "must be between 1 and 65535, inclusive",
            ));
        }
        let name = text(port, "/name");
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if !names.insert(name) && !name.is_empty() {
            causes.push(Cause::duplicate(format!("{path}.name"), &port["name"]));
        }
    }
    causes
}

fn claim(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if list(new.pointer("/spec/accessModes")).next().is_none() {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if new.pointer("/spec/resources/requests/storage").is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
    causes
}

fn budget(new: &Value) -> Vec<Cause> {
    let both = new.pointer("/spec/minAvailable").is_some() && new.pointer("/spec/maxUnavailable").is_some();
    let why = "minAvailable and maxUnavailable cannot be both set";
    both.then(|| Cause::invalid("spec", &new["spec"], why)).into_iter().collect()
}

fn lease(new: &Value) -> Vec<Cause> {
    let seconds = new.pointer("/spec/leaseDurationSeconds");
    let wrong = seconds.filter(|seconds| seconds.as_i64().is_some_and(|seconds| seconds <= 0));
    wrong
        .map(|value| Cause::invalid("spec.leaseDurationSeconds", value, "must be greater than 0"))
        .into_iter()
        .collect()
}

fn definition(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let expected = format!("{}.{}", text(new, "/spec/names/plural"), text(new, "/spec/group"));
    if text(new, "/metadata/name") != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &new["metadata"]["name"], why));
    }
    let versions: Vec<&Value> = list(new.pointer("/spec/versions")).collect();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &new["spec"]["versions"], why));
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema") {
            Some(schema) => causes.extend(structural::rules::uncompilable(schema, &path)),
            None => causes.push(Cause::required(path, "schemas are required")),
        }
    }
    causes
}

/// Custom resources may not be replaced blindly: a PUT must name the version it replaces.
pub(crate) fn require_version(target: &Target, sent: &Value) -> Result<(), ApiError> {
    if !target.definition.is_custom() || !text(sent, "/metadata/resourceVersion").is_empty() {
        return Ok(());
    }
    let zero = Value::from(0);
    let cause = Cause::invalid("metadata.resourceVersion", &zero, "must be specified for an update");
    let name = target.name.as_deref().unwrap_or_default();
    Err(ApiError::invalid(&target.definition.id.group, &target.definition.id.resource, name, &[cause]))
}

/// Some objects can't be deleted.
pub(crate) fn on_delete(target: &Target, name: &str) -> Result<(), ApiError> {
    let protected =
        target.definition.is("", "namespaces") && matches!(name, "default" | "kube-system" | "kube-public");
    if protected {
        return Err(ApiError::forbidden(&target.definition.id, name, "this namespace may not be deleted"));
    }
    Ok(())
}
