//! One StatefulSet of one replica for each member incarnation. It restarts the member while the operator is away, and
//! never more than that: it has no claim template, so it cannot make a blank volume.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::{Rendering, fingerprint, owner, pod};
use crate::names::{
    ANNOTATION_FINGERPRINT, ANNOTATION_TARGET, LABEL_CLUSTER, LABEL_MEMBER, MemberName, Role,
};

/// The StatefulSet of a member. With the strategy `OnDelete` a changed template reaches a pod in its own turn, when
/// the operator deletes it, and never because somebody touched the template.
pub fn stateful_set(rendering: &Rendering<'_>, member: &MemberName, role: Role) -> StatefulSet {
    let cluster = rendering.cluster;
    let selector: BTreeMap<String, String> =
        [(LABEL_CLUSTER.to_owned(), cluster.name.clone()), (LABEL_MEMBER.to_owned(), member.to_string())]
            .into();
    let spec = StatefulSetSpec {
        replicas: Some(1),
        service_name: Some(cluster.peers_service()),
        selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
        // A single pod has no order; `Parallel` spares it the rule that a broken revision blocks its own repair.
        pod_management_policy: Some("Parallel".to_owned()),
        update_strategy: Some(StatefulSetUpdateStrategy {
            type_: Some("OnDelete".to_owned()),
            ..StatefulSetUpdateStrategy::default()
        }),
        template: pod::template(rendering, member, role),
        ..StatefulSetSpec::default()
    };
    StatefulSet {
        metadata: ObjectMeta {
            name: Some(member.to_string()),
            namespace: Some(cluster.namespace.clone()),
            labels: Some(cluster.member_labels(member)),
            annotations: Some(
                [
                    (ANNOTATION_FINGERPRINT.to_owned(), fingerprint(&spec)),
                    (ANNOTATION_TARGET.to_owned(), rendering.target.digest()),
                ]
                .into(),
            ),
            owner_references: Some(vec![owner(cluster)]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}
