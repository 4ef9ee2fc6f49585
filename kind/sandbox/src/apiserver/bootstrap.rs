//! What every cluster has from the start: its namespaces, the default roles and the Service `kubernetes`.
//!
//! Pure.

use std::net::SocketAddrV4;

use serde_json::{Value, json};

use super::authorize::defaults;
use super::cluster::{Cluster, Inputs, Target};
use super::write::{WriteOptions, create};

const RBAC: &str = "rbac.authorization.k8s.io";
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Fills an empty cluster.
pub(crate) fn fill(cluster: &mut Cluster, inputs: &mut Inputs<'_>, advertise: Option<SocketAddrV4>) {
    for namespace in NAMESPACES {
        put(cluster, inputs, ("", "namespaces"), json!({"metadata": {"name": namespace}}));
    }
    for (name, rules) in defaults::cluster_roles() {
        put(
            cluster,
            inputs,
            (RBAC, "clusterroles"),
            json!({"metadata": role_metadata(name), "rules": rules}),
        );
    }
    for (name, groups) in defaults::cluster_role_bindings() {
        let subject = |group| json!({"apiGroup": RBAC, "kind": "Group", "name": group});
        let binding = json!({
            "metadata": role_metadata(name),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": groups.into_iter().map(subject).collect::<Vec<Value>>(),
        });
        put(cluster, inputs, (RBAC, "clusterrolebindings"), binding);
    }
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": labels},
        "spec": {
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": advertise.map_or(443, |at| at.port())}],
        },
    });
    put(cluster, inputs, ("", "services"), service);
    if let Some(at) = advertise {
        let slice = json!({
            "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [at.ip().to_string()], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": at.port(), "protocol": "TCP"}],
        });
        put(cluster, inputs, ("discovery.k8s.io", "endpointslices"), slice);
    }
}

fn role_metadata(name: &str) -> Value {
    json!({
        "name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}

fn put(cluster: &mut Cluster, inputs: &mut Inputs<'_>, of: (&str, &str), object: Value) {
    let target = cluster.own_target(of.0, of.1);
    let namespace = target.definition.namespaced.then(|| "default".to_owned());
    let target = Target { namespace, ..target };
    let made = create(cluster, inputs, &target, object, &WriteOptions::own());
    made.expect("the cluster's own objects are valid");
}
