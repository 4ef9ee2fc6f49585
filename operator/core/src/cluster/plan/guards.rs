//! What the user must be told and what ends a plan before anything is changed. Never acts.

use super::{Context, Flow, Hold, Plan, QuorumHold, SpecHold};
use crate::api::StorageMedium;
use crate::cluster::observed::{ListedMember, MemberList};
use crate::cluster::render::quantity;
use crate::cluster::world::{Agreement, ClaimFacts, Member, VolumeRequest, World};

/// Parts of the spec that this build does not carry out: said, never silently ignored. Before the cluster has formed the spec is
/// followed, so there is nothing to say.
pub(super) fn spec(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let (world, desired) = (context.world, context.desired);
    if !context.follows_spec {
        return Flow::Next;
    }
    if desired.suspend {
        plan.hold(Hold::Spec(SpecHold::SuspendNotSupported));
    }
    if !world.formed {
        return Flow::Next;
    }
    let wanted = wanted_volume(context);
    let mut sizes = world
        .members
        .values()
        .filter_map(|member| member.facts.as_ref())
        .filter(|facts| facts.is_of(&world.cluster) && !facts.set_aside)
        .filter_map(|facts| facts.volume.as_ref())
        .filter(|volume| [volume.medium, wanted.medium] == [StorageMedium::Disk; 2])
        .map(|volume| &volume.size);
    if let Some(present) = sizes.find(|size| quantity::is_above(size, &wanted.size)) {
        let (from, to) = (present.clone(), wanted.size);
        plan.hold(Hold::Spec(SpecHold::VolumesDoNotShrink { from, to }));
    }
    images(context, plan);
    Flow::Next
}

/// The tag or digest of an image may belong to another version than the spec says.
fn images(context: &Context<'_>, plan: &mut Plan) {
    for member in context.world.listed() {
        let (Some(target), Some(answer)) = (&member.target, member.etcd()) else { continue };
        let is_named = target.image.tag.is_some() || target.image.digest.is_some();
        if is_named && answer.version != target.version.to_string() {
            plan.hold(Hold::Spec(SpecHold::OtherVersionInImage {
                member: member.name.clone(),
                runs: answer.version.clone(),
                wanted: target.version.to_string(),
            }));
        }
    }
}

/// The volume that the spec asks for.
pub(super) fn wanted_volume(context: &Context<'_>) -> VolumeRequest {
    VolumeRequest {
        size: context.desired.storage_size.0.clone(),
        storage_class_name: context.desired.storage_class_name.clone(),
        access_mode: context.desired.access_mode,
        medium: context.desired.medium,
    }
}

/// The volume of a claim, if it is not what is wanted. An earlier operator's claim shows the default class where none was asked
/// for, so no class is no difference there.
pub(super) fn different<'f>(facts: &'f ClaimFacts, wanted: &VolumeRequest) -> Option<&'f VolumeRequest> {
    let present = facts.volume.as_ref()?;
    let is_same = if facts.is_volume_recorded || wanted.storage_class_name.is_some() {
        present.is_same_as(wanted)
    } else {
        quantity::same(&present.size, &wanted.size)
            && present.access_mode == wanted.access_mode
            && present.medium == wanted.medium
    };
    (!is_same).then_some(present)
}

/// The member list is of one cluster and holds our members only; otherwise nothing is touched.
pub(super) fn identity(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let world = context.world;
    let Some(list) = world.list else { return Flow::Stop };
    for stranger in &world.strangers {
        plan.hold(Hold::Quorum(QuorumHold::UnknownMember { description: describe(stranger) }));
    }
    let others: Vec<String> = world
        .members
        .values()
        .filter_map(|member| member.etcd().map(|etcd| (member, etcd)))
        .filter(|(_, etcd)| etcd.cluster_id != list.cluster_id)
        .map(|(member, etcd)| format!("{} answers as of cluster {}", member.name, etcd.cluster_id))
        .collect();
    let is_one_cluster = others.is_empty();
    if !is_one_cluster {
        plan.hold(Hold::Quorum(QuorumHold::ClusterIdMismatch { listed: list.cluster_id, others }));
    }
    if is_one_cluster && world.strangers.is_empty() { Flow::Next } else { Flow::Stop }
}

fn describe(stranger: &ListedMember) -> String {
    format!("{} {:?} at {}", stranger.id, stranger.name, stranger.peer_urls.join(", "))
}

/// Shows the alarms of present members, and ends the plan where etcd would refuse whatever comes next.
pub(super) fn alarms_and_authentication(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for (member, alarm) in context.world.raised_alarms() {
        plan.hold(Hold::Quorum(QuorumHold::Alarm { member: member.name.clone(), alarm: alarm.as_str() }));
    }
    if !context.world.refuses_for_authentication() {
        return Flow::Next;
    }
    plan.hold(Hold::Quorum(QuorumHold::AuthenticationEnabled));
    Flow::Stop
}

/// Ends the plan where members' data is not the same, or etcd says so, and nobody can tell whose is right: whatever is taken away then
/// may be the right one.
pub(super) fn data(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let world = context.world;
    let is_alarmed = world.is_alarmed_about_data();
    let message = match &world.agreement {
        Agreement::Split => describe_hashes(world),
        Agreement::Unknown if is_alarmed && world.observed.hashes.is_empty() => {
            "etcd has raised the alarm CORRUPT, and no member says what its data is".to_owned()
        }
        Agreement::Unknown if is_alarmed => {
            format!(
                "etcd has raised the alarm CORRUPT, and too few members can be compared: {}",
                describe_hashes(world)
            )
        }
        Agreement::Unknown | Agreement::Majority { .. } => return Flow::Next,
    };
    plan.hold(Hold::Quorum(QuorumHold::DataDiffers { message }));
    Flow::Stop
}

/// What each member's data is.
fn describe_hashes(world: &World<'_>) -> String {
    let hash = |member: &Member<'_>| {
        let hash = world.observed.hashes.get(&member.id()?)?;
        Some(format!(
            "{} has the hash {:08x} at revision {}, compacted at {}",
            member.name, hash.hash, hash.revision, hash.compact_revision
        ))
    };
    world.voters().filter_map(hash).collect::<Vec<_>>().join("; ")
}

/// Says why only harmless things are done: the members refuse the operator, or no quorum answers.
pub(super) fn members_unheard(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if context.world.refuses_for_authentication() {
        plan.hold(Hold::Quorum(QuorumHold::AuthenticationEnabled));
        return Flow::Next;
    }
    quorum_unknown(context, plan);
    Flow::Next
}

fn quorum_unknown(context: &Context<'_>, plan: &mut Plan) {
    let message = match &context.world.observed.member_list {
        MemberList::Known(_) => "the member list is too old".to_owned(),
        MemberList::Unknown(message) => message.clone(),
    };
    plan.hold(Hold::Quorum(QuorumHold::Unknown { message }));
}
