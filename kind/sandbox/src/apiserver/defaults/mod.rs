//! What Kubernetes fills in when a client leaves it out, for built-in kinds; custom resources have their schema's.
//!
//! Follows the `SetDefaults_*` functions of Kubernetes' API groups. Pure.

mod pod;

use serde_json::{Map, Value, json};

use super::cluster::Target;
use super::defects::Defect;
use super::definition::Shape;
use super::json::{entries, object, set_default, text};
use super::service::is_reached_from_outside;
use super::{limits, structural};

/// Fills in what the client left out.
pub(crate) fn apply(target: &Target, new: &mut Value) {
    match &target.definition.shape {
        Shape::Custom(schema) => {
            let version = schema.versions.get(&target.version);
            if let Some(version) = version.filter(|_| !Defect::NothingDefaulted.is_planted()) {
                structural::default(&version.schema, new);
            }
        }
        Shape::BuiltIn(_) => built_in(target, new),
    }
}

fn built_in(target: &Target, new: &mut Value) {
    let id = &target.definition.id;
    match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => {
            pod::spec(object(new, "spec"));
            pod::of_pod_alone(object(new, "spec"));
            pod::status(new);
        }
        ("", "namespaces") => {
            let name = text(new, "/metadata/name").to_owned();
            let labels = nested(object(new, "metadata"), "labels");
            labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
        }
        ("", "services") => service(new),
        ("", "secrets") => secret(new),
        ("", "limitranges") => limits::complete_range(new),
        ("", "persistentvolumeclaims") => claim(new),
        ("", "persistentvolumes") => {
            set_all(new, json!({"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"}));
            set_default(object(new, "status"), "phase", "Pending");
        }
        ("apps", "statefulsets") => stateful_set(new),
        ("apps", "deployments") => deployment(new),
        ("apps", "replicasets") => {
            set_all(new, json!({"replicas": 1}));
            template(new);
        }
        ("apps", "daemonsets") => {
            set_all(new, json!({"revisionHistoryLimit": 10}));
            template(new);
        }
        ("batch", "jobs") => job(new),
        ("batch", "cronjobs") => cron_job(new),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => binding(new),
        ("networking.k8s.io", "networkpolicies") => network_policy(new),
        ("scheduling.k8s.io", "priorityclasses") => {
            if let Some(members) = new.as_object_mut() {
                set_default(members, "preemptionPolicy", "PreemptLowerPriority");
            }
        }
        ("storage.k8s.io", "storageclasses") => {
            if let Some(members) = new.as_object_mut() {
                set_default(members, "reclaimPolicy", "Delete");
                set_default(members, "volumeBindingMode", "Immediate");
            }
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(new),
        _ => {}
    }
}

/// Says again of which quality of service a pod is, after its resources changed.
pub(crate) fn classify(pod: &mut Value) {
    object(pod, "status").remove("qosClass");
    pod::status(pod);
}

/// Sets defaults in `spec`.
fn set_all(new: &mut Value, defaults: Value) {
    let spec = object(new, "spec");
    if let Value::Object(defaults) = defaults {
        for (field, value) in defaults {
            set_default(spec, &field, value);
        }
    }
}

fn template(new: &mut Value) {
    let spec = object(new, "spec");
    if let Some(Value::Object(template)) = spec.get_mut("template") {
        if let Some(Value::Object(metadata)) = template.get_mut("metadata") {
            metadata.remove("creationTimestamp");
        }
        if let Some(Value::Object(spec)) = template.get_mut("spec") {
            pod::spec(spec);
        }
    }
}

fn stateful_set(new: &mut Value) {
    let defaults = json!({
        "replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    });
    set_all(new, defaults);
    let strategy = nested(object(new, "spec"), "updateStrategy");
    set_default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        set_default(nested(strategy, "rollingUpdate"), "partition", 0);
    }
    template(new);
    let claims = new.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    for one in claims.into_iter().flatten() {
        claim(one);
        one["apiVersion"] = json!("v1");
        one["kind"] = json!("PersistentVolumeClaim");
        set_default(object(one, "status"), "phase", "Pending");
    }
}

fn deployment(new: &mut Value) {
    set_all(new, json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}));
    let strategy = nested(object(new, "spec"), "strategy");
    set_default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = nested(strategy, "rollingUpdate");
        set_default(rolling, "maxSurge", "25%");
        set_default(rolling, "maxUnavailable", "25%");
    }
    template(new);
}

fn job(new: &mut Value) {
    job_spec(object(new, "spec"));
    let labels = new.pointer("/spec/template/metadata/labels").cloned();
    let unlabelled = entries(new.pointer("/metadata/labels")).next().is_none();
    if let Some(labels) = labels.filter(|_| unlabelled) {
        object(new, "metadata").insert("labels".to_owned(), labels);
    }
}

fn cron_job(new: &mut Value) {
    let defaults = json!({
        "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
    });
    set_all(new, defaults);
    let template = nested(nested(object(new, "spec"), "jobTemplate"), "spec");
    // The Job itself is completed when it is made.
    if let Some(Value::Object(pod)) = template.get_mut("template")
        && let Some(Value::Object(spec)) = pod.get_mut("spec")
    {
        pod::spec(spec);
    }
}

fn job_spec(spec: &mut Map<String, Value>) {
    let has = |spec: &Map<String, Value>, field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    if !has(spec, "completions") && !has(spec, "parallelism") {
        set_default(spec, "completions", 1);
    }
    let backoff_limit = if has(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    let replacement = if has(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    for (field, value) in [
        ("parallelism", json!(1)),
        ("backoffLimit", json!(backoff_limit)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!(replacement)),
        ("manualSelector", json!(false)),
    ] {
        set_default(spec, field, value);
    }
    if let Some(Value::Object(template)) = spec.get_mut("template")
        && let Some(Value::Object(spec)) = template.get_mut("spec")
    {
        pod::spec(spec);
    }
    let rules = spec.get_mut("podFailurePolicy").and_then(|policy| policy.get_mut("rules")?.as_array_mut());
    for rule in rules.into_iter().flatten() {
        let patterns = rule.get_mut("onPodConditions").and_then(Value::as_array_mut);
        for pattern in patterns.into_iter().flatten().filter_map(Value::as_object_mut) {
            if pattern.get("status").is_none_or(|status| status == "") {
                pattern.insert("status".to_owned(), json!("True"));
            }
        }
    }
}

fn binding(new: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    // The typed model gives a missing group as an empty one.
    if text(new, "/roleRef/apiGroup").is_empty() {
        object(new, "roleRef").insert("apiGroup".to_owned(), json!(GROUP));
    }
    let subjects = new.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if matches!(text(subject, "/kind"), "User" | "Group")
            && let Some(members) = subject.as_object_mut()
        {
            set_default(members, "apiGroup", GROUP);
        }
    }
}

fn service(new: &mut Value) {
    let external = text(new, "/spec/type") == "ExternalName";
    set_all(new, json!({"type": "ClusterIP", "sessionAffinity": "None"}));
    if !external {
        set_all(new, json!({"internalTrafficPolicy": "Cluster"}));
    }
    if is_reached_from_outside(&new["spec"]) {
        set_all(new, json!({"externalTrafficPolicy": "Cluster"}));
    }
    if text(new, "/spec/type") == "LoadBalancer" {
        set_all(new, json!({"allocateLoadBalancerNodePorts": true}));
    }
    session_affinity(object(new, "spec"));
    let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        set_default(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or(Value::Null);
        set_default(port, "targetPort", number);
    }
    set_default(object(new, "status"), "loadBalancer", json!({}));
}

/// Only a client that is remembered is remembered for a time.
fn session_affinity(spec: &mut Map<String, Value>) {
    const REMEMBERED_SECONDS: i64 = 10_800;
    if spec["sessionAffinity"] == "None" {
        spec.remove("sessionAffinityConfig");
    }
    if spec["sessionAffinity"] == "ClientIP" {
        let client = nested(nested(spec, "sessionAffinityConfig"), "clientIP");
        set_default(client, "timeoutSeconds", REMEMBERED_SECONDS);
    }
}

/// `stringData` is for writing only: it ends up in `data`.
fn secret(new: &mut Value) {
    use base64::Engine as _;
    let Some(members) = new.as_object_mut() else { return };
    set_default(members, "type", "Opaque");
    if let Some(Value::Object(plain)) = members.remove("stringData") {
        let data = nested(members, "data");
        for (name, value) in plain {
            let encoded =
                base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
            data.insert(name, json!(encoded));
        }
    }
}

fn network_policy(new: &mut Value) {
    let spec = object(new, "spec");
    let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    let directions = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    set_default(spec, "policyTypes", directions);
    for direction in ["ingress", "egress"] {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten();
        let ports = rules.filter_map(|rule| rule.get_mut("ports").and_then(Value::as_array_mut)).flatten();
        ports.filter_map(Value::as_object_mut).for_each(|port| set_default(port, "protocol", "TCP"));
    }
}

fn claim(new: &mut Value) {
    set_all(new, json!({"volumeMode": "Filesystem"}));
}

fn definition(new: &mut Value) {
    let kind = text(new, "/spec/names/kind").to_owned();
    let spec = object(new, "spec");
    set_default(spec, "conversion", json!({"strategy": "None"}));
    let names = nested(spec, "names");
    set_default(names, "singular", kind.to_lowercase());
    set_default(names, "listKind", format!("{kind}List"));
}

/// The object behind a member, made if it is missing.
pub(super) fn nested<'a>(parent: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let child = parent.entry(field).or_insert_with(|| json!({}));
    if !child.is_object() {
        *child = json!({});
    }
    child.as_object_mut().expect("it was just made an object")
}
