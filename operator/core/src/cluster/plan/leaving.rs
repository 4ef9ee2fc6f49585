//! Voters that are to go though they serve: their volume is being deleted or is not of the kind that the spec asks for, or somebody
//! asked for it, or they cannot be restarted with what the spec asks for because their data would be lost. Another member votes before
//! one of them goes. Never removes anybody.

use std::fmt;

use super::{Context, Hold, Wait, quota, restart, rollout, safety};
use crate::api::StorageMedium;
use crate::cluster::world::Member;

/// Why a voter is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// Its volume is being deleted, which cannot be undone.
    VolumeEnds,
    /// Its volume is of another class, or may be mounted by others, than the spec asks for.
    VolumeDiffers,
    /// Somebody asked for it.
    Asked,
    /// Its data is in its pod's memory, and that pod does not run what the spec asks for.
    SettingsDiffer,
}

impl fmt::Display for Because {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Because::VolumeEnds => "its volume is being deleted, and its successor votes",
            Because::VolumeDiffers => {
                "its volume is not of the kind that the spec asks for, and its successor votes"
            }
            Because::Asked => "its replacement was asked for, and its successor votes",
            Because::SettingsDiffer => "it does not run what the spec asks for, and its successor votes",
        })
    }
}

/// Why this member is to go, if it is. Who is lost is no such member: it is removed first, and then another one is added.
pub(super) fn because(context: &Context<'_>, member: &Member<'_>) -> Option<Because> {
    if !member.is_voter() || safety::loss(context, member).is_some() {
        return None;
    }
    if member.is_volume_ending() {
        return Some(Because::VolumeEnds);
    }
    if context.requests.replaces(&member.name) {
        return Some(Because::Asked);
    }
    if !context.follows_spec {
        return None;
    }
    if has_other_volume(context, member) {
        return Some(Because::VolumeDiffers);
    }
    (member.is_lost_with_its_pod() && has_other_settings(context, member)).then_some(Because::SettingsDiffer)
}

/// Whether a member does not run what the spec asks for, by its record or by the template that its pod was made from.
fn has_other_settings(context: &Context<'_>, member: &Member<'_>) -> bool {
    !rollout::is_as_specified(context, member) || restart::is_outdated(context, member)
}

/// Whether a member's volume is of another kind than the spec asks for. What its claim does not record is no difference: an earlier
/// operator's claim shows the default class where none was asked for.
pub(super) fn has_other_volume(context: &Context<'_>, member: &Member<'_>) -> bool {
    let wanted = super::guards::wanted_volume(context);
    member.facts.as_ref().is_some_and(|facts| {
        let is_asked_for = facts.is_volume_recorded
            || wanted.storage_class_name.is_some()
            || wanted.medium != StorageMedium::default();
        is_asked_for && facts.volume.as_ref().is_some_and(|volume| !volume.is_of_same_kind_as(&wanted))
    })
}

/// Whether a member's data is in memory, so that only its successor gets what the spec asks for. It may not be well for the want of it.
fn is_changed_by_replacement(context: &Context<'_>, member: &Member<'_>) -> bool {
    match because(context, member) {
        Some(Because::SettingsDiffer | Because::VolumeDiffers) => member.is_lost_with_its_pod(),
        Some(Because::VolumeEnds | Because::Asked) | None => false,
    }
}

/// Whether any voter is to go.
pub(super) fn is_any(context: &Context<'_>) -> bool {
    context.world.voters().any(|member| because(context, member).is_some())
}

/// Whether the volume of a voter is being deleted: that is a repair, and waits for nothing that it need not wait for.
pub(super) fn is_repair(context: &Context<'_>) -> bool {
    context.world.voters().any(|member| because(context, member) == Some(Because::VolumeEnds))
}

/// Why the successor of a voter that is to go is not added yet: nothing else may be amiss, and the one before must have proved itself.
pub(super) fn reason_to_wait(context: &Context<'_>) -> Option<Hold> {
    if is_repair(context) {
        return None;
    }
    let next = context.world.voters().find(|member| because(context, member).is_some())?;
    let in_turn = |message: String| Hold::Wait(Wait::Replacement { member: next.name.clone(), message });
    // Who is replaced by request may be asked for because it is not well.
    let may_be_unwell = |member: &Member<'_>| {
        context.requests.replaces(&member.name) || is_changed_by_replacement(context, member)
    };
    let unhealthy = context.world.voters().filter(|member| !member.votes() && !may_be_unwell(member));
    let unhealthy: Vec<&str> = unhealthy.map(|member| member.name.as_str()).collect();
    if !unhealthy.is_empty() {
        return Some(in_turn(format!("not healthy: {}", unhealthy.join(", "))));
    }
    if let Some(message) = restart::reason_for_all_to_wait(context) {
        return Some(in_turn(message));
    }
    if is_changed_by_replacement(context, next) {
        if let Some(stopped) = rollout::stopped(context) {
            return Some(stopped);
        }
        if quota::makes_room(context) && context.world.raised_alarms().next().is_some() {
            // No member is well while etcd accepts no writes, which is what the change ends.
            return None;
        }
    }
    let soaks =
        |member: &&Member<'_>| because(context, member).is_none() && rollout::is_soaking(context, member);
    let soaking = context.world.voters().find(soaks)?;
    Some(in_turn(format!("{} has not proved itself yet", soaking.name)))
}
