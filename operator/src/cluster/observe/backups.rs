//! The EtcdBackups of a cluster, read only where its spec says something of backups. A read that fails is told and keeps nothing else
//! from being done.

use crate::telemetry::chain;
use etcd_operator_core::api::{EtcdBackup, EtcdCluster};
use etcd_operator_core::cluster::observed::Backups;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

/// Those that name this cluster.
pub(super) async fn of(client: &Client, cluster: &EtcdCluster) -> Backups {
    if cluster.spec.backup.is_none() {
        return Backups::NotAsked;
    }
    let name = cluster.name_any();
    let api: Api<EtcdBackup> = Api::namespaced(client.clone(), &cluster.namespace().unwrap_or_default());
    match api.list(&ListParams::default()).await {
        Ok(found) => Backups::Known(found.items.into_iter().filter(|one| one.spec.cluster == name).collect()),
        Err(error) => Backups::Unknown(chain(&error)),
    }
}
