//! How fast a cluster starts, and how fast a lost disk is replaced, beside what bounds it: a plain StatefulSet of the same etcd, whose
//! members know each other from the start, on the same Kubernetes in the same run. A measurement, run for its numbers:
//! `CHAOS_TEST_CLUSTER=bare cargo test --workspace --test it -- --ignored --nocapture how_fast --test-threads 1`.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;

use super::ground::Ground;
use super::subject::{Subject, is_ready, member_of};
use crate::promises::arena::PATIENCE;

/// Of each there are so many, in turn; the middle one counts.
const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement that wants the machine for itself; see the module's documentation"]
async fn how_fast_a_cluster_starts_and_heals_beside_a_plain_stateful_set() {
    let ground = Ground::open("speed").await;
    let (mut plain, mut ours, mut healed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        plain.push(start_plain(&ground, &format!("plain-{round}")).await);
        let (started, subject) = start_ours(&ground, &format!("ours-{round}")).await;
        ours.push(started);
        healed.push(lose_a_disk(&subject).await);
        subject.api().delete(&subject.name, &DeleteParams::default()).await.unwrap();
        until("the cluster's pods are gone", async || subject.pods().await.is_empty()).await;
    }
    let (plain, ours, healed) = (middle(plain), middle(ours), middle(healed));
    println!("\n| | seconds | beside the plain StatefulSet |\n|---|---|---|");
    println!("| plain StatefulSet: three ready pods | {:.2} | |", plain.as_secs_f64());
    let ratio = ours.as_secs_f64() / plain.as_secs_f64();
    println!("| EtcdCluster: three ready pods | {:.2} | {ratio:.2} × |", ours.as_secs_f64());
    println!("| a lost disk: three ready pods again, of which one is new | {:.2} | |", healed.as_secs_f64());
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Asks more often than others do: what is measured takes seconds.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn start_ours<'g>(ground: &'g Ground, name: &str) -> (Duration, Subject<'g>) {
    let began = Instant::now();
    let subject = Subject::create(ground, name, json!({})).await;
    until("three members serve", async || subject.ready_pods().await.len() == 3).await;
    let took = began.elapsed();
    subject.is_ready(3).await;
    (took, subject)
}

/// Claim and pod of a follower go, as when its node is lost for good.
async fn lose_a_disk(subject: &Subject<'_>) -> Duration {
    let leader = subject.picture().await.0.data["status"]["leader"].as_str().unwrap_or_default().to_owned();
    let pods = subject.ready_pods().await;
    let victim = pods
        .iter()
        .map(|pod| member_of(pod))
        .find(|member| *member != leader)
        .expect("a follower")
        .to_owned();
    let began = Instant::now();
    subject.lose_disk(&format!("{victim}-0")).await;
    until("three members serve again", async || {
        let ready = subject.ready_pods().await;
        ready.len() == 3 && ready.iter().all(|pod| member_of(pod) != victim)
    })
    .await;
    let took = began.elapsed();
    subject.is_ready(3).await;
    took
}

/// The pods of a plain StatefulSet.
pub(super) async fn plain_pods(ground: &Ground, name: &str) -> Vec<Pod> {
    let of_it = ListParams::default().labels(&format!("app={name}"));
    ground.api::<Pod>().list(&of_it).await.unwrap().items
}

/// A headless Service and a StatefulSet that starts all at once; returns when all three serve.
pub(super) async fn make_plain(ground: &Ground, name: &str) {
    ground.api::<Service>().create(&PostParams::default(), &plain_service(name)).await.unwrap();
    let stateful_set = plain_stateful_set(ground, name);
    ground.api::<StatefulSet>().create(&PostParams::default(), &stateful_set).await.unwrap();
    until("the plain members serve", async || {
        plain_pods(ground, name).await.iter().filter(|pod| is_ready(pod)).count() == 3
    })
    .await;
}

/// A plain StatefulSet, gone again afterwards.
async fn start_plain(ground: &Ground, name: &str) -> Duration {
    let began = Instant::now();
    make_plain(ground, name).await;
    let took = began.elapsed();
    let (services, stateful_sets) = (ground.api::<Service>(), ground.api::<StatefulSet>());
    services.delete(name, &DeleteParams::default()).await.unwrap();
    stateful_sets.delete(name, &DeleteParams::default()).await.unwrap();
    until("the plain members are gone", async || plain_pods(ground, name).await.is_empty()).await;
    for claim in ground.all::<PersistentVolumeClaim>().await {
        if claim.name_any().starts_with(&format!("data-{name}-")) {
            ground
                .api::<PersistentVolumeClaim>()
                .delete(&claim.name_any(), &DeleteParams::default())
                .await
                .unwrap();
        }
    }
    took
}

fn plain_service(name: &str) -> Service {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": {
            "clusterIP": "None", "publishNotReadyAddresses": true, "selector": { "app": name },
            "ports": [{ "name": "client", "port": 2379 }, { "name": "peer", "port": 2380 }],
        },
    }))
    .unwrap()
}

/// With the probes of an `EtcdCluster`'s pods, so that both are ready by the same rule.
fn plain_stateful_set(ground: &Ground, name: &str) -> StatefulSet {
    let host = |member: &str| format!("{member}.{name}.{}.svc", ground.namespace);
    let members: Vec<String> = (0..3)
        .map(|number| format!("{name}-{number}"))
        .map(|member| format!("{member}=http://{}:2380", host(&member)))
        .collect();
    let own = host("$(NAME)");
    serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": name },
        "spec": {
            "serviceName": name, "replicas": 3, "podManagementPolicy": "Parallel",
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "etcd", "image": "quay.io/coreos/etcd:v3.6.16",
                        "command": ["etcd"],
                        "args": [
                            "--name=$(NAME)", "--data-dir=/var/lib/etcd/data", format!("--initial-cluster={}", members.join(",")),
                            "--listen-client-urls=http://0.0.0.0:2379", format!("--advertise-client-urls=http://{own}:2379"),
                            "--listen-peer-urls=http://0.0.0.0:2380", format!("--initial-advertise-peer-urls=http://{own}:2380"),
                            "--listen-metrics-urls=http://0.0.0.0:2381",
                        ],
                        "env": [{ "name": "NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
                        "readinessProbe": { "httpGet": { "path": "/readyz", "port": 2381 }, "periodSeconds": 2, "timeoutSeconds": 2 },
                        "volumeMounts": [{ "name": "data", "mountPath": "/var/lib/etcd" }],
                    }],
                },
            },
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
            }],
        },
    }))
    .unwrap()
}
