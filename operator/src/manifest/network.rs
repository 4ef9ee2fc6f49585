//! Who may reach the operator and whom it may reach, where the cluster's network enforces policies.

use super::Scope;
use super::install::selector;
use super::text::REASON;
use etcd_operator_core::names::{CLIENT_PORT, LABEL_CLUSTER, METRICS_PORT, TLS_PEER_PORT};
use serde_json::{Value, json};

pub(super) fn policy(scope: &Scope) -> Value {
    json!({
        "podSelector": { "matchLabels": selector() },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{ REASON: "Metrics and health, and nothing else, from wherever they are asked.", "ports": [tcp(8080)] }],
        "egress": [api_server(), names(), members(scope)],
    })
}

fn api_server() -> Value {
    json!({
        REASON: "The API server, on the ports that distributions put it on: most policies see the port behind the Service \
                 kubernetes. It is no pod, so no selector can name it.",
        "ports": [tcp(443), tcp(6443), tcp(8443), tcp(16443)],
    })
}

fn names() -> Value {
    let udp = |port: u16| json!({ "protocol": "UDP", "port": port });
    json!({
        REASON: "Names. 5353 is where OpenShift's name servers listen behind their Service.",
        "ports": [udp(53), tcp(53), udp(5353), tcp(5353)],
    })
}

fn members(scope: &Scope) -> Value {
    let pods = json!({ "matchExpressions": [{ "key": LABEL_CLUSTER, "operator": "Exists" }] });
    let mut peer = json!({ "podSelector": pods });
    match scope {
        Scope::Everywhere => peer["namespaceSelector"] = json!({}),
        Scope::Namespace(_) => {}
    }
    json!({
        REASON: "The members that it runs: etcd's client port, the port of health, metrics and the start gate, and the one on which members speak \
                 TLS with each other, to see whose certificates they show and accept.",
        "to": [peer],
        "ports": [tcp(CLIENT_PORT), tcp(METRICS_PORT), tcp(TLS_PEER_PORT)],
    })
}

fn tcp(port: u16) -> Value {
    json!({ "protocol": "TCP", "port": port })
}
