//! The columns of the built-in resources. Pure; a table with one line for each column.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cell, Column, age as ages, pod, workload};
use crate::apiserver::json::{list, text};

type Compute = fn(&Value, Timestamp) -> Value;

pub(super) fn column(name: &str, kind: &str, priority: i64, compute: Compute) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: if name == "Name" { "name".to_owned() } else { String::new() },
        description: String::new(),
        priority,
        cell: Cell::Of(compute),
    }
}

/// A column that is always shown.
pub(super) fn text_column(name: &str, compute: Compute) -> Column {
    column(name, "string", 0, compute)
}

/// A column that `-o wide` adds.
pub(super) fn wide(name: &str, compute: Compute) -> Column {
    column(name, "string", 1, compute)
}

pub(super) fn number(name: &str, compute: Compute) -> Column {
    column(name, "integer", 0, compute)
}

/// The column of the object's name.
pub(super) fn name() -> Column {
    text_column("Name", |object, _| object["metadata"]["name"].clone())
}

/// The column of the object's age.
pub(super) fn age() -> Column {
    text_column("Age", ages::of)
}

/// The columns of a built-in resource, in order.
pub(super) fn built_in(group: &str, resource: &str) -> Vec<Column> {
    match (group, resource) {
        ("", "pods") => pods(),
        ("", "services") => services(),
        ("", "persistentvolumeclaims") => claims(),
        ("", "persistentvolumes") => volumes(),
        ("", "events") | ("events.k8s.io", "events") => events(),
        ("", "namespaces") => {
            vec![name(), text_column("Status", |object, _| object["status"]["phase"].clone()), age()]
        }
        ("", "nodes") => nodes(),
        ("", "configmaps") => vec![name(), text_column("Data", data_count), age()],
        ("", "secrets") => {
            vec![
                name(),
                text_column("Type", |object, _| object["type"].clone()),
                text_column("Data", data_count),
                age(),
            ]
        }
        ("", "serviceaccounts") => {
            vec![
                name(),
                text_column("Secrets", |object, _| json!(list(object.get("secrets")).count())),
                age(),
            ]
        }
        ("apps", "statefulsets") => stateful_sets(),
        ("apps", "deployments") => deployments(),
        ("apps", "replicasets") => replica_sets(),
        ("apps", "controllerrevisions") => revisions(),
        ("batch", "jobs") => super::batch::jobs(),
        ("batch", "cronjobs") => super::batch::cron_jobs(),
        ("policy", "poddisruptionbudgets") => budgets(),
        ("coordination.k8s.io", "leases") => {
            vec![
                name(),
                text_column("Holder", |object, _| json!(text(object, "/spec/holderIdentity"))),
                age(),
            ]
        }
        ("discovery.k8s.io", "endpointslices") => slices(),
        ("storage.k8s.io", "storageclasses") => classes(),
        ("apiextensions.k8s.io", "customresourcedefinitions")
        | ("rbac.authorization.k8s.io", "roles" | "clusterroles") => vec![name(), created_at()],
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => bindings(),
        ("networking.k8s.io", "networkpolicies") => vec![
            name(),
            text_column("Pod-Selector", |object, _| workload::selector(&object["spec"]["podSelector"])),
            age(),
        ],
        _ => vec![name(), age()],
    }
}

/// The moment itself instead of the age.
fn created_at() -> Column {
    column("Created At", "date", 0, |object, _| object["metadata"]["creationTimestamp"].clone())
}

fn bindings() -> Vec<Column> {
    vec![
        name(),
        text_column("Role", |object, _| {
            json!(format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")))
        }),
        age(),
        wide("Users", |object, _| subjects(object, "User")),
        wide("Groups", |object, _| subjects(object, "Group")),
        wide("ServiceAccounts", |object, _| subjects(object, "ServiceAccount")),
    ]
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let of_kind = list(binding.get("subjects")).filter(|subject| text(subject, "/kind") == kind);
    let shown = of_kind.map(|subject| match (kind, text(subject, "/namespace"), text(subject, "/name")) {
        ("ServiceAccount", namespace, name) => format!("{namespace}/{name}"),
        (_, _, name) => name.to_owned(),
    });
    json!(shown.collect::<Vec<_>>().join(", "))
}

fn pods() -> Vec<Column> {
    vec![
        name(),
        text_column("Ready", pod::ready),
        text_column("Status", pod::status),
        text_column("Restarts", pod::restarts),
        age(),
        wide("IP", |object, _| or_none(text(object, "/status/podIP"))),
        wide("Node", |object, _| or_none(text(object, "/spec/nodeName"))),
        wide("Nominated Node", |object, _| or_none(text(object, "/status/nominatedNodeName"))),
        wide("Readiness Gates", pod::gates),
    ]
}

fn services() -> Vec<Column> {
    vec![
        name(),
        text_column("Type", |object, _| object["spec"]["type"].clone()),
        text_column("Cluster-IP", |object, _| or_none(text(object, "/spec/clusterIP"))),
        text_column("External-IP", |object, _| or_none(text(object, "/spec/externalName"))),
        text_column("Port(s)", workload::service_ports),
        age(),
        wide("Selector", |object, _| workload::labels(&object["spec"]["selector"])),
    ]
}

fn claims() -> Vec<Column> {
    vec![
        name(),
        text_column("Status", |object, _| leaving_or(object, "/status/phase")),
        text_column("Volume", |object, _| json!(text(object, "/spec/volumeName"))),
        text_column("Capacity", |object, _| json!(text(object, "/status/capacity/storage"))),
        text_column("Access Modes", |object, _| workload::access_modes(&object["status"]["accessModes"])),
        text_column("StorageClass", |object, _| json!(text(object, "/spec/storageClassName"))),
        text_column("VolumeAttributesClass", |_, _| json!("<unset>")),
        age(),
        wide("VolumeMode", |object, _| json!(text(object, "/spec/volumeMode"))),
    ]
}

fn volumes() -> Vec<Column> {
    vec![
        name(),
        text_column("Capacity", |object, _| json!(text(object, "/spec/capacity/storage"))),
        text_column("Access Modes", |object, _| workload::access_modes(&object["spec"]["accessModes"])),
        text_column("Reclaim Policy", |object, _| json!(text(object, "/spec/persistentVolumeReclaimPolicy"))),
        text_column("Status", |object, _| leaving_or(object, "/status/phase")),
        text_column("Claim", |object, _| {
            let (namespace, name) =
                (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name"));
            json!(if name.is_empty() { String::new() } else { format!("{namespace}/{name}") })
        }),
        text_column("StorageClass", |object, _| json!(text(object, "/spec/storageClassName"))),
        text_column("VolumeAttributesClass", |_, _| json!("<unset>")),
        text_column("Reason", |object, _| json!(text(object, "/status/reason"))),
        age(),
        wide("VolumeMode", |object, _| json!(text(object, "/spec/volumeMode"))),
    ]
}

fn events() -> Vec<Column> {
    vec![
        text_column("Last Seen", |object, now| json!(ages::since(workload::last_seen(object), now))),
        text_column("Type", |object, _| object["type"].clone()),
        text_column("Reason", |object, _| object["reason"].clone()),
        text_column("Object", |object, _| workload::event_object(object)),
        wide("Subobject", |object, _| json!(workload::event_about(object, "fieldPath"))),
        wide("Source", |object, _| workload::event_source(object)),
        text_column("Message", |object, _| {
            let message = [text(object, "/message"), text(object, "/note")].concat();
            json!(message.trim())
        }),
        wide("First Seen", |object, now| json!(ages::since(workload::first_seen(object), now))),
        wide("Count", |object, _| json!(workload::event_count(object))),
        wide("Name", |object, _| object["metadata"]["name"].clone()),
    ]
}

fn nodes() -> Vec<Column> {
    vec![
        name(),
        text_column("Status", workload::node_status),
        text_column("Roles", |_, _| json!("<none>")),
        age(),
        text_column("Version", |object, _| json!(text(object, "/status/nodeInfo/kubeletVersion"))),
        wide("Internal-IP", |object, _| workload::node_address(object, "InternalIP")),
        wide("External-IP", |object, _| workload::node_address(object, "ExternalIP")),
        wide("OS-Image", |object, _| or_unknown(text(object, "/status/nodeInfo/osImage"))),
        wide("Kernel-Version", |object, _| or_unknown(text(object, "/status/nodeInfo/kernelVersion"))),
        wide("Container-Runtime", |object, _| {
            or_unknown(text(object, "/status/nodeInfo/containerRuntimeVersion"))
        }),
    ]
}

fn stateful_sets() -> Vec<Column> {
    vec![
        name(),
        text_column("Ready", |object, _| workload::ready_of_wanted(object)),
        age(),
        wide("Containers", |object, _| workload::of_containers(object, "name")),
        wide("Images", |object, _| workload::of_containers(object, "image")),
    ]
}

fn deployments() -> Vec<Column> {
    vec![
        name(),
        text_column("Ready", |object, _| workload::ready_of_wanted(object)),
        text_column("Up-to-date", |object, _| workload::count(object, "/status/updatedReplicas")),
        text_column("Available", |object, _| workload::count(object, "/status/availableReplicas")),
        age(),
        wide("Containers", |object, _| workload::of_containers(object, "name")),
        wide("Images", |object, _| workload::of_containers(object, "image")),
        wide("Selector", |object, _| workload::selector(&object["spec"]["selector"])),
    ]
}

fn replica_sets() -> Vec<Column> {
    vec![
        name(),
        number("Desired", |object, _| workload::count(object, "/spec/replicas")),
        number("Current", |object, _| workload::count(object, "/status/replicas")),
        number("Ready", |object, _| workload::count(object, "/status/readyReplicas")),
        age(),
        wide("Containers", |object, _| workload::of_containers(object, "name")),
        wide("Images", |object, _| workload::of_containers(object, "image")),
        wide("Selector", |object, _| workload::selector(&object["spec"]["selector"])),
    ]
}

fn revisions() -> Vec<Column> {
    vec![
        name(),
        text_column("Controller", |object, _| workload::controller(object)),
        text_column("Revision", |object, _| json!(object["revision"].as_i64().unwrap_or(0))),
        age(),
    ]
}

fn budgets() -> Vec<Column> {
    vec![
        name(),
        text_column("Min Available", |object, _| workload::int_or_percent(&object["spec"]["minAvailable"])),
        text_column("Max Unavailable", |object, _| {
            workload::int_or_percent(&object["spec"]["maxUnavailable"])
        }),
        number("Allowed Disruptions", |object, _| workload::count(object, "/status/disruptionsAllowed")),
        age(),
    ]
}

fn slices() -> Vec<Column> {
    vec![
        name(),
        text_column("AddressType", |object, _| object["addressType"].clone()),
        text_column("Ports", |object, _| {
            workload::few(list(object.get("ports")).map(|port| port["port"].to_string()))
        }),
        text_column("Endpoints", |object, _| {
            let addresses =
                list(object.get("endpoints")).flat_map(|endpoint| list(endpoint.get("addresses")));
            workload::few(addresses.filter_map(Value::as_str).map(str::to_owned))
        }),
        age(),
    ]
}

fn classes() -> Vec<Column> {
    vec![
        text_column("Name", |object, _| {
            let name = text(object, "/metadata/name");
            let is_default =
                text(object, "/metadata/annotations/storageclass.kubernetes.io~1is-default-class") == "true";
            json!(if is_default { format!("{name} (default)") } else { name.to_owned() })
        }),
        text_column("Provisioner", |object, _| object["provisioner"].clone()),
        text_column("ReclaimPolicy", |object, _| json!(text(object, "/reclaimPolicy"))),
        text_column("VolumeBindingMode", |object, _| json!(text(object, "/volumeBindingMode"))),
        text_column("AllowVolumeExpansion", |object, _| {
            json!(object["allowVolumeExpansion"].as_bool().unwrap_or(false).to_string())
        }),
        age(),
    ]
}

fn data_count(object: &Value, _now: Timestamp) -> Value {
    let fields = |name: &str| object[name].as_object().map_or(0, serde_json::Map::len);
    json!(fields("data") + fields("binaryData"))
}

fn leaving_or(object: &Value, pointer: &str) -> Value {
    let is_leaving = object["metadata"]["deletionTimestamp"].is_string();
    json!(if is_leaving { "Terminating" } else { text(object, pointer) })
}

fn or_none(value: &str) -> Value {
    json!(if value.is_empty() { "<none>" } else { value })
}

fn or_unknown(value: &str) -> Value {
    json!(if value.is_empty() { "<unknown>" } else { value })
}
