//! Backups of the cluster under test, as its users have them: the volume that they are kept in, EtcdBackups, clusters that begin with one.
//! It judges none of them.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::etcd;

/// The claim of the volume that backups are kept in.
const CLAIM: &str = "backups";

fn resource() -> ApiResource {
    ApiResource { kind: "EtcdBackup".to_owned(), plural: "etcdbackups".to_owned(), ..etcd::resource() }
}

fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

/// Makes the volume that backups are kept in; what the cluster's spec says of it.
///
/// # Errors
/// If the API refuses it.
pub async fn prepare(client: &Client, namespace: &str) -> Result<Value> {
    let claim = json!({
        "metadata": { "name": CLAIM },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).context("failed to write a claim")?;
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &claim).await.context("failed to create the claim for backups")?;
    Ok(json!({ "store": { "volume": { "claimName": CLAIM } } }))
}

/// Asks for a backup.
///
/// # Errors
/// If the API refuses it.
pub async fn create(client: &Client, namespace: &str, cluster: &str) -> Result<DynamicObject> {
    let backup = named_by_the_server(&resource(), &format!("{cluster}-"), &json!({ "cluster": cluster }));
    api(client, namespace).create(&PostParams::default(), &backup).await.context("failed to ask for a backup")
}

/// A backup as it is now.
///
/// # Errors
/// If the API does not answer.
pub async fn read(client: &Client, namespace: &str, name: &str) -> Result<DynamicObject> {
    api(client, namespace).get(name).await.context("failed to read the EtcdBackup")
}

/// Creates a cluster beside the one under test.
///
/// # Errors
/// If the API refuses it.
pub async fn restore(client: &Client, namespace: &str, spec: &Value) -> Result<DynamicObject> {
    let cluster = named_by_the_server(&etcd::resource(), "restored-", spec);
    let created = etcd::api(client, namespace).create(&PostParams::default(), &cluster).await;
    created.context("failed to create a cluster from the backup")
}

/// An object whose name the API server makes up.
fn named_by_the_server(resource: &ApiResource, beginning: &str, spec: &Value) -> DynamicObject {
    let mut object = DynamicObject::new("", resource).data(json!({ "spec": spec }));
    object.metadata.name = None;
    object.metadata.generate_name = Some(beginning.to_owned());
    object
}
