//! The PodDisruptionBudget: evictions never take the quorum. Never looks at how many members are well.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{cluster_metadata, fingerprint};
use crate::desired::Desired;
use crate::names::{ANNOTATION_FINGERPRINT, LABEL_CLUSTER, LABEL_ROLE, Role};
use crate::quorum::quorum;

/// The budget. `minAvailable` is the quorum of the wanted voters, or of the present ones while there are more, and a number: a percentage, or `maxUnavailable`,
/// would shrink with the pods that are there, and let a drain take one member after the other.
pub fn disruption_budget(desired: &Desired, voters: usize) -> PodDisruptionBudget {
    let minimum =
        i32::try_from(quorum(desired.size.max(voters))).expect("voters are counted in single digits");
    let selector: BTreeMap<String, String> = [
        (LABEL_CLUSTER.to_owned(), desired.cluster.name.clone()),
        (LABEL_ROLE.to_owned(), Role::Voter.as_str().to_owned()),
    ]
    .into();
    let spec = PodDisruptionBudgetSpec {
        min_available: Some(IntOrString::Int(minimum)),
        selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
        ..PodDisruptionBudgetSpec::default()
    };
    let mut metadata = cluster_metadata(&desired.cluster, desired.cluster.disruption_budget());
    metadata.annotations = Some([(ANNOTATION_FINGERPRINT.to_owned(), fingerprint(&spec))].into());
    PodDisruptionBudget { metadata, spec: Some(spec), status: None }
}
