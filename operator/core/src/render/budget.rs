//! The PodDisruptionBudget: evictions never take the quorum. Never looks at how many members there are.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::cluster_metadata;
use crate::desired::Desired;
use crate::names::{LABEL_CLUSTER, LABEL_ROLE, Role};
use crate::quorum::quorum;

/// The budget. `minAvailable` is the quorum of the *wanted* voters and a number: a percentage, or `maxUnavailable`,
/// would shrink with the pods that are there, and let a drain take one member after the other.
pub fn disruption_budget(desired: &Desired) -> PodDisruptionBudget {
    let minimum = i32::try_from(quorum(desired.size)).expect("a size has one digit");
    let selector: BTreeMap<String, String> = [
        (LABEL_CLUSTER.to_owned(), desired.cluster.name.clone()),
        (LABEL_ROLE.to_owned(), Role::Voter.as_str().to_owned()),
    ]
    .into();
    PodDisruptionBudget {
        metadata: cluster_metadata(&desired.cluster, desired.cluster.disruption_budget()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(minimum)),
            selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
