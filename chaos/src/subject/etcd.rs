//! The cluster under test as an `EtcdCluster`: created, read, changed. Reads status as plain JSON, so that the harness
//! sees what a user sees and not what the operator's own types make of it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

use crate::scenario::Encryption;

/// The group and version that the harness speaks.
pub const API_VERSION: &str = "etcd.operators.rs/v1beta1";
/// The kind of the cluster under test.
pub const KIND: &str = "EtcdCluster";
/// On every object of a cluster's members.
pub const CLUSTER_LABEL: &str = "etcd.operators.rs/cluster";
/// On every object of one member; its value is the member's name.
pub const MEMBER_LABEL: &str = "etcd.operators.rs/member";
/// etcd's ports, as the operator's members use them.
pub const CLIENT_PORT: u16 = 2379;
/// The port that members reach each other on in plain text.
const PEER_PORT: u16 = 2380;
/// The port that they reach each other on by TLS.
pub const TLS_PEER_PORT: u16 = 2382;
/// The container that runs etcd in a member's pod.
pub const CONTAINER: &str = "etcd";

/// Where `EtcdCluster` objects live in the API.
#[must_use]
pub fn resource() -> ApiResource {
    ApiResource {
        group: "etcd.operators.rs".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        plural: "etcdclusters".to_owned(),
    }
}

/// The clusters of one namespace.
#[must_use]
pub fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

/// Creates the cluster under test.
pub async fn create(client: &Client, namespace: &str, name: &str, spec: &Value) -> Result<DynamicObject> {
    let object = DynamicObject::new(name, &resource()).within(namespace).data(json!({ "spec": spec }));
    let created = api(client, namespace).create(&PostParams::default(), &object).await;
    created.with_context(|| format!("failed to create the EtcdCluster {namespace}/{name}"))
}

/// The cluster as it is now.
pub async fn read(client: &Client, namespace: &str, name: &str) -> Result<DynamicObject> {
    api(client, namespace).get(name).await.context("failed to read the EtcdCluster")
}

/// Which version of its spec this is, as the API server counts them.
pub fn generation(cluster: &DynamicObject) -> Result<i64> {
    cluster.metadata.generation.context("the EtcdCluster has no generation")
}

/// Changes the number of members that the cluster shall have.
pub async fn resize(client: &Client, namespace: &str, name: &str, size: u32) -> Result<DynamicObject> {
    merge(client, namespace, name, json!({ "spec": { "size": size } })).await
}

/// Changes the spec by a merge patch. It travels as it is, so that fields go through that no type of ours knows.
pub async fn change(
    client: &Client,
    namespace: &str,
    name: &str,
    spec: &Map<String, Value>,
) -> Result<DynamicObject> {
    merge(client, namespace, name, json!({ "spec": spec })).await
}

/// Sets an annotation, by which the operator is asked for something.
pub async fn annotate(
    client: &Client,
    namespace: &str,
    name: &str,
    annotation: &str,
    value: &str,
) -> Result<DynamicObject> {
    merge(client, namespace, name, json!({ "metadata": { "annotations": { annotation: value } } })).await
}

async fn merge(client: &Client, namespace: &str, name: &str, patch: Value) -> Result<DynamicObject> {
    let patched = api(client, namespace).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.with_context(|| format!("failed to change {namespace}/{name} by {patch}"))
}

/// Changes what the members' containers ask for by so little that no node can tell, and so that each of them must restart.
pub async fn declare_restart(client: &Client, namespace: &str, name: &str) -> Result<DynamicObject> {
    let before = read(client, namespace, name).await?;
    let cpu = before.data.pointer("/spec/resources/requests/cpu").and_then(Value::as_str);
    let other = if cpu == Some("11m") { "12m" } else { "11m" };
    merge(client, namespace, name, json!({ "spec": { "resources": { "requests": { "cpu": other } } } })).await
}

/// The headless Service of a cluster, as its members' pods name it: the harness does not form names after the operator.
pub async fn peers_service(client: &Client, namespace: &str, name: &str) -> Result<String> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let own = ListParams::default().labels(&format!("{CLUSTER_LABEL}={name}"));
    let list =
        pods.list(&own).await.with_context(|| format!("failed to list the pods of {namespace}/{name}"))?;
    let named = list.items.into_iter().find_map(|pod| pod.spec?.subdomain);
    named.with_context(|| format!("no pod of {namespace}/{name} names a Service"))
}

/// A port of a member that listens all the time, to tell whether it can be reached: that of its peers, unless they move to another one.
#[must_use]
pub fn steady_port(encryption: Encryption) -> u16 {
    match encryption {
        Encryption::Never => PEER_PORT,
        Encryption::Always => TLS_PEER_PORT,
        Encryption::Switched => CLIENT_PORT,
    }
}

/// The Secret with which clients speak TLS with a cluster, as the operator names it.
#[must_use]
pub fn client_secret(cluster: &str) -> String {
    format!("{cluster}-client-tls")
}

/// The Secret with a member's certificates, as the operator names it.
#[must_use]
pub fn member_secret(member: &str) -> String {
    format!("{member}-tls")
}

/// The Secret with the authority that signs what members show to clients, and what clients show.
#[must_use]
pub fn client_authority(cluster: &str) -> String {
    format!("{cluster}-client-ca")
}

/// The Secret with the authority that signs what members show to each other.
#[must_use]
pub fn peer_authority(cluster: &str) -> String {
    format!("{cluster}-peer-ca")
}

/// The name of the volume claim that a member uses, as the operator names it.
#[must_use]
pub fn claim_of(member: &str) -> String {
    format!("data-{member}")
}

/// Whether the status carries the condition with the value `True` for the present generation.
#[must_use]
pub fn condition_is_true(cluster: &DynamicObject, kind: &str) -> bool {
    let conditions = cluster.data.pointer("/status/conditions").and_then(Value::as_array);
    let generation = cluster.metadata.generation;
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == kind
            && condition["status"] == "True"
            && (condition["observedGeneration"].is_null()
                || condition["observedGeneration"].as_i64() >= generation)
    })
}

/// The status conditions in one line, for progress and messages.
#[must_use]
pub fn describe_conditions(cluster: &DynamicObject) -> String {
    let conditions = cluster.data.pointer("/status/conditions").and_then(Value::as_array);
    let described = conditions.into_iter().flatten().map(|condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or("?").to_owned();
        format!("{}={} ({}: {})", text("type"), text("status"), text("reason"), text("message"))
    });
    let described: Vec<String> = described.collect();
    if described.is_empty() { "no conditions yet".to_owned() } else { described.join("; ") }
}

/// Whether the cluster is ready and why not, in a few words for a live line.
#[must_use]
pub fn describe_ready(cluster: &DynamicObject) -> String {
    let conditions = cluster.data.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let reason = ready.and_then(|ready| ready["reason"].as_str());
    reason.unwrap_or("the operator has not looked at it yet").to_owned()
}
