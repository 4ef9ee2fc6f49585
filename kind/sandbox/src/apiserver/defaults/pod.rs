//! Defaults of pods and of pod templates.
//!
//! Pure.

use serde_json::{Map, Value, json};

use super::nested;
use crate::apiserver::json::{list, object, set_default, text};
use crate::apiserver::quantity::Quantity;

type Members = Map<String, Value>;

fn each<'a>(parent: &'a mut Members, field: &str) -> impl Iterator<Item = &'a mut Members> {
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Fills in a pod's or a template's `spec`.
pub(super) fn spec(spec: &mut Members) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
    ] {
        set_default(spec, field, value);
    }
    // Less than no time is the shortest there is.
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".to_owned(), json!(1));
    }
    both_names_of_account(spec);
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, field).for_each(container);
    }
    each(spec, "volumes").for_each(volume);
}

/// The account has an old name and a new one, which are always the same.
fn both_names_of_account(spec: &mut Members) {
    let named = |spec: &Members, field: &str| {
        spec.get(field).and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    if let Some(name) = named(spec, "serviceAccountName").or_else(|| named(spec, "serviceAccount")) {
        spec.insert("serviceAccountName".to_owned(), json!(name));
        spec.insert("serviceAccount".to_owned(), json!(name));
    }
}

/// Fills in what pods have, and templates don't.
pub(super) fn of_pod_alone(spec: &mut Members) {
    for field in ["initContainers", "containers"] {
        each(spec, field).for_each(|one| requests(nested(one, "resources")));
    }
    whole_requests(spec);
    set_default(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork") != Some(&json!(true)) {
        return;
    }
    for field in ["containers", "initContainers"] {
        for port in each(spec, field).flat_map(|container| each(container, "ports")) {
            let number = port.get("containerPort").cloned().unwrap_or(json!(0));
            if port.get("hostPort").and_then(Value::as_i64).unwrap_or(0) == 0 {
                port.insert("hostPort".to_owned(), number);
            }
        }
    }
}

/// A pod that is limited as a whole asks for what its containers ask for, or else for its limit.
fn whole_requests(spec: &mut Members) {
    let limits = spec.get("resources").and_then(|resources| resources.get("limits")?.as_object()).cloned();
    let Some(limits) = limits.filter(|limits| !limits.is_empty()) else { return };
    let mut requests = Members::new();
    for name in ["cpu", "memory"] {
        let pointer = format!("/resources/requests/{name}");
        let asked = list(spec.get("containers")).filter_map(|one| Quantity::parse(text(one, &pointer)).ok());
        if let Some(sum) = asked.reduce(|sum, one| sum.plus(&one)) {
            requests.insert(name.to_owned(), json!(sum.text()));
        }
    }
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
    let own = nested(nested(spec, "resources"), "requests");
    for (name, amount) in requests {
        set_default(own, &name, amount);
    }
}

fn container(container: &mut Members) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if pulls_always(image) { "Always" } else { "IfNotPresent" };
    set_default(container, "imagePullPolicy", policy);
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", json!({}));
    each(container, "ports").for_each(|port| set_default(port, "protocol", "TCP"));
    for variable in each(container, "env") {
        let reference = variable.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef"));
        if let Some(Value::Object(reference)) = reference {
            set_default(reference, "apiVersion", "v1");
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(found)) = container.get_mut(field) {
            probe(found);
        }
    }
    if let Some(Value::Object(lifecycle)) = container.get_mut("lifecycle") {
        for handler in lifecycle.values_mut().filter_map(Value::as_object_mut) {
            http_get(handler);
        }
    }
}

/// A missing tag means `latest`, and `latest` is always pulled.
fn pulls_always(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    if name.contains('@') {
        return false;
    }
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// A limit without a request is the request.
fn requests(resources: &mut Members) {
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    let requests = nested(resources, "requests");
    for (name, limit) in limits {
        set_default(requests, &name, limit);
    }
}

fn probe(probe: &mut Members) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe.get(field).and_then(Value::as_i64).unwrap_or(0) == 0 {
            probe.insert(field.to_owned(), json!(value));
        }
    }
    http_get(probe);
    if let Some(Value::Object(grpc)) = probe.get_mut("grpc") {
        set_default(grpc, "service", "");
    }
}

fn http_get(handler: &mut Members) {
    if let Some(Value::Object(get)) = handler.get_mut("httpGet") {
        set_default(get, "path", "/");
        set_default(get, "scheme", "HTTP");
    }
}

fn volume(volume: &mut Members) {
    if volume.len() == 1 {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(Value::Object(found)) = volume.get_mut(source) {
            set_default(found, "defaultMode", 0o644);
        }
    }
    if let Some(Value::Object(downward)) = volume.get_mut("downwardAPI") {
        each(downward, "items").for_each(downward_item);
    }
    if let Some(Value::Object(projected)) = volume.get_mut("projected") {
        for source in each(projected, "sources") {
            if let Some(Value::Object(token)) = source.get_mut("serviceAccountToken") {
                set_default(token, "expirationSeconds", 3600);
            }
            if let Some(Value::Object(downward)) = source.get_mut("downwardAPI") {
                each(downward, "items").for_each(downward_item);
            }
        }
    }
}

fn downward_item(item: &mut Members) {
    if let Some(Value::Object(reference)) = item.get_mut("fieldRef") {
        set_default(reference, "apiVersion", "v1");
    }
}

/// Phase and quality-of-service class of a pod that has no status yet.
pub(super) fn status(pod: &mut Value) {
    let class = quality_of_service(pod);
    let status = object(pod, "status");
    set_default(status, "phase", "Pending");
    set_default(status, "qosClass", class);
}

fn quality_of_service(pod: &Value) -> &'static str {
    let containers: Vec<&Value> =
        list(pod.pointer("/spec/initContainers")).chain(list(pod.pointer("/spec/containers"))).collect();
    let has = |container: &Value, kind: &str, name: &str| {
        !text(container, &format!("/resources/{kind}/{name}")).is_empty()
    };
    let any = containers.iter().any(|one| {
        ["requests", "limits"].iter().any(|kind| ["cpu", "memory"].iter().any(|name| has(one, kind, name)))
    });
    let equal = |one: &Value, name: &str| {
        has(one, "limits", name) && one["resources"]["limits"][name] == one["resources"]["requests"][name]
    };
    match (any, containers.iter().all(|one| equal(one, "cpu") && equal(one, "memory"))) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
