//! The rendered objects, as people read them, and their comparison with live ones.

use std::net::Ipv6Addr;
use std::path::Path;

use etcd_operator_core::api::{EtcdCluster, EtcdClusterSpec, StorageMedium};
use etcd_operator_core::cluster::desired::Desired;
use etcd_operator_core::cluster::render::{self, Rendering, compare};
use etcd_operator_core::cluster::target::{Target, fitting_quota_bytes};
use etcd_operator_core::cluster::world::{Origin, VolumeRequest};
use etcd_operator_core::etcd_options::EtcdOptions;
use etcd_operator_core::gate::{
    ClusterState, FORMAT, GateConfiguration, InitialCluster, InitialMember, ListenFamily,
};
use etcd_operator_core::names::{MemberName, Naming, Role, Scheme};
use k8s_openapi::api::apps::v1::StatefulSet;
use serde::Serialize;
use serde_json::{Value, json};

use super::check_golden;
use super::model::Model;

fn cluster() -> EtcdCluster {
    let spec: EtcdClusterSpec = serde_json::from_value(json!({
        "version": "3.6.16",
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1024Mi"}},
        "storage": {"size": "2Gi", "storageClassName": "fast"},
    }))
    .expect("a spec");
    Model::new(spec).cluster
}

fn member(desired: &Desired) -> MemberName {
    MemberName::parse(&desired.cluster, "demo-abcde").expect("a member's name")
}

fn target(desired: &Desired) -> Target {
    Target::of_spec(desired, desired.version, fitting_quota_bytes(&desired.storage_size.0, 0), None)
}

fn rendered(desired: &Desired) -> StatefulSet {
    rendered_in(desired, None)
}

fn rendered_in(desired: &Desired, memory: Option<&str>) -> StatefulSet {
    let target = target(desired);
    let operator_image = "etcd-operator:v0.1.0";
    let rendering = Rendering { cluster: &desired.cluster, target: &target, operator_image, memory };
    render::stateful_set(&rendering, &member(desired), Role::Voter)
}

fn golden(name: &str, value: &impl Serialize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render").join(name);
    let text = serde_json::to_string_pretty(value).expect("plain data") + "\n";
    check_golden(&path, &text);
}

#[test]
fn objects_are_rendered_as_in_their_goldens() {
    let desired = Desired::parse(&cluster()).expect("a valid spec");
    let (cluster, member) = (&desired.cluster, member(&desired));
    let origin = Origin::Added { token: "token".to_owned(), naming: cluster.naming };
    let volume = VolumeRequest {
        size: desired.storage_size.0.clone(),
        storage_class_name: desired.storage_class_name.clone(),
        access_mode: desired.access_mode,
        medium: desired.medium,
    };
    golden("stateful-set.json", &rendered(&desired));
    golden("claim.json", &render::claim(cluster, &member, &origin, &target(&desired), &volume));
    golden("peers-service.json", &render::peers_service(&desired.cluster, &desired.peer_service));
    golden("client-service.json", &render::client_service(&desired.cluster, &desired.service));
    golden("disruption-budget.json", &render::disruption_budget(cluster, 3));
    golden("disruption-budget-of-one.json", &render::disruption_budget(cluster, 1));
    let by_name = cluster.with_naming(Naming::ByName);
    golden("peers-service-by-name.json", &render::peers_service(&by_name, &desired.peer_service));
    golden("client-service-by-name.json", &render::client_service(&by_name, &desired.service));
}

#[test]
fn a_member_in_memory_is_a_stateful_set_with_the_members_record() {
    let mut cluster = cluster();
    cluster.spec.storage.storage_class_name = None;
    cluster.spec.storage.medium = StorageMedium::Memory;
    let desired = Desired::parse(&cluster).expect("a valid spec");
    let volume = VolumeRequest {
        size: desired.storage_size.0.clone(),
        storage_class_name: None,
        access_mode: desired.access_mode,
        medium: desired.medium,
    };
    let origin = Origin::Added { token: "token".to_owned(), naming: desired.cluster.naming };
    let bare = rendered_in(&desired, Some(volume.size.as_str()));
    let recorded = render::with_record(bare.clone(), &desired.cluster, &origin, &target(&desired), &volume);
    golden("stateful-set-in-memory.json", &recorded);
    assert_eq!(compare::difference(&recorded, &bare).fields, Vec::<String>::new(), "a record is no drift");
}

#[test]
fn etcd_is_configured_as_in_its_goldens() {
    let desired = Desired::parse(&cluster()).expect("a valid spec");
    let member = member(&desired);
    let ipv6 = vec![Ipv6Addr::LOCALHOST, Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)];
    let cases = [
        ("3.6.16", ClusterState::New, ListenFamily::DualStack, None),
        ("3.5.35", ClusterState::Existing, ListenFamily::Ipv4, Some(4 << 30)),
        ("3.7.3", ClusterState::Existing, ListenFamily::Ipv6(ipv6), None),
    ];
    for (version, state, listen, quota_backend_bytes) in cases {
        let gate = GateConfiguration {
            format: FORMAT,
            oldest_reader: FORMAT,
            cluster: desired.cluster.clone(),
            member: member.clone(),
            etcd_version: version.to_owned(),
            quota_backend_bytes,
            options: EtcdOptions::default(),
            tls: None,
        };
        let peer_url = desired.cluster.peer_url(Scheme::Http, &member);
        let members = vec![InitialMember { name: member.clone(), peer_url }];
        let initial = InitialCluster { state, token: "token".to_owned(), members };
        golden(&format!("etcd-{version}.json"), &render::etcd_configuration(&gate, &initial, &listen));
    }
}

/// What an API server makes of a StatefulSet when it is created.
fn with_server_defaults(rendered: &StatefulSet) -> Value {
    let mut live = serde_json::to_value(rendered).expect("plain data");
    let spec = &mut live["spec"];
    spec["revisionHistoryLimit"] = json!(10);
    spec["persistentVolumeClaimRetentionPolicy"] = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    spec["template"]["metadata"]["creationTimestamp"] = Value::Null;
    let pod = &mut spec["template"]["spec"];
    pod["restartPolicy"] = json!("Always");
    pod["dnsPolicy"] = json!("ClusterFirst");
    pod["schedulerName"] = json!("default-scheduler");
    pod["terminationGracePeriodSeconds"] = json!(30);
    for list in ["containers", "initContainers"] {
        pod[list][0]["terminationMessagePath"] = json!("/dev/termination-log");
    }
    pod["initContainers"][0]["terminationMessagePolicy"] = json!("File");
    pod["containers"][0]["resources"]["limits"]["memory"] = json!("1Gi");
    pod["containers"][0]["readinessProbe"]["successThreshold"] = json!(1);
    pod["containers"][0]["readinessProbe"]["httpGet"]["scheme"] = json!("HTTP");
    pod["volumes"][2]["downwardAPI"]["defaultMode"] = json!(420);
    for item in pod["volumes"][2]["downwardAPI"]["items"].as_array_mut().expect("items") {
        item["fieldRef"]["apiVersion"] = json!("v1");
    }
    live
}

#[test]
fn what_a_server_fills_in_is_no_difference() {
    let desired = Desired::parse(&cluster()).expect("a valid spec");
    let rendered = rendered(&desired);
    let live: StatefulSet = serde_json::from_value(with_server_defaults(&rendered)).expect("a StatefulSet");
    assert_eq!(compare::difference(&live, &rendered).fields, Vec::<String>::new());
    assert_eq!(compare::difference(&rendered, &rendered).fields, Vec::<String>::new());
}

#[test]
fn what_a_server_makes_of_further_containers_and_volumes_is_no_difference() {
    let pod = |variables: Value, hook: Value, probe: Value, sources: Value, size: &str| -> StatefulSet {
        let pod = json!({
            "containers": [{
                "name": "sidecar", "env": variables, "lifecycle": { "preStop": { "httpGet": hook } }, "livenessProbe": probe,
            }],
            "volumes": [
                { "name": "about", "projected": { "sources": sources } },
                { "name": "shared", "emptyDir": { "sizeLimit": size } },
            ],
        });
        let set = json!({ "metadata": {}, "spec": { "selector": {}, "template": { "spec": pod } } });
        serde_json::from_value(set).expect("a StatefulSet")
    };
    let written = pod(
        json!([{ "name": "A", "value": "" }, { "name": "B", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } }]),
        json!({ "port": 80 }),
        json!({ "grpc": { "port": 80 }, "initialDelaySeconds": 0 }),
        json!([{ "serviceAccountToken": { "path": "token" } }]),
        "1024Mi",
    );
    let live = pod(
        json!([{ "name": "A" }, { "name": "B", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu", "divisor": "0" } } }]),
        json!({ "port": 80, "path": "/", "scheme": "HTTP" }),
        json!({ "grpc": { "port": 80, "service": "" }, "periodSeconds": 10 }),
        json!([{ "serviceAccountToken": { "path": "token", "expirationSeconds": 3600 } }]),
        "1Gi",
    );
    assert_eq!(compare::difference(&live, &written).fields, Vec::<String>::new());
}

/// Changes one place of a live StatefulSet and returns where the difference is seen.
fn seen(pointer: &str, key: &str, value: Value) -> Vec<String> {
    let desired = Desired::parse(&cluster()).expect("a valid spec");
    let rendered = rendered(&desired);
    let mut live = with_server_defaults(&rendered);
    live.pointer_mut(pointer).expect("a place")[key] = value;
    compare::difference(&live, &rendered).fields
}

#[test]
fn every_kind_of_change_to_a_template_is_seen_where_it_is() {
    let pod = "/spec/template/spec";
    let etcd = "/spec/template/spec/containers/0";
    let variable = json!([{"name": "ETCD_NAME", "value": "x"}]);
    assert_eq!(seen(etcd, "env", variable), [format!("{etcd}/env")]);
    assert_eq!(seen(etcd, "image", json!("other:v1")), [format!("{etcd}/image")]);
    assert_eq!(
        seen(etcd, "livenessProbe", json!({"tcpSocket": {"port": 2379}})),
        [format!("{etcd}/livenessProbe")]
    );
    assert_eq!(seen(etcd, "args", json!([])), [format!("{etcd}/args")]);
    assert_eq!(seen(pod, "hostNetwork", json!(true)), [format!("{pod}/hostNetwork")]);
    assert_eq!(seen(pod, "nodeName", json!("node")), [format!("{pod}/nodeName")]);
    assert_eq!(
        seen(pod, "terminationGracePeriodSeconds", json!(0)),
        [format!("{pod}/terminationGracePeriodSeconds")]
    );
    assert_eq!(seen("/spec", "replicas", json!(0)), ["/spec/replicas"]);
    assert_eq!(
        seen("/spec", "updateStrategy", json!({"type": "RollingUpdate"})),
        ["/spec/updateStrategy/type"]
    );
    assert_eq!(seen("/metadata/labels", "extra", json!("x")), ["/metadata/labels/extra"]);
    assert_eq!(
        seen("/spec/template/metadata/labels", "extra", json!("x")),
        ["/spec/template/metadata/labels/extra"]
    );
}

#[test]
fn a_service_keeps_what_the_server_assigned() {
    let desired = Desired::parse(&cluster()).expect("a valid spec");
    let rendered = render::client_service(&desired.cluster, &desired.service);
    let mut live = serde_json::to_value(&rendered).expect("plain data");
    live["spec"]["clusterIP"] = json!("10.96.0.7");
    live["spec"]["clusterIPs"] = json!(["10.96.0.7"]);
    live["spec"]["ipFamilies"] = json!(["IPv4"]);
    live["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    live["spec"]["internalTrafficPolicy"] = json!("Cluster");
    live["spec"]["sessionAffinity"] = json!("None");
    assert_eq!(compare::difference(&live, &rendered).fields, Vec::<String>::new());
    live["spec"]["externalIPs"] = json!(["192.0.2.1"]);
    live["spec"]["type"] = json!("LoadBalancer");
    assert_eq!(compare::difference(&live, &rendered).fields, ["/spec/externalIPs", "/spec/type"]);
}
