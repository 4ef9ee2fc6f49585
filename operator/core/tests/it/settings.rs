//! What users may set: refused by the API server and by the operator alike, with the reason; and rendered as in goldens.

use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::desired::{Desired, EtcdVersion};
use etcd_operator_core::cluster::render::{self, Rendering, etcd_configuration};
use etcd_operator_core::cluster::target::{Target, fitting_quota_bytes};
use etcd_operator_core::etcd_options::{self, DANGEROUS, OPTIONS, RESERVED};
use etcd_operator_core::gate::{ClusterState, GateConfiguration, InitialCluster, ListenFamily};
use etcd_operator_core::names::{MemberName, Role};
use serde_json::{Value, json};

use super::check_golden;
use super::model::Model;

/// A cluster whose spec is the least there is, and this.
fn with(changes: &Value) -> EtcdCluster {
    let mut spec = json!({ "version": "3.6.16" });
    let fields = changes.as_object().expect("fields of a spec");
    for (field, value) in fields {
        spec[field] = value.clone();
    }
    Model::new(serde_json::from_value(spec).expect("a spec")).cluster
}

/// What the rules of the definition say of a cluster.
fn refused_by_the_api_server(cluster: &EtcdCluster) -> Option<String> {
    kube::core::cel::validate_cel(cluster).err().map(|errors| errors.to_string())
}

fn refused_by_the_operator(cluster: &EtcdCluster) -> Option<String> {
    Desired::parse(cluster).err().map(|invalid| invalid.to_string())
}

/// Both refuse it, and name this.
fn is_refused(changes: &Value, reason: &str) {
    let cluster = with(changes);
    for (who, said) in
        [("rules", refused_by_the_api_server(&cluster)), ("operator", refused_by_the_operator(&cluster))]
    {
        let said = said.unwrap_or_else(|| panic!("the {who} accepted {changes}"));
        assert!(said.contains(reason), "{who} said of {changes}: {said}");
    }
}

fn is_accepted(changes: &Value) {
    let cluster = with(changes);
    assert_eq!(refused_by_the_api_server(&cluster), None, "{changes}");
    assert_eq!(refused_by_the_operator(&cluster), None, "{changes}");
}

fn options(name: &str, value: &str) -> Value {
    json!({ "etcd": { "options": { name: value } } })
}

/// A value that an option takes.
fn fitting(takes: etcd_options::Takes) -> &'static str {
    match takes {
        etcd_options::Takes::Number => "7",
        etcd_options::Takes::Switch => "true",
        etcd_options::Takes::Duration => "1m30s",
        etcd_options::Takes::OneOf(words) => words[0],
        etcd_options::Takes::Origins => "https://example.com:443",
        etcd_options::Takes::Text => "text",
    }
}

#[test]
fn options_that_endanger_data_or_are_the_operators_are_refused_with_the_reason() {
    for (name, why) in DANGEROUS {
        is_refused(&options(name, "true"), why);
    }
    for name in RESERVED {
        is_refused(&options(name, "x"), &format!("{name} is set by the operator"));
    }
    for option in OPTIONS {
        if option.field.is_some() {
            is_refused(&options(option.name, fitting(option.takes)), "has a field of its own");
        }
        if let Some(old) = option.in_3_5.filter(|old| *old != option.name) {
            is_refused(&options(old, fitting(option.takes)), "is the name in etcd 3.5");
        }
    }
    is_refused(&options("no-such-option", "1"), "no-such-option is not an option");
}

#[test]
fn options_take_what_etcd_can_read_and_nothing_else() {
    for option in OPTIONS.iter().filter(|option| option.field.is_none()) {
        is_accepted(&options(option.name, fitting(option.takes)));
        if option.takes != etcd_options::Takes::Text {
            is_refused(&options(option.name, "neither"), option.name);
        }
    }
    for (value, takes) in [("1.5", "7"), ("-1", "7"), ("", "7"), ("0x10", "7")] {
        assert!(
            refused_by_the_operator(&with(&options("max-wals", value))).is_some(),
            "{value} is no {takes}"
        );
        assert!(
            refused_by_the_api_server(&with(&options("max-wals", value))).is_some(),
            "{value} is no {takes}"
        );
    }
    is_refused(&options("backend-batch-interval", "10"), "backend-batch-interval");
    is_accepted(&options("backend-batch-interval", "1h2m3s4ms"));
}

#[test]
fn what_a_version_does_not_know_is_refused_there() {
    let on = |version: &str, etcd: Value| json!({ "version": version, "etcd": etcd });
    let log_format = json!({ "options": { "log-format": "console" } });
    is_refused(&on("3.5.35", log_format.clone()), "log-format");
    is_accepted(&on("3.6.16", log_format));
    let priority = json!({ "featureGates": { "PriorityRequest": true } });
    is_refused(&on("3.6.16", priority.clone()), "PriorityRequest");
    is_refused(&on("3.5.35", priority.clone()), "PriorityRequest");
    is_accepted(&on("3.7.3", priority));
    is_refused(&on("3.7.3", json!({ "featureGates": { "CompactHashCheck": false } })), "CompactHashCheck");
    let persist = json!({ "featureGates": { "LeaseCheckpointPersist": true } });
    is_refused(&on("3.7.3", persist), "LeaseCheckpointPersist needs LeaseCheckpoint");
}

#[test]
fn etcds_own_fields_are_refused_where_etcd_would_refuse_them() {
    let etcd = |settings: Value| json!({ "etcd": settings });
    is_refused(&etcd(json!({ "electionTimeoutMilliseconds": 400 })), "electionTimeoutMilliseconds");
    is_refused(&etcd(json!({ "heartbeatIntervalMilliseconds": 201 })), "electionTimeoutMilliseconds");
    is_accepted(&etcd(json!({ "heartbeatIntervalMilliseconds": 300, "electionTimeoutMilliseconds": 1500 })));
    is_refused(&etcd(json!({ "autoCompactionMode": "revision" })), "autoCompactionRetention");
    let revisions = json!({ "autoCompactionMode": "revision", "autoCompactionRetention": "1h" });
    is_refused(&etcd(revisions), "autoCompactionRetention");
    is_refused(&etcd(json!({ "autoCompactionRetention": "soon" })), "autoCompactionRetention");
    is_accepted(&etcd(json!({ "autoCompactionRetention": "1h30m" })));
    is_accepted(&etcd(json!({ "autoCompactionRetention": "8" })));
    is_accepted(&etcd(json!({ "autoCompactionMode": "revision", "autoCompactionRetention": "1000" })));
    is_refused(&etcd(json!({ "quotaBackendBytes": "9Gi" })), "storage.size");
    is_accepted(&etcd(json!({ "quotaBackendBytes": "8Gi" })));
    is_refused(&etcd(json!({ "advertisedClientUrls": ["etcd.example.com"] })), "client URL");
    is_refused(&etcd(json!({ "advertisedClientUrls": ["http://a:1,http://b:1"] })), "client URL");
    is_accepted(&etcd(json!({ "advertisedClientUrls": ["https://{member}.etcd.example.com:2379"] })));
}

#[test]
fn pods_get_nothing_that_reaches_what_members_trust() {
    let pod = |settings: Value| json!({ "pod": settings });
    is_refused(&pod(json!({ "env": [{ "name": "ETCD_UNSAFE_NO_FSYNC", "value": "true" }] })), "ETCD_");
    is_refused(&pod(json!({ "labels": { "etcd.operators.rs/role": "voter" } })), "set by the operator");
    is_refused(&pod(json!({ "labels": { "app.kubernetes.io/name": "x" } })), "set by the operator");
    is_refused(&pod(json!({ "annotations": { "etcd.operators.rs/permit": "{}" } })), "set by the operator");
    is_refused(&pod(json!({ "volumes": [{ "name": "data", "emptyDir": {} }] })), "data");
    let claim = json!({ "name": "x", "persistentVolumeClaim": { "claimName": "data-demo-aaaaa" } });
    is_refused(&pod(json!({ "volumes": [claim] })), "claim");
    is_refused(&pod(json!({ "containers": [{ "name": "etcd", "image": "x" }] })), "etcd");
    for volume in ["data", "gate", "pod-info"] {
        let mount = json!({ "name": volume, "mountPath": "/x" });
        let container = json!({ "name": "x", "image": "x", "volumeMounts": [mount] });
        is_refused(&pod(json!({ "containers": [container] })), volume);
    }
    is_refused(&pod(json!({ "securityContext": { "runAsUser": 0 } })), "not run as root");
    is_refused(&pod(json!({ "securityContext": { "runAsNonRoot": false } })), "not run as root");
}

#[test]
fn what_cannot_go_with_data_in_memory_is_refused() {
    let memory = |storage: Value| {
        let mut spec = json!({ "storage": { "medium": "Memory" } });
        for (field, value) in storage.as_object().expect("fields") {
            spec["storage"][field] = value.clone();
        }
        spec
    };
    let with = |mut spec: Value, field: &str, value: Value| {
        spec[field] = value;
        spec
    };
    is_accepted(&memory(json!({ "size": "1Gi" })));
    is_refused(&memory(json!({ "storageClassName": "fast" })), "storageClassName");
    is_refused(&memory(json!({ "accessMode": "ReadWriteOncePod" })), "accessMode");
    is_refused(&with(memory(json!({})), "size", json!(1)), "all data");
    is_refused(&with(memory(json!({})), "suspend", json!(true)), "all data would be lost");
    is_accepted(&json!({ "size": 1, "storage": { "medium": "Disk", "storageClassName": "fast" } }));
}

#[test]
fn what_cannot_be_read_is_named_and_amounts_may_be_numbers() {
    let sidecar = json!({ "name": "sidecar", "image": "x", "resources": { "limits": { "cpu": 1 } } });
    is_accepted(&json!({ "pod": { "containers": [sidecar] } }));
    let cluster = with(&json!({ "pod": { "tolerations": [{ "tolerationSeconds": "soon" }] } }));
    let said = refused_by_the_operator(&cluster).expect("it cannot be read");
    assert!(said.contains("spec.pod.tolerations[0]"), "{said}");
}

/// As many settings as there are.
fn everything() -> EtcdCluster {
    let text = include_str!("../render/everything.yaml");
    let spec: Value = serde_saphyr::from_str(text).expect("a document");
    with(&spec["spec"])
}

#[test]
fn everything_that_can_be_set_is_accepted_and_rendered_as_in_its_goldens() {
    let cluster = everything();
    assert_eq!(refused_by_the_api_server(&cluster), None);
    let desired = Desired::parse(&cluster).expect("a valid spec");
    let quota = desired.etcd.quota_backend_bytes.or_else(|| fitting_quota_bytes(&desired.storage_size.0, 0));
    let target = Target::of_spec(&desired, desired.version, quota, None);
    let member = MemberName::parse(&desired.cluster, "demo-abcde").expect("a member's name");
    let rendering =
        Rendering { cluster: &desired.cluster, target: &target, operator_image: "operator:v1", memory: None };
    golden("settings-stateful-set.json", &render::stateful_set(&rendering, &member, Role::Voter));
    golden("settings-client-service.json", &render::client_service(&desired.cluster, &desired.service));
    golden("settings-peers-service.json", &render::peers_service(&desired.cluster, &desired.peer_service));
    assert_eq!(serde_json::from_str::<Target>(&target.to_annotation()).expect("a target"), target);
}

#[test]
fn each_minor_gets_the_options_by_its_own_names() {
    let desired = Desired::parse(&everything()).expect("a valid spec");
    for text in ["3.5.35", "3.6.16", "3.7.3"] {
        let version = EtcdVersion::parse(text).expect("a version");
        let target = Target::of_spec(&desired, version, Some(1 << 30), None);
        let member = MemberName::parse(&desired.cluster, "demo-abcde").expect("a member's name");
        let gate = GateConfiguration {
            format: etcd_operator_core::gate::FORMAT,
            oldest_reader: etcd_operator_core::gate::OLDEST_READER,
            cluster: desired.cluster.clone(),
            member,
            etcd_version: text.to_owned(),
            quota_backend_bytes: target.quota_backend_bytes,
            options: target.etcd,
            tls: None,
        };
        let initial =
            InitialCluster { state: ClusterState::Existing, token: "token".to_owned(), members: Vec::new() };
        let configuration = etcd_configuration(&gate, &initial, &ListenFamily::DualStack);
        golden(&format!("settings-etcd-{text}.json"), &configuration);
    }
}

fn golden(file: &str, rendered: &impl serde::Serialize) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render").join(file);
    let text = serde_json::to_string_pretty(rendered).expect("plain data") + "\n";
    check_golden(&path, &text);
}
