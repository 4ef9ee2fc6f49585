//! Whose an object is. A name is no identity: the same name may have been another object's before, and a user may have taken it.
//! An object is a cluster's if its owner, or what it records, names the cluster object's UID. Never decides what to do about it.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;

use super::{ClaimFacts, Keeper};
use crate::cluster::observed::WarnedKind;
use crate::names::{CLUSTER_UID, ClusterIdentity, MemberName};

/// Which objects are one cluster's own.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    /// UIDs of its StatefulSets.
    stateful_sets: BTreeSet<String>,
    /// Members whose claim records the cluster.
    claims: BTreeSet<MemberName>,
    /// Members whose StatefulSet is the cluster's.
    members: BTreeSet<MemberName>,
}

/// What an object's own metadata says of whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// This cluster's.
    Ours,
    /// Somebody else's.
    Others,
    /// Nothing.
    Silent,
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The owner counts before the label: nobody but the owner's deletion depends on a label.
fn word(cluster: &ClusterIdentity, metadata: &ObjectMeta) -> Word {
    match named_uid(metadata) {
        Some(uid) if uid == cluster.uid => Word::Ours,
        Some(_) => Word::Others,
        None => Word::Silent,
    }
}

/// The UID of what an object was made for, by its owner, or else by its label.
pub(super) fn named_uid(metadata: &ObjectMeta) -> Option<&str> {
    let labelled = || metadata.labels.as_ref()?.get(CLUSTER_UID).map(String::as_str);
    controller(metadata).map(|owner| owner.uid.as_str()).or_else(labelled)
}

/// Whether a Service or a budget was made for this cluster object.
pub fn is_own(cluster: &ClusterIdentity, metadata: &ObjectMeta) -> bool {
    word(cluster, metadata) == Word::Ours
}

impl Ownership {
    /// Reads it off StatefulSets and claims.
    pub fn read(
        cluster: &ClusterIdentity,
        stateful_sets: &[StatefulSet],
        claims: &[PersistentVolumeClaim],
    ) -> Ownership {
        let mut ownership = Ownership::default();
        for claim in claims {
            let member = MemberName::of_claim(cluster, &claim.name_any());
            ownership.claims.extend(member.filter(|_| ClaimFacts::read(Keeper::Claim(claim)).is_of(cluster)));
        }
        for live in stateful_sets {
            let Some(member) = MemberName::parse(cluster, &live.name_any()) else { continue };
            let is_own = match word(cluster, &live.metadata) {
                Word::Ours => true,
                Word::Others => false,
                Word::Silent => {
                    let record = ClaimFacts::read(Keeper::StatefulSet(live));
                    ownership.claims.contains(&member) || record.is_of(cluster)
                }
            };
            if is_own {
                ownership.stateful_sets.extend(live.uid());
                ownership.members.insert(member);
            }
        }
        ownership
    }

    /// Whether a StatefulSet is the cluster's.
    pub fn has_stateful_set(&self, live: &StatefulSet) -> bool {
        live.metadata.uid.as_ref().is_some_and(|uid| self.stateful_sets.contains(uid))
    }

    /// Whether a pod is the cluster's: its StatefulSet is, or, when that is gone, the pod or the member's claim says so.
    pub fn has_pod(&self, cluster: &ClusterIdentity, pod: &Pod) -> bool {
        let Some(member) = MemberName::of_pod(cluster, &pod.name_any()) else { return false };
        if controller(&pod.metadata).is_some_and(|owner| self.stateful_sets.contains(&owner.uid)) {
            return true;
        }
        // Another controller's pod is nobody's member, whatever it is called. That of a StatefulSet which is gone may be.
        let is_members = |owner: &OwnerReference| {
            owner.kind == WarnedKind::StatefulSet.as_str() && owner.name == member.as_str()
        };
        if controller(&pod.metadata).is_some_and(|owner| !is_members(owner)) {
            return false;
        }
        let labelled = pod.metadata.labels.as_ref().and_then(|labels| labels.get(CLUSTER_UID));
        match labelled {
            Some(uid) => *uid == cluster.uid,
            None => self.claims.contains(&member),
        }
    }

    /// Whether a claim is the cluster's: it records the cluster, or its member's StatefulSet is the cluster's. What a claim
    /// records may have been changed by anybody; who owns a StatefulSet is kept by the API server.
    pub fn has_claim(&self, cluster: &ClusterIdentity, claim: &PersistentVolumeClaim) -> bool {
        MemberName::of_claim(cluster, &claim.name_any())
            .is_some_and(|member| self.claims.contains(&member) || self.members.contains(&member))
    }
}
