//! What changes of the spec and requests ask the operator to do to members, and when: to restart them, or to put others in their
//! place. Pure. What nothing asked for is for other rules to call wrong.

use std::collections::BTreeSet;

use super::context::Context;
use super::disruptions::Disruption;
use super::timeline::Story;
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::Proof;
use crate::scenario::{Ask, ChangeEffect, Fault};

/// What a fault asks the operator to do to members.
enum Asked {
    /// To do nothing to anybody.
    Nothing,
    /// To restart every member.
    RestartAll,
    /// What cannot be done: one member may be tried, whichever.
    TryOne,
    /// To put others in the place of all.
    ReplaceAll,
    /// To put another in the place of its target.
    ReplaceTarget,
}

fn asked(fault: &Fault) -> Asked {
    match fault {
        Fault::Roll
        | Fault::Upgrade { .. }
        | Fault::Change { effect: ChangeEffect::Restarted | ChangeEffect::CarriedOut, .. }
        | Fault::Request { ask: Ask::Restart | Ask::RotateAuthorities } => Asked::RestartAll,
        // Whether a version can be carried out is known before any member is touched.
        Fault::Change { effect: ChangeEffect::Refused, spec, .. } if spec.contains_key("version") => {
            Asked::Nothing
        }
        Fault::Change { effect: ChangeEffect::Refused, .. } => Asked::TryOne,
        Fault::Change { effect: ChangeEffect::Replaced, .. } => Asked::ReplaceAll,
        Fault::Request { ask: Ask::Replace } => Asked::ReplaceTarget,
        Fault::Change { effect: ChangeEffect::None, .. }
        | Fault::Request { ask: Ask::MoveLeader }
        | Fault::Resize { .. }
        | Fault::PodKill { .. }
        | Fault::ProcessKill
        | Fault::ProcessPause { .. }
        | Fault::DiskLost
        | Fault::DirectoryWiped
        | Fault::Partition { .. }
        | Fault::Corrupt { .. }
        | Fault::Certificate { .. }
        | Fault::DeleteObject { .. }
        | Fault::Intrude { .. }
        | Fault::Backup
        | Fault::OperatorKill
        | Fault::OperatorPause { .. }
        | Fault::VolumeDeletionStuck { .. } => Asked::Nothing,
    }
}

/// Whether something was being asked for at a moment: from its declaration until its effect was seen.
pub(super) fn is_open(story: &Story<'_>, at: UnixNanoseconds) -> bool {
    let closes = |proof: &Proof| {
        matches!(
            proof,
            Proof::RestartsSeen { .. }
                | Proof::MembersReplaced { .. }
                | Proof::MembersAsBefore { .. }
                | Proof::VersionReached { .. }
                | Proof::VersionSuperseded { .. }
        )
    };
    let seen = story.proofs.iter().find(|(_, _, proof)| closes(proof)).map(|(seen, ..)| *seen);
    story.injecting.is_some_and(|from| from <= at) && seen.is_none_or(|seen| at <= seen)
}

/// Whether a change or a request asked for it that a member's pod ends.
pub(super) fn for_restart(
    context: &Context<'_>,
    disruptions: &[Disruption<'_>],
    disruption: &Disruption<'_>,
) -> bool {
    context.timeline.faults.iter().filter(|story| is_open(story, disruption.at)).any(|story| {
        match asked(&story.step.fault) {
            Asked::RestartAll => true,
            Asked::TryOne => tried(story, disruptions) == Some(disruption.member),
            Asked::Nothing | Asked::ReplaceAll | Asked::ReplaceTarget => false,
        }
    })
}

/// Whether a member is the one that a change which cannot be carried out was tried with: its process may end again and again.
pub(super) fn was_tried(
    context: &Context<'_>,
    disruptions: &[Disruption<'_>],
    member: &str,
    at: UnixNanoseconds,
) -> bool {
    context.timeline.faults.iter().filter(|story| is_open(story, at)).any(|story| {
        matches!(asked(&story.step.fault), Asked::TryOne) && tried(story, disruptions) == Some(member)
    })
}

/// The first member whose pod was ended while a change that cannot be carried out stood.
fn tried<'a>(story: &Story<'_>, disruptions: &[Disruption<'a>]) -> Option<&'a str> {
    let during = disruptions.iter().filter(|disruption| is_open(story, disruption.at));
    during.min_by_key(|disruption| disruption.at).map(|disruption| disruption.member)
}

/// Whether a change or a request asked for it that a member leaves the list and another one takes its place. `last` and `without`
/// are the moments at which it was listed for the last time, and not any more.
pub(super) fn for_replacement(
    context: &Context<'_>,
    id: MemberId,
    (last, without): (UnixNanoseconds, UnixNanoseconds),
) -> bool {
    let margin = context.clock_error();
    context.timeline.faults.iter().any(|story| {
        let open = is_open(story, without.plus(margin)) || is_open(story, last) || is_open(story, without);
        open && match asked(&story.step.fault) {
            Asked::ReplaceAll => was_there(context, story, id),
            Asked::ReplaceTarget => {
                let targets = story.targets.unwrap_or_default();
                targets.iter().any(|target| target.member_id == Some(id))
            }
            Asked::Nothing | Asked::RestartAll | Asked::TryOne => false,
        }
    })
}

/// Whether a member was there when the change was declared: one that came by it is not to go again.
fn was_there(context: &Context<'_>, story: &Story<'_>, id: MemberId) -> bool {
    story.injecting.is_some_and(|from| members_before(context, from).contains(&id))
}

/// The members, learners too, that were listed just before a moment.
pub(super) fn members_before(context: &Context<'_>, moment: UnixNanoseconds) -> BTreeSet<MemberId> {
    let round = context.timeline.last_told_before(moment, context.clock_error());
    round.map(|round| round.names().into_keys().collect()).unwrap_or_default()
}

/// Whether fewer members were declared than before, so that healthy ones have to go.
pub(super) fn for_fewer(context: &Context<'_>, at: UnixNanoseconds) -> bool {
    context.timeline.faults.iter().any(|story| {
        let fewer = |proof: &Proof| matches!(proof, Proof::SizeDeclared { from, to, .. } if to < from);
        let declared = story.injecting.is_some_and(|from| from <= at);
        declared && story.proofs.iter().any(|(_, _, proof)| fewer(proof))
    })
}
