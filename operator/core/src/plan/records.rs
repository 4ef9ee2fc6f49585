//! What is recorded on each claim: that the cluster formed, who the member is, what it runs. Put back when somebody
//! changed it. Never records what was not seen in this very observation.

use std::collections::BTreeMap;

use super::{Context, Flow, Hold, Kind, PatchPurpose, Plan, change};
use crate::names::{
    ANNOTATION_CLUSTER_UID, ANNOTATION_FORMED, ANNOTATION_MEMBER_ID, ANNOTATION_ORIGIN, ANNOTATION_VERSION,
};
use crate::observed::KnownMembers;
use crate::world::{Member, Origin};

/// Latches on the claim of every listed member that the cluster has formed.
pub(super) fn on_claims(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    for member in context.world.listed() {
        let (Some(claim), Some(facts)) = (member.live_claim(), &member.facts) else { continue };
        let proven = is_proven(list, member);
        if !facts.is_of(&context.world.cluster) && !proven {
            plan.hold(Hold::VolumeConflict {
                claim: member.name.claim(),
                message: "it bears the name of a member, but records another cluster object".to_owned(),
            });
            continue;
        }
        let annotations = claim.metadata.annotations.as_ref();
        let facts = change::differing(annotations, wanted(context, list, member, proven));
        let labels = change::differing(
            claim.metadata.labels.as_ref(),
            context.world.cluster.member_labels(&member.name),
        );
        if facts.is_empty() && labels.is_empty() {
            continue;
        }
        let operations =
            [change::annotate(&claim.metadata, &facts), change::label(&claim.metadata, &labels)].concat();
        // Empty sets add no operation unless the map is missing as a whole.
        let operations = operations.into_iter().filter(|operation| !is_empty_addition(operation)).collect();
        let was_changed = !labels.is_empty()
            || facts.keys().any(|key| annotations.is_some_and(|present| present.contains_key(key)));
        let entries = facts.iter().chain(&labels).map(|(key, value)| format!("{key}={value}")).collect();
        let purpose = if was_changed {
            PatchPurpose::Restore { fields: entries }
        } else {
            PatchPurpose::RecordFacts { facts: entries }
        };
        plan.act(change::patch(change::target(Kind::PersistentVolumeClaim, claim), operations, purpose));
    }
    Flow::Next
}

fn is_empty_addition(operation: &super::PatchOperation) -> bool {
    match operation {
        super::PatchOperation::Add { value, .. } => value.as_object().is_some_and(serde_json::Map::is_empty),
        super::PatchOperation::Test { .. } | super::PatchOperation::Remove { .. } => false,
    }
}

/// Whether etcd itself answers from this volume as this member of this cluster. The gate lets it start only on a disk
/// whose stamp says the same, so the answer stands for the stamp.
fn is_proven(list: &KnownMembers, member: &Member<'_>) -> bool {
    member
        .etcd()
        .is_some_and(|etcd| etcd.cluster_id == list.cluster_id && Some(etcd.member_id) == member.id())
}

fn wanted(
    context: &Context<'_>,
    list: &KnownMembers,
    member: &Member<'_>,
    proven: bool,
) -> BTreeMap<String, String> {
    let mut wanted: BTreeMap<String, String> = [
        (ANNOTATION_FORMED.to_owned(), list.cluster_id.to_string()),
        (ANNOTATION_VERSION.to_owned(), context.common.version.to_string()),
        (ANNOTATION_CLUSTER_UID.to_owned(), context.world.cluster.uid.clone()),
    ]
    .into();
    if let Some(id) = member.id().filter(|_| proven) {
        wanted.insert(ANNOTATION_MEMBER_ID.to_owned(), id.to_string());
    }
    if member.facts.as_ref().is_some_and(|facts| facts.origin.is_none()) {
        let origin = Origin::Added { token: context.world.token() };
        wanted.insert(ANNOTATION_ORIGIN.to_owned(), origin.to_annotation());
    }
    wanted
}
