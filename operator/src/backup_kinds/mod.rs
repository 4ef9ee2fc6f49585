//! What is done with the objects that stand for backups: an `EtcdBackup` ([`run`]), an `EtcdBackupSchedule` ([`schedule`]). The work itself
//! is done by Jobs, which run [`crate::backup`]; nothing here talks to a store.

pub mod run;
pub mod schedule;

use crate::clock::SharedClock;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::reconcile::ObserveError;
use crate::write::{KUBERNETES_CALL, WriteError, covered};
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// What the verbs of both kinds work with.
#[derive(Clone)]
pub struct Hands {
    /// For reads and writes.
    pub client: Client,
    /// Says when.
    pub clock: SharedClock,
    /// For how long this process may act.
    pub leadership: Leadership,
    /// Counts actions.
    pub metrics: Metrics,
    /// Where the program in the Jobs' pods comes from.
    pub operator_image: String,
}

impl Hands {
    /// Whether a write would end while the Lease is ours.
    fn may_write(&self) -> Result<(), WriteError> {
        covered(&self.leadership, KUBERNETES_CALL)
    }
}

/// Reads one object, live.
pub(crate) async fn get<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<K>, ObserveError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let what = || format!("{} {name}", K::kind(&()));
    api.get_opt(name).await.map_err(|source| ObserveError::Read { what: what(), source })
}

/// Reads all objects that bear some labels, live.
pub(crate) async fn list<K>(client: &Client, namespace: &str, labels: &str) -> Result<Vec<K>, ObserveError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let what = || format!("{} with the label {labels}", K::plural(&()));
    let found = api.list(&ListParams::default().labels(labels)).await;
    Ok(found.map_err(|source| ObserveError::Read { what: what(), source })?.items)
}
