//! Tests of how a container's variables come about.

use super::*;
use serde_json::json;

fn variables(container: serde_json::Value, sources: &Sources) -> Result<BTreeMap<String, String>, String> {
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}})).unwrap();
    let container: Container = serde_json::from_value(container).unwrap();
    let services: Vec<Service> = serde_json::from_value(json!([
        {"metadata": {"name": "kubernetes"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}},
        {"metadata": {"name": "headless"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
    ]))
    .unwrap();
    environment(&Inputs {
        pod: &pod,
        container: &container,
        placement: &Placement {
            node: "n".into(),
            host_address: "1.1.1.1".into(),
            pod_address: "2.2.2.2".into(),
        },
        capacity: Capacity { milli_cpus: 2000, memory_bytes: 1 << 30 },
        image: &BTreeMap::from([("FROM_IMAGE".into(), "1".into())]),
        services: &services,
        sources,
    })
}

#[test]
fn a_variable_may_refer_to_those_before_it_and_a_dollar_is_escaped_by_a_dollar() {
    let container = json!({"name": "c", "env": [
        {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$$(A)$"}, {"name": "C", "value": "3"}
    ]});
    assert_eq!(variables(container, &Sources::default()).unwrap()["B"], "1$(C)$(A)$");
}

#[test]
fn a_missing_config_map_is_named_unless_it_is_optional() {
    let reference = |optional: bool| {
        json!({"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef":
            {"name": "settings", "key": "a", "optional": optional}}}]})
    };
    assert_eq!(
        variables(reference(false), &Sources::default()).unwrap_err(),
        "configmap \"settings\" not found"
    );
    assert!(!variables(reference(true), &Sources::default()).unwrap().contains_key("A"));
}

#[test]
fn services_with_an_address_are_announced_and_headless_ones_are_not() {
    let variables = variables(json!({"name": "c"}), &Sources::default()).unwrap();
    assert_eq!(variables["KUBERNETES_SERVICE_HOST"], "10.96.0.1");
    assert_eq!(variables["KUBERNETES_SERVICE_PORT_HTTPS"], "443");
    assert_eq!(variables["KUBERNETES_PORT_443_TCP_ADDR"], "10.96.0.1");
    assert!(!variables.keys().any(|name| name.starts_with("HEADLESS")));
}

#[test]
fn the_pods_address_is_known_to_its_containers() {
    let container = json!({"name": "c", "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]});
    assert_eq!(variables(container, &Sources::default()).unwrap()["IP"], "2.2.2.2");
}

#[test]
fn arguments_alone_extend_the_entry_point_and_a_command_replaces_it() {
    let entrypoint = ["/etcd".to_owned()];
    let names = BTreeMap::from([("A".to_owned(), "x".to_owned())]);
    let line = |container| command_line(&serde_json::from_value(container).unwrap(), &entrypoint, &names);
    assert_eq!(line(json!({"name": "c", "args": ["$(A)"]})), ["/etcd", "x"]);
    assert_eq!(line(json!({"name": "c", "command": ["/other"]})), ["/other"]);
}
