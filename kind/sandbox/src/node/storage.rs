//! Removes the directory of a PersistentVolume once its object is gone.

use super::context::NodeContext;
use super::volume::handle_of;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use std::sync::Arc;

/// Watches until it is aborted.
pub(crate) async fn run(node: Arc<NodeContext>) {
    let volumes: Api<PersistentVolume> = Api::all(node.client.clone());
    let mut events = std::pin::pin!(watcher(volumes, watcher::Config::default()).default_backoff());
    loop {
        match events.try_next().await {
            Ok(Some(watcher::Event::Delete(volume))) => remove(&node, &volume),
            Ok(Some(
                watcher::Event::Apply(_)
                | watcher::Event::Init
                | watcher::Event::InitApply(_)
                | watcher::Event::InitDone,
            )) => {}
            Ok(None) => return,
            Err(error) => tracing::warn!(%error, "failed to watch volumes"),
        }
    }
}

fn remove(node: &NodeContext, volume: &PersistentVolume) {
    let retained = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref())
        == Some("Retain");
    let Some(handle) = handle_of(volume).filter(|_| !retained) else { return };
    if let Err(error) = node.volumes.doom(&handle) {
        tracing::warn!(handle, %error, "failed to remove a deleted volume's directory");
    }
}
