//! A bare cluster of several nodes: members are spread over them, and each reaches the others.

use std::collections::BTreeSet;

use chaos::subject::etcd;
use serde_json::json;

use super::install::install;
use super::place::{PATIENCE, Place, apply, kubectl};
use crate::support::host::host;
use crate::support::wait_until;

#[test]
#[ignore = "needs containerd, runc and the builds of `ci/images bare`; `ci/test bare` runs it"]
fn an_etcd_cluster_is_spread_over_three_nodes_and_nothing_of_them_is_left() {
    let place = Place::new("nodes");
    let before = host();
    let kubeconfig = place.up_with(&["--nodes", "3"]);
    let condition = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    assert_eq!(kubectl(&kubeconfig, &["get", "nodes", "-o", condition]), "True True True");
    install(&kubeconfig);

    let cluster = json!({
        "apiVersion": etcd::API_VERSION, "kind": "EtcdCluster", "metadata": { "name": "spread" },
        "spec": { "size": 3, "version": "3.6.16", "storage": { "size": "1Gi" } },
    });
    let files = tempfile::tempdir().unwrap();
    wait_until("the resource type is served", PATIENCE, || {
        kubectl(&kubeconfig, &["api-resources", "--api-group=etcd.operators.rs", "-o", "name"])
            .contains("etcdclusters")
    });
    apply(&kubeconfig, files.path(), &cluster);
    kubectl(&kubeconfig, &["wait", "etcdcluster/spread", "--for=condition=Ready", "--timeout=180s"]);
    let label = format!("{}=spread", etcd::CLUSTER_LABEL);
    let nodes = ["get", "pods", "-l", &label, "-o", "jsonpath={.items[*].spec.nodeName}"];
    let nodes = kubectl(&kubeconfig, &nodes);
    assert_eq!(nodes.split(' ').count(), 3, "{nodes}");
    assert_eq!(
        nodes.split(' ').collect::<BTreeSet<_>>().len(),
        3,
        "each member has a node of its own: {nodes}"
    );

    place.down_without_a_trace();
    host().assert_is(&before);
}
