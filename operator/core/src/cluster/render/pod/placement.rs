//! Where pods may and would rather run: the operator's own preference, and what the spec says beside it or instead. Never looks at a
//! node.

use k8s_openapi::api::core::v1::{
    Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cluster::target::Target;
use crate::names::{ClusterIdentity, LABEL_CLUSTER};

/// What the spec says; members prefer to be apart unless it says something of that itself.
pub(super) fn affinity(cluster: &ClusterIdentity, target: &Target) -> Affinity {
    let asked_for = target.pod.affinity.clone().unwrap_or_default();
    Affinity {
        pod_anti_affinity: Some(asked_for.pod_anti_affinity.unwrap_or_else(|| apart(cluster))),
        ..asked_for
    }
}

/// Prefers different nodes, then different zones. Only prefers: a cluster of three on one node is still a cluster.
fn apart(cluster: &ClusterIdentity) -> PodAntiAffinity {
    let apart = |topology_key: &str, weight| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            topology_key: topology_key.to_owned(),
            label_selector: Some(members(cluster)),
            ..PodAffinityTerm::default()
        },
    };
    PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![
            apart("kubernetes.io/hostname", 100),
            apart("topology.kubernetes.io/zone", 50),
        ]),
        ..PodAntiAffinity::default()
    }
}

fn members(cluster: &ClusterIdentity) -> LabelSelector {
    LabelSelector {
        match_labels: Some([(LABEL_CLUSTER.to_owned(), cluster.name.clone())].into()),
        ..LabelSelector::default()
    }
}

/// The spec's constraints. One without a selector would count no pod at all, so it counts the members.
pub(super) fn spread(cluster: &ClusterIdentity, target: &Target) -> Option<Vec<TopologySpreadConstraint>> {
    let constraints = target.pod.topology_spread_constraints.iter().map(|one| TopologySpreadConstraint {
        label_selector: Some(one.label_selector.clone().unwrap_or_else(|| members(cluster))),
        ..one.clone()
    });
    let constraints: Vec<TopologySpreadConstraint> = constraints.collect();
    (!constraints.is_empty()).then_some(constraints)
}
