//! The columns of built-in kinds, as `kubectl get` shows them on a real cluster.
//!
//! Pure.

use serde_json::{Value, json};

use super::Cell;
use crate::apiserver::cluster::Target;
use crate::apiserver::json::{entries, list, text};

type Row = (&'static str, i64, Cell);

fn f(name: &'static str, compute: fn(&Value) -> Value) -> Row {
    (name, 0, Cell::Function(compute))
}

fn wide(name: &'static str, compute: fn(&Value) -> Value) -> Row {
    (name, 1, Cell::Function(compute))
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn shown(object: &Value, pointer: &str) -> Value {
    let found = text(object, pointer);
    Value::from(if found.is_empty() { "<none>" } else { found })
}

/// The columns between NAME and AGE; those of lower priority follow AGE.
pub(super) fn columns(target: &Target) -> Vec<Row> {
    let id = &target.definition.id;
    match id.group.as_str() {
        "" => core(&id.resource),
        "apps" => apps(&id.resource),
        group => other(group, &id.resource),
    }
}

/// Pods, and what they are reached by.
fn core(resource: &str) -> Vec<Row> {
    match resource {
        "pods" => vec![
            f("Ready", |pod| {
                json!(format!("{}/{}", ready_containers(pod), list(pod.pointer("/spec/containers")).count()))
            }),
            f("Status", |pod| json!(pod_status(pod))),
            f("Restarts", |pod| json!(restarts(pod))),
            wide("IP", |pod| shown(pod, "/status/podIP")),
            wide("Node", |pod| shown(pod, "/spec/nodeName")),
        ],
        "services" => vec![
            f("Type", |service| shown(service, "/spec/type")),
            f("Cluster-IP", |service| shown(service, "/spec/clusterIP")),
            f("External-IP", |_| json!("<none>")),
            f("Port(s)", |service| json!(ports(service))),
        ],
        "events" => vec![
            (
                "Last Seen",
                0,
                Cell::Age(&["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"]),
            ),
            f("Type", |event| json!(text(event, "/type"))),
            f("Reason", |event| json!(text(event, "/reason"))),
            f("Object", |event| {
                let about = &event["involvedObject"];
                json!(format!("{}/{}", text(about, "/kind").to_lowercase(), text(about, "/name")))
            }),
            f("Message", |event| json!(text(event, "/message").trim())),
        ],
        other => core_objects(other),
    }
}

/// The rest of the core group.
fn core_objects(resource: &str) -> Vec<Row> {
    match resource {
        "persistentvolumeclaims" => vec![
            f("Status", claim_status),
            f("Volume", |claim| json!(text(claim, "/spec/volumeName"))),
            f("Capacity", |claim| json!(text(claim, "/status/capacity/storage"))),
            f("Access Modes", |claim| json!(access_modes(claim.pointer("/status/accessModes")))),
            f("StorageClass", |claim| json!(text(claim, "/spec/storageClassName"))),
        ],
        "persistentvolumes" => vec![
            f("Capacity", |volume| json!(text(volume, "/spec/capacity/storage"))),
            f("Access Modes", |volume| json!(access_modes(volume.pointer("/spec/accessModes")))),
            f("Reclaim Policy", |volume| json!(text(volume, "/spec/persistentVolumeReclaimPolicy"))),
            f("Status", claim_status),
            f("Claim", |volume| {
                let claim = &volume["spec"]["claimRef"];
                json!(format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")))
            }),
            f("StorageClass", |volume| json!(text(volume, "/spec/storageClassName"))),
        ],
        "namespaces" => vec![f("Status", |namespace| json!(text(namespace, "/status/phase")))],
        "nodes" => vec![
            f("Status", |node| json!(node_status(node))),
            f("Roles", |_| json!("<none>")),
            f("Version", |node| json!(text(node, "/status/nodeInfo/kubeletVersion"))),
        ],
        "configmaps" | "secrets" => {
            vec![f("Data", |object| json!(entries(object.get("data")).count().to_string()))]
        }
        _ => Vec::new(),
    }
}

/// Workloads.
fn apps(resource: &str) -> Vec<Row> {
    match resource {
        "statefulsets" => vec![
            f("Ready", |set| {
                json!(format!("{}/{}", number(set, "/status/readyReplicas"), number(set, "/spec/replicas")))
            }),
            wide("Containers", |set| json!(containers(set, "name"))),
            wide("Images", |set| json!(containers(set, "image"))),
        ],
        "deployments" => vec![
            f("Ready", |one| {
                json!(format!("{}/{}", number(one, "/status/readyReplicas"), number(one, "/spec/replicas")))
            }),
            f("Up-to-date", |one| json!(number(one, "/status/updatedReplicas").to_string())),
            f("Available", |one| json!(number(one, "/status/availableReplicas").to_string())),
            wide("Containers", |one| json!(containers(one, "name"))),
            wide("Images", |one| json!(containers(one, "image"))),
        ],
        "replicasets" => vec![
            f("Desired", |set| json!(number(set, "/spec/replicas").to_string())),
            f("Current", |set| json!(number(set, "/status/replicas").to_string())),
            f("Ready", |set| json!(number(set, "/status/readyReplicas").to_string())),
        ],
        _ => Vec::new(),
    }
}

/// Every other group.
fn other(group: &str, resource: &str) -> Vec<Row> {
    match (group, resource) {
        ("policy", "poddisruptionbudgets") => vec![
            f("Min Available", |budget| int_or_string(budget.pointer("/spec/minAvailable"))),
            f("Max Unavailable", |budget| int_or_string(budget.pointer("/spec/maxUnavailable"))),
            f("Allowed Disruptions", |budget| {
                json!(number(budget, "/status/disruptionsAllowed").to_string())
            }),
        ],
        ("coordination.k8s.io", "leases") => {
            vec![f("Holder", |lease| json!(text(lease, "/spec/holderIdentity")))]
        }
        ("storage.k8s.io", "storageclasses") => vec![
            f("Provisioner", |class| json!(text(class, "/provisioner"))),
            f("ReclaimPolicy", |class| json!(text(class, "/reclaimPolicy"))),
            f("VolumeBindingMode", |class| json!(text(class, "/volumeBindingMode"))),
        ],
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            vec![f("Created At", |crd| crd["metadata"]["creationTimestamp"].clone())]
        }
        ("discovery.k8s.io", "endpointslices") => vec![
            f("AddressType", |slice| json!(text(slice, "/addressType"))),
            f("Endpoints", |slice| {
                let addresses = list(slice.get("endpoints")).flat_map(|one| list(one.get("addresses")));
                json!(addresses.filter_map(Value::as_str).collect::<Vec<_>>().join(","))
            }),
        ],
        _ => Vec::new(),
    }
}

fn ready_containers(pod: &Value) -> usize {
    list(pod.pointer("/status/containerStatuses")).filter(|status| status["ready"] == true).count()
}

fn restarts(pod: &Value) -> String {
    let counts = list(pod.pointer("/status/containerStatuses")).map(|status| number(status, "/restartCount"));
    counts.sum::<i64>().to_string()
}

/// The phase, unless a container or the deletion has something more telling to say.
fn pod_status(pod: &Value) -> String {
    let mut status = text(pod, "/status/phase").to_owned();
    if !text(pod, "/status/reason").is_empty() {
        status = text(pod, "/status/reason").to_owned();
    }
    let specified = list(pod.pointer("/spec/initContainers")).count();
    for (index, container) in list(pod.pointer("/status/initContainerStatuses")).enumerate() {
        let state = &container["state"];
        if state.get("terminated").is_some_and(|ended| number(ended, "/exitCode") == 0) {
            continue;
        }
        let reason = [text(state, "/terminated/reason"), text(state, "/waiting/reason")].concat();
        let telling = !reason.is_empty() && reason != "PodInitializing";
        status = if telling { format!("Init:{reason}") } else { format!("Init:{index}/{specified}") };
        break;
    }
    if !status.starts_with("Init:") {
        for container in list(pod.pointer("/status/containerStatuses")) {
            let state = &container["state"];
            for reason in [text(state, "/waiting/reason"), text(state, "/terminated/reason")] {
                if !reason.is_empty() {
                    status = reason.to_owned();
                }
            }
        }
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some() { "Terminating".to_owned() } else { status }
}

fn claim_status(claim: &Value) -> Value {
    let deleting = claim.pointer("/metadata/deletionTimestamp").is_some();
    json!(if deleting { "Terminating" } else { text(claim, "/status/phase") })
}

fn node_status(node: &Value) -> &'static str {
    let mut conditions = list(node.pointer("/status/conditions"));
    let ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
    if ready { "Ready" } else { "NotReady" }
}

fn containers(workload: &Value, field: &str) -> String {
    let all = list(workload.pointer("/spec/template/spec/containers"));
    all.filter_map(|one| one.get(field)?.as_str()).collect::<Vec<_>>().join(",")
}

fn ports(service: &Value) -> String {
    let shown = |port: &Value| format!("{}/{}", number(port, "/port"), text(port, "/protocol"));
    let all: Vec<String> = list(service.pointer("/spec/ports")).map(shown).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
}

fn access_modes(modes: Option<&Value>) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        Some(_) | None => "?",
    };
    list(modes).map(short).collect::<Vec<_>>().join(",")
}

fn int_or_string(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => json!("N/A"),
        Some(Value::String(text)) => json!(text),
        Some(other) => json!(other.to_string()),
    }
}
