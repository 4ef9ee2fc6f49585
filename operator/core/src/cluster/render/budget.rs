//! The PodDisruptionBudget: evictions never take the quorum. Never looks at how many members are well.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{cluster_metadata, fingerprint};
use crate::names::{ANNOTATION_FINGERPRINT, ClusterIdentity, LABEL_ROLE, Role};
use crate::quorum::quorum;

/// The budget for a number of voters: the wanted ones, or the present ones while there are more.
///
/// `minAvailable` is their quorum, and a number: a percentage, or `maxUnavailable`, would shrink with the pods that are there, and
/// let a drain take one member after the other. A pod that is not ready may be evicted only while the others are a quorum:
/// readiness asks for a quorum, so when it is lost no pod is ready, and evictions would take what could bring it back.
///
/// A single member has no others to be available meanwhile. A budget of one would only keep its node from ever being drained.
pub fn disruption_budget(cluster: &ClusterIdentity, voters: usize) -> PodDisruptionBudget {
    let (minimum, unhealthy) = match voters {
        0 | 1 => (0, "AlwaysAllow"),
        _ => (quorum(voters), "IfHealthyBudget"),
    };
    let mut selector = cluster.selector();
    selector.insert(LABEL_ROLE.to_owned(), Role::Voter.as_str().to_owned());
    let spec = PodDisruptionBudgetSpec {
        min_available: Some(IntOrString::Int(
            i32::try_from(minimum).expect("voters are counted in single digits"),
        )),
        selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
        unhealthy_pod_eviction_policy: Some(unhealthy.to_owned()),
        ..PodDisruptionBudgetSpec::default()
    };
    let mut metadata = cluster_metadata(cluster, cluster.disruption_budget());
    metadata.annotations = Some([(ANNOTATION_FINGERPRINT.to_owned(), fingerprint(&spec))].into());
    PodDisruptionBudget { metadata, spec: Some(spec), status: None }
}
