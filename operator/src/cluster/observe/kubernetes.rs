//! The live objects of one cluster: those that bear its label, and by name those that may have lost it. Quorum reads
//! only (no resourceVersion), because a stale list can show a volume that is gone or hide one that is there.

use crate::reconcile::ObserveError;
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::observed::{MemberList, required_by_name};
use etcd_operator_core::names::{ClusterIdentity, LABEL_CLUSTER, MemberName};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// All objects of a cluster.
#[derive(Debug, Default)]
pub struct Objects {
    /// StatefulSets.
    pub stateful_sets: Vec<StatefulSet>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// PersistentVolumeClaims.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Services.
    pub services: Vec<Service>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
}

/// The objects that bear the cluster's label. Children are read before their parents' absence could mislead: claims
/// first, then pods, then the rest.
pub(super) async fn list(client: &Client, cluster: &ClusterIdentity) -> Result<Objects, ObserveError> {
    Ok(Objects {
        claims: labelled(client, cluster).await?,
        pods: labelled(client, cluster).await?,
        stateful_sets: labelled(client, cluster).await?,
        services: labelled(client, cluster).await?,
        disruption_budgets: labelled(client, cluster).await?,
    })
}

/// Adds objects that must exist by name and did not come by label.
pub(super) async fn complete(
    client: &Client,
    cluster: &ClusterIdentity,
    names: &BTreeSet<MemberName>,
    objects: &mut Objects,
) -> Result<(), ObserveError> {
    let required = required_by_name(cluster, names);
    add_missing(client, cluster, &required.claims, &mut objects.claims).await?;
    add_missing(client, cluster, &required.pods, &mut objects.pods).await?;
    add_missing(client, cluster, &required.stateful_sets, &mut objects.stateful_sets).await?;
    add_missing(client, cluster, &required.services, &mut objects.services).await?;
    add_missing(client, cluster, &required.disruption_budgets, &mut objects.disruption_budgets).await
}

/// Every member name that anything speaks of: objects, status and etcd itself.
pub(super) fn known_names(
    identity: &ClusterIdentity,
    cluster: &EtcdCluster,
    objects: &Objects,
    list: &MemberList,
) -> BTreeSet<MemberName> {
    let mut names = BTreeSet::new();
    names.extend(objects.claims.iter().filter_map(|o| MemberName::of_claim(identity, &o.name_any())));
    names.extend(objects.pods.iter().filter_map(|o| MemberName::of_pod(identity, &o.name_any())));
    names.extend(objects.stateful_sets.iter().filter_map(|o| MemberName::parse(identity, &o.name_any())));
    let status = cluster.status.iter();
    let recorded = status.clone().flat_map(|status| status.members.iter().map(|member| &member.name));
    let first = status.flat_map(|status| status.bootstrap.iter().flat_map(|record| &record.members));
    names.extend(recorded.chain(first).filter_map(|name| MemberName::parse(identity, name)));
    if let MemberList::Known(known) = list {
        let urls = known.members.iter().flat_map(|member| &member.peer_urls);
        names.extend(urls.filter_map(|url| identity.member_of_peer_url(url)).map(|(name, _)| name));
    }
    names
}

async fn labelled<K>(client: &Client, cluster: &ClusterIdentity) -> Result<Vec<K>, ObserveError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), &cluster.namespace);
    let parameters = ListParams::default().labels(&format!("{LABEL_CLUSTER}={}", cluster.name));
    let list = api
        .list(&parameters)
        .await
        .map_err(|source| ObserveError::Read { what: format!("the cluster's {}", K::plural(&())), source })?;
    Ok(list.items)
}

async fn add_missing<K>(
    client: &Client,
    cluster: &ClusterIdentity,
    required: &BTreeSet<String>,
    found: &mut Vec<K>,
) -> Result<(), ObserveError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let present: BTreeSet<String> = found.iter().map(ResourceExt::name_any).collect();
    let api: Api<K> = Api::namespaced(client.clone(), &cluster.namespace);
    let lookups = required.difference(&present).map(|name| {
        let api = &api;
        async move {
            api.get_opt(name)
                .await
                .map_err(|source| ObserveError::Read { what: format!("{} {name}", K::kind(&())), source })
        }
    });
    found.extend(try_join_all(lookups).await?.into_iter().flatten());
    Ok(())
}
