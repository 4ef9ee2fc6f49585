//! Every setting of the members' pods at once: the cluster forms with them, and what an API server fills in is nobody's change.

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::at_rest::{A_WHILE, comes_to_rest};
use super::ground::{Afterwards, Ground};
use super::subject::Subject;

/// etcd's own image, for a container beside: every cluster of the tests has it.
const IMAGE: &str = "quay.io/coreos/etcd:v3.6.16";

/// Another etcd, which nobody asks anything, on ports of its own and on the volume that the spec adds.
fn sidecar() -> Value {
    let command = [
        "/usr/local/bin/etcd",
        "--data-dir=/shared/etcd",
        "--listen-client-urls=http://127.0.0.1:12379",
        "--advertise-client-urls=http://127.0.0.1:12379",
        "--listen-peer-urls=http://127.0.0.1:12380",
        "--initial-advertise-peer-urls=http://127.0.0.1:12380",
        "--initial-cluster=default=http://127.0.0.1:12380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ];
    json!({
        "name": "sidecar", "image": IMAGE, "command": command,
        "ports": [{ "name": "aside", "containerPort": 12379 }],
        "env": [
            { "name": "POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "MEMORY", "valueFrom": { "resourceFieldRef": { "resource": "limits.memory" } } },
            { "name": "EMPTY", "value": "" },
        ],
        "resources": { "limits": { "cpu": "1000m", "memory": "0.25Gi" }, "requests": { "cpu": "0.05" } },
        "volumeMounts": [
            { "name": "shared", "mountPath": "/shared" }, { "name": "about", "mountPath": "/about", "readOnly": true },
        ],
        "livenessProbe": { "exec": { "command": ["/usr/local/bin/etcdctl", "version"] }, "periodSeconds": 30, "timeoutSeconds": 20 },
        "lifecycle": { "preStop": { "httpGet": { "port": 12379 } } },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    })
}

/// Each in a form that is not the one that API servers give back, where there is one.
fn volumes() -> Value {
    json!([
        { "name": "shared", "emptyDir": { "sizeLimit": "1024Mi" } },
        { "name": "about", "projected": { "sources": [
            { "downwardAPI": { "items": [
                { "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } },
                { "path": "cpu", "resourceFieldRef": { "containerName": "etcd", "resource": "limits.cpu" } },
            ] } },
            { "serviceAccountToken": { "path": "token", "audience": "etcd" } },
            { "configMap": { "name": "not-there", "optional": true } },
        ] } },
        { "name": "scratch", "emptyDir": {} },
    ])
}

fn placement() -> Value {
    json!({
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
            { "weight": 5, "preference": { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["fast"] }] } },
        ] } },
        "tolerations": [
            { "key": "dedicated", "value": "etcd", "effect": "NoSchedule" },
            { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60 },
        ],
        "topologySpreadConstraints": [
            { "maxSkew": 3, "topologyKey": "kubernetes.io/os", "whenUnsatisfiable": "DoNotSchedule" },
            { "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway" },
        ],
    })
}

/// The whole spec.
fn spec(priority_class: &str) -> Value {
    let mut pod = json!({
        "labels": { "team": "storage" },
        "annotations": { "example.com/scrape": "true", "example.com/empty": "" },
        "priorityClassName": priority_class,
        "securityContext": { "fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroups": [3000] },
        "serviceAccountName": "members",
        "env": [
            { "name": "GOMEMLIMIT", "valueFrom": { "resourceFieldRef": { "resource": "limits.memory" } } },
            { "name": "GOGC", "value": "80" },
            { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
        ],
        "volumes": volumes(),
        "containers": [sidecar()],
        "terminationGracePeriodSeconds": 12,
    });
    json_patch::merge(&mut pod, &placement());
    json!({
        "image": { "pullPolicy": "IfNotPresent", "pullSecrets": [{ "name": "not-there" }, { "name": "nor-this" }] },
        "resources": { "requests": { "cpu": "0.05", "memory": "0.125Gi" }, "limits": { "memory": "1024Mi" } },
        "pod": pod,
    })
}

/// What a spec may name must be there.
async fn make_what_is_named(ground: &Ground, class: &str) -> Afterwards {
    let classes = Api::<PriorityClass>::all(ground.client.clone());
    let object = json!({ "metadata": { "name": class }, "value": 1000, "globalDefault": false });
    let afterwards = ground.afterwards(&["delete", "priorityclass", class, "--wait=false"]);
    classes.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let account = json!({ "metadata": { "name": "members" } });
    let accounts = ground.api::<ServiceAccount>();
    accounts.create(&PostParams::default(), &serde_json::from_value(account).unwrap()).await.unwrap();
    afterwards
}

fn has_all(pod: &Pod, class: &str) -> Result<(), String> {
    let shown = serde_json::to_value(pod).unwrap();
    for (pointer, wanted) in [
        ("/metadata/labels/team", json!("storage")),
        ("/metadata/annotations/example.com~1scrape", json!("true")),
        ("/spec/nodeSelector/kubernetes.io~1os", json!("linux")),
        ("/spec/priorityClassName", json!(class)),
        ("/spec/priority", json!(1000)),
        ("/spec/securityContext/fsGroup", json!(2000)),
        ("/spec/serviceAccountName", json!("members")),
        ("/spec/terminationGracePeriodSeconds", json!(12)),
        ("/spec/imagePullSecrets/0/name", json!("not-there")),
        ("/spec/topologySpreadConstraints/0/maxSkew", json!(3)),
    ] {
        let found = shown.pointer(pointer).unwrap_or(&Value::Null);
        super::observing::ensure(*found == wanted, || format!("{pointer} is {found}, not {wanted}"))?;
    }
    let names: Vec<&str> =
        pod.spec.iter().flat_map(|spec| &spec.containers).map(|one| one.name.as_str()).collect();
    super::observing::ensure(names == ["etcd", "sidecar"], || format!("{names:?}"))
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn a_cluster_with_every_setting_of_its_pods_forms_and_comes_to_rest() {
    let ground = Ground::open("settings").await;
    let class = format!("settings-{}", std::process::id());
    let _afterwards = make_what_is_named(&ground, &class).await;
    let demo = Subject::create(&ground, "demo", spec(&class)).await;
    demo.is_ready(3).await;
    demo.put("key", "value").await;
    for pod in demo.pods().await {
        has_all(&pod, &class).unwrap();
    }
    comes_to_rest(&demo, A_WHILE).await;
    assert_eq!(demo.events("DriftRepaired").await, [], "nobody changed anything");
    demo.every_member_has(3, "key", "value").await;
}

#[test_log::test(tokio::test(flavor = "multi_thread", worker_threads = 2))]
#[ignore = "longer than ci/test may take; see the module's documentation"]
async fn settings_that_are_taken_away_again_leave_the_pods_as_they_were_and_the_cluster_at_rest() {
    let ground = Ground::open("settings-back").await;
    let class = format!("settings-back-{}", std::process::id());
    let _afterwards = make_what_is_named(&ground, &class).await;
    let demo = Subject::create(&ground, "demo", json!({ "size": 1 })).await;
    demo.is_ready(1).await;
    let before = demo.pods().await.remove(0);
    demo.change(spec(&class)).await.unwrap();
    demo.is_ready(1).await;
    has_all(&demo.pods().await[0], &class).unwrap();
    demo.change(json!({ "pod": null, "image": null, "resources": null })).await.unwrap();
    demo.is_ready(1).await;
    let after = demo.pods().await.remove(0);
    assert_eq!(shape(&after), shape(&before));
    comes_to_rest(&demo, A_WHILE).await;
    assert_eq!(demo.events("DriftRepaired").await, [], "nobody changed anything");
}

/// What the template says of a pod.
fn shape(pod: &Pod) -> Value {
    let mut shown = serde_json::to_value(&pod.spec).unwrap();
    // The scheduler's and the disk's.
    shown.as_object_mut().unwrap().remove("nodeName");
    json!({ "labels": pod.metadata.labels, "spec": shown })
}
