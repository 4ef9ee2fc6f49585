//! What a restore depends on: the backup that the spec names, and the Jobs that restore. Read only while a cluster that is to begin with a
//! backup has not formed.

use crate::backup_kinds::{get, list};
use crate::reconcile::ObserveError;
use etcd_operator_core::api::{EtcdBackup, EtcdCluster};
use etcd_operator_core::cluster::observed::Restoring;
use etcd_operator_core::names::LABEL_RESTORED;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};

/// All of it.
pub(super) async fn of(client: &Client, cluster: &EtcdCluster) -> Result<Restoring, ObserveError> {
    let restore = cluster.spec.bootstrap.as_ref().and_then(|bootstrap| bootstrap.restore.as_ref());
    let status = cluster.status.as_ref();
    let has_formed = status.is_some_and(|status| status.formed);
    let begun = status.and_then(|status| status.bootstrap.as_ref()?.restore.as_ref());
    // What an attempt has begun that the spec asks for no more is ended.
    if has_formed || (restore.is_none() && begun.is_none()) {
        return Ok(Restoring::default());
    }
    let namespace = cluster.namespace().unwrap_or_default();
    let labels = format!("{LABEL_RESTORED}={}", cluster.name_any());
    Ok(Restoring {
        // Jobs before their pods: when one is over its pods have said all that they are going to say.
        jobs: list::<Job>(client, &namespace, &labels).await?,
        pods: list::<Pod>(client, &namespace, &labels).await?,
        backup: match restore.and_then(|restore| restore.backup.as_ref()) {
            Some(name) => get::<EtcdBackup>(client, &namespace, name).await?,
            None => None,
        },
    })
}
