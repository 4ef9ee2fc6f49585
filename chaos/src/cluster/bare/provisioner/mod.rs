//! Storage of a cluster: a directory below the cluster's own for every claim of the class `standard`. It provisions, grows
//! and deletes, as the external provisioner and resizer of a storage driver do. Sizes are written down, not enforced.
//!
//! The directories are the same on every node, so a pod finds its volume wherever it runs, as with a network disk.

mod execute;
mod plan;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client};

/// The name by which the storage class finds us.
pub(super) const PROVISIONER: &str = "bare.etcd-chaos";

/// What failed is tried again after this time, if nothing changes before.
const RETRY: Duration = Duration::from_secs(1);

/// Provisions until the future is dropped.
pub(super) async fn run(client: Client, directory: PathBuf) -> Result<()> {
    let (claims, writer) = reflector::store::<PersistentVolumeClaim>();
    let claim_events = watcher(Api::all(client.clone()), watcher::Config::default());
    let claim_events = reflector(writer, claim_events).default_backoff().map(drop).boxed();
    let (volumes, writer) = reflector::store::<PersistentVolume>();
    let volume_events = watcher(Api::all(client.clone()), watcher::Config::default());
    let volume_events = reflector(writer, volume_events).default_backoff().map(drop).boxed();
    let mut events = futures::stream::select(claim_events, volume_events);
    loop {
        if let Ok(None) = tokio::time::timeout(RETRY, events.next()).await {
            bail!("the watches of claims and volumes ended");
        }
        for step in plan::plan(&claims.state(), &volumes.state()) {
            if let Err(error) = execute::carry_out(&client, &directory, &step).await {
                tracing::warn!("{:#}", error.context(format!("storage: {step}")));
            }
        }
    }
}
