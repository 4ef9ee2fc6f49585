//! The Node object and its Lease: says that the node is there and ready, and how big it is.

use super::context::{NODE_NAME, NodeContext};
use super::field::Capacity;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// As often as a kubelet renews its Lease.
const PERIOD: Duration = Duration::from_secs(10);
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// Creates the Node object, ready.
pub(crate) async fn register(client: &Client, capacity: Capacity) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let node: Node = serde_json::from_value(node(capacity)).expect("the node is a valid Node");
    match nodes.create(&PostParams::default(), &node).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(error),
    }
    let status = Patch::Merge(json!({"status": status(capacity, Timestamp::now())}));
    nodes.patch_status(NODE_NAME, &PatchParams::default(), &status).await.map(drop)
}

/// Renews the Lease until it is aborted.
pub(crate) async fn run(node: Arc<NodeContext>) {
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        ticks.tick().await;
        if let Err(error) = renew(&node.client).await {
            tracing::warn!(%error, "failed to renew the node's Lease");
        }
    }
}

async fn renew(client: &Client) -> Result<(), kube::Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASE_NAMESPACE);
    let renewal = json!({"spec": {"renewTime": MicroTime(Timestamp::now())}});
    match leases.patch(NODE_NAME, &PatchParams::default(), &Patch::Merge(renewal)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => create(client).await,
        Err(error) => Err(error),
    }
}

async fn create(client: &Client) -> Result<(), kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces.get_opt(LEASE_NAMESPACE).await?.is_none() {
        let namespace = json!({"metadata": {"name": LEASE_NAMESPACE}});
        let namespace = serde_json::from_value(namespace).expect("a name makes a Namespace");
        namespaces.create(&PostParams::default(), &namespace).await?;
    }
    let nodes: Api<Node> = Api::all(client.clone());
    let node = nodes.get(NODE_NAME).await?;
    let lease = json!({
        "metadata": {"name": NODE_NAME, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME, "uid": node.uid().unwrap_or_default()}
        ]},
        "spec": {"holderIdentity": NODE_NAME, "leaseDurationSeconds": 40, "renewTime": MicroTime(Timestamp::now())}
    });
    let lease = serde_json::from_value(lease).expect("the lease is a valid Lease");
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASE_NAMESPACE);
    leases.create(&PostParams::default(), &lease).await.map(drop)
}

fn node(capacity: Capacity) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": {
            "kubernetes.io/hostname": NODE_NAME,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture(),
        }},
        "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"]},
        "status": status(capacity, Timestamp::now()),
    })
}

fn status(capacity: Capacity, now: Timestamp) -> Value {
    let resources = json!({
        "cpu": format!("{}m", capacity.milli_cpus),
        "memory": capacity.memory_bytes.to_string(),
        "pods": "1000",
    });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": Time(now), "lastTransitionTime": Time(now)})
    };
    json!({
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": crate::net::address::NODE.to_string()},
            {"type": "Hostname", "address": NODE_NAME},
        ],
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "architecture": architecture(), "operatingSystem": "linux", "kubeletVersion": "v1.34.0",
            "kubeProxyVersion": "", "containerRuntimeVersion": format!("sandbox://{}", env!("CARGO_PKG_VERSION")),
            "kernelVersion": kernel_version(), "osImage": "sandbox", "machineID": NODE_NAME, "systemUUID": NODE_NAME,
            "bootID": NODE_NAME,
        },
    })
}

/// Kubernetes uses Go's names.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn kernel_version() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
