//! What is recorded of each member, on its claim or its StatefulSet: that the cluster formed, who the member is, what it runs. Put back
//! when somebody changed it. Never records what was not seen in this very observation.

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::{Action, Context, Flow, Hold, ObjectHold, PatchPurpose, Plan, change, guards, stateful_sets};
use crate::cluster::observed::KnownMembers;
use crate::cluster::world::{ClaimFacts, Keeper, Member, Origin, VolumeRequest};
use crate::names::{
    ANNOTATION_FORMED, ANNOTATION_MEMBER_ID, ANNOTATION_ORIGIN, ANNOTATION_STORAGE, ANNOTATION_VERSION,
    CLUSTER_UID, LABEL_INSTANCE,
};

/// Latches on the record of every listed member that the cluster has formed, and takes off every claim of the cluster what must
/// not be there.
pub(super) fn on_claims(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    for member in context.world.members.values() {
        let (Some(keeper), Some(facts)) = (member.live_keeper(), &member.facts) else { continue };
        let proven = is_proven(list, member);
        let is_ours = facts.is_of(&context.world.cluster);
        let wanted = match member.listed {
            Some(_) if !is_ours && !proven => {
                plan.hold(Hold::Object(ObjectHold::VolumeConflict {
                    claim: member.name.claim(),
                    message: "it has the name of a member, but records another cluster object".to_owned(),
                }));
                continue;
            }
            Some(_) => wanted(context, list, member, (keeper, facts), proven),
            None if !is_ours => continue,
            None => BTreeMap::new(),
        };
        if let Some(action) = record(context, member, keeper, wanted) {
            plan.act_on_record(&member.name, action);
        }
    }
    Flow::Next
}

/// The change that brings a record its annotations, and a claim its labels, if anything is missing or too much.
fn record(
    context: &Context<'_>,
    member: &Member<'_>,
    keeper: Keeper<'_>,
    wanted: BTreeMap<String, String>,
) -> Option<Action> {
    let metadata = keeper.metadata();
    let annotations = metadata.annotations.as_ref();
    let facts = change::differing(annotations, wanted);
    let labels = match (keeper, member.listed) {
        (Keeper::Claim(_), Some(_)) => change::differing(
            metadata.labels.as_ref(),
            context.world.cluster.member_claim_labels(&member.name),
        ),
        // The labels of a StatefulSet are put back with the rest of it.
        (Keeper::StatefulSet(_), _) | (Keeper::Claim(_), None) => BTreeMap::new(),
    };
    let is_tracked = match keeper {
        Keeper::Claim(claim) => claim.labels().contains_key(LABEL_INSTANCE),
        Keeper::StatefulSet(_) => false,
    };
    let mut operations = Vec::new();
    if !facts.is_empty() {
        operations.extend(change::annotate(metadata, &facts));
    }
    if !labels.is_empty() {
        operations.extend(change::label(metadata, &labels));
    }
    if is_tracked {
        operations.push(change::remove_label(LABEL_INSTANCE));
    }
    if operations.is_empty() {
        return None;
    }
    let was_changed = !labels.is_empty()
        || facts.keys().any(|key| annotations.is_some_and(|present| present.contains_key(key)));
    let mut entries: Vec<String> =
        facts.iter().chain(&labels).map(|(key, value)| format!("{key}={value}")).collect();
    entries.extend(is_tracked.then(|| format!("no label {LABEL_INSTANCE}")));
    let purpose = if was_changed {
        PatchPurpose::Restore { fields: entries }
    } else {
        PatchPurpose::RecordFacts { facts: entries }
    };
    Some(change::patch(change::target_of_keeper(keeper), operations, purpose))
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
    (keeper, facts): (Keeper<'_>, &ClaimFacts),
    proven: bool,
) -> BTreeMap<String, String> {
    let target = stateful_sets::target(context, member);
    let mut wanted: BTreeMap<String, String> = [
        (ANNOTATION_FORMED.to_owned(), list.cluster_id.to_string()),
        (ANNOTATION_VERSION.to_owned(), target.version.to_string()),
        (CLUSTER_UID.to_owned(), context.world.cluster.uid.clone()),
    ]
    .into();
    if facts.target.as_ref().is_none_or(|recorded| !recorded.is_same_as(&target)) {
        wanted.insert(keeper.target_key().to_owned(), target.to_annotation());
    }
    if let Some(volume) = facts.volume.as_ref().filter(|_| !facts.is_volume_recorded) {
        wanted.insert(ANNOTATION_STORAGE.to_owned(), as_asked_for(context, facts, volume).to_annotation());
    }
    if let Some(id) = member.id().filter(|_| proven) {
        wanted.insert(ANNOTATION_MEMBER_ID.to_owned(), id.to_string());
    }
    // Without it a StatefulSet that has not started gets no permit: nobody knows whether it had one.
    let may_be_unused = matches!(keeper, Keeper::StatefulSet(_)) && !member.has_started();
    if facts.origin.is_none() && !may_be_unused {
        let origin = Origin::Added { token: context.world.token(), naming: context.world.cluster.naming };
        wanted.insert(ANNOTATION_ORIGIN.to_owned(), origin.to_annotation());
    }
    wanted
}

/// What an earlier operator's claim was asked for as: the spec's words if they are no difference, for they tell the default class
/// from one that was named.
fn as_asked_for(context: &Context<'_>, facts: &ClaimFacts, volume: &VolumeRequest) -> VolumeRequest {
    let wanted = guards::wanted_volume(context);
    if guards::different(facts, &wanted).is_none() {
        return wanted;
    }
    // The class that the API server wrote into the claim was not asked for, as far as anybody knows.
    let storage_class_name =
        volume.storage_class_name.clone().filter(|_| wanted.storage_class_name.is_some());
    VolumeRequest { storage_class_name, ..volume.clone() }
}
