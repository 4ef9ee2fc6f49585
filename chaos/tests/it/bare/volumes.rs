//! The default storage class of a bare cluster, and the host before and after.

use serde_json::{Value, json};

use super::place::{PATIENCE, Place, apply, kubectl};
use crate::support::host::host;
use crate::support::wait_until;

fn claim(size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
    })
}

/// A pod that does nothing but hold a volume, without any right.
fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "holder" },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "holder", "image": "etcd-chaos-pause:v1", "imagePullPolicy": "Never",
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        },
    })
}

#[test]
#[ignore = "needs containerd, runc and the builds of `ci/images bare`; `ci/test bare` runs it"]
fn a_bare_cluster_provides_grows_and_deletes_volumes_and_leaves_the_host_as_it_was() {
    let place = Place::new("volumes");
    let before = host();
    let kubeconfig = place.up();
    let files = tempfile::tempdir().unwrap();
    let status = place.run("status");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    assert!(kubectl(&kubeconfig, &["get", "nodes", "-o", "name"]).contains("node/node-1"));

    apply(&kubeconfig, files.path(), &claim("1Gi"));
    apply(&kubeconfig, files.path(), &pod());
    kubectl(&kubeconfig, &["wait", "pod/holder", "--for=condition=Ready", "--timeout=90s"]);
    let volume = kubectl(&kubeconfig, &["get", "pvc/data", "-o", "jsonpath={.spec.volumeName}"]);
    let directory = kubeconfig.parent().unwrap().join("volumes").join(&volume);
    assert!(directory.is_dir(), "{} is missing", directory.display());

    apply(&kubeconfig, files.path(), &claim("2Gi"));
    kubectl(
        &kubeconfig,
        &["wait", "pvc/data", "--for=jsonpath={.status.capacity.storage}=2Gi", "--timeout=90s"],
    );
    kubectl(&kubeconfig, &["delete", "pod/holder", "pvc/data", "--timeout=90s"]);
    kubectl(&kubeconfig, &["wait", &format!("pv/{volume}"), "--for=delete", "--timeout=90s"]);
    wait_until("the volume's directory to go", PATIENCE, || !directory.exists());

    place.down_without_a_trace();
    host().assert_is(&before);
}
