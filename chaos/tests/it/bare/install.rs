//! The operator on real Kubernetes, as its users install it: one file, `kubectl apply`, `kubectl delete`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::place::{PATIENCE, Place, kubectl};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../operator/deploy/install.yaml");
/// What the operator registers itself, and leaves to the objects of its users.
const DEFINITIONS: [&str; 3] = [
    "customresourcedefinition.apiextensions.k8s.io/etcdclusters.etcd.operators.rs",
    "customresourcedefinition.apiextensions.k8s.io/etcdbackups.etcd.operators.rs",
    "customresourcedefinition.apiextensions.k8s.io/etcdbackupschedules.etcd.operators.rs",
];

/// Applies the manifest and waits for both replicas.
pub(super) fn install(kubeconfig: &Path) {
    kubectl(kubeconfig, &["apply", "-f", MANIFEST]);
    let deployment = ["-n", "etcd-operator-system", "rollout", "status", "deployment/etcd-operator"];
    kubectl(kubeconfig, &[&deployment[..], &["--timeout=120s"]].concat());
}

/// Every object of the cluster but those that come and go by themselves.
fn objects(kubeconfig: &Path) -> BTreeSet<String> {
    let kinds = kubectl(kubeconfig, &["api-resources", "--verbs=list,delete", "-o", "name"]);
    let lasting =
        |kind: &&str| !matches!(*kind, "events" | "events.events.k8s.io" | "leases.coordination.k8s.io");
    let kinds: Vec<&str> = kinds.lines().filter(lasting).collect();
    let place = "{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{\"\\n\"}{end}";
    let output = format!("jsonpath={place}");
    let all = kubectl(kubeconfig, &["get", &kinds.join(","), "--all-namespaces", "-o", &output]);
    all.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs containerd, runc and the builds of `ci/images bare`; `ci/test bare` runs it"]
fn one_file_installs_two_replicas_on_real_kubernetes_and_deleting_it_leaves_only_the_resource_types() {
    let place = Place::new("install");
    let kubeconfig = place.up();
    let before = objects(&kubeconfig);
    install(&kubeconfig);
    let ready = [
        "-n",
        "etcd-operator-system",
        "get",
        "deployment/etcd-operator",
        "-o",
        "jsonpath={.status.readyReplicas}",
    ];
    assert_eq!(kubectl(&kubeconfig, &ready), "2");
    let holder =
        ["-n", "etcd-operator-system", "get", "lease", "-o", "jsonpath={.items[*].spec.holderIdentity}"];
    assert_ne!(kubectl(&kubeconfig, &holder), "", "one of them leads");
    for definition in DEFINITIONS {
        kubectl(&kubeconfig, &["wait", "--for=create", definition, "--timeout=60s"]);
        kubectl(&kubeconfig, &["wait", definition, "--for=condition=Established", "--timeout=60s"]);
    }

    kubectl(&kubeconfig, &["delete", "-f", MANIFEST, "--timeout=120s"]);
    kubectl(&kubeconfig, &[&["delete"][..], &DEFINITIONS, &["--timeout=60s"]].concat());
    // What belonged to a deleted object is collected a moment later.
    let start = Instant::now();
    let differing = || objects(&kubeconfig).symmetric_difference(&before).cloned().collect::<Vec<_>>();
    while !differing().is_empty() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(differing(), Vec::<String>::new(), "these are left, or have gone too");
    place.down_without_a_trace();
}
