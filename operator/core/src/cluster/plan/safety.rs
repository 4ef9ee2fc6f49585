//! What must not go down, in one file: what counts as proof that a member is lost, and what must hold before a member
//! is removed, added, promoted or restarted, and before a volume is deleted. Every disruptive step asks here first.
//! Never acts.

use std::fmt;

use jiff::SignedDuration;

use super::Context;
use super::permits::borne_permit;
use crate::cluster::observed::{EtcdAnswer, Places};
use crate::cluster::world::{Issued, Member, Origin};
use crate::gate::GateHoldReason;
use crate::names::MemberName;

/// Entries by which a learner may lag behind the leader when it is promoted. The two are not asked at the same instant,
/// and a busy cluster writes some thousand entries a second, so a smaller number could never be met under load.
pub const MAXIMUM_LAG: u64 = 1000;
/// The share of the leader's log that a learner must have applied, in percent. etcd's own limit is 90.
pub const MINIMUM_SHARE_PERCENT: u64 = 95;
/// How long after its grace period a removed member's pod may still end before it is forced.
const OVERDUE: SignedDuration = SignedDuration::from_secs(10);
/// Replacements of silent members that may fail one after the other. Each waits twice as long as the one before it.
const MAXIMUM_FAILED_REPLACEMENTS: usize = 3;

/// Why a member is taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its volume is gone.
    ClaimGone,
    /// Its volume is being deleted, which cannot be undone, and nothing uses it any more.
    ClaimEnding,
    /// Its gate found no log, and it had its permit.
    GateSaysLost,
    /// Its data was in the memory of a pod that is gone.
    MemoryGone,
    /// Its data differs from what a majority of all voters has.
    DataDiffers,
    /// etcd cannot start from its data; says why. A majority of all voters has the same data.
    DataBroken(&'static str),
    /// It has been silent for longer than the grace period.
    Silent,
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Loss::ClaimGone => "its volume is gone",
            Loss::ClaimEnding => "its volume is being deleted",
            Loss::GateSaysLost => "its disk holds no log",
            Loss::MemoryGone => "its data was in the memory of a pod that is gone",
            Loss::DataDiffers => "its data differs from the others'",
            Loss::DataBroken(why) => why,
            Loss::Silent => "it has been silent for too long",
        })
    }
}

/// Whether a listed member is lost. Positive evidence counts at once, silence only after the grace period. While etcd answers
/// nothing counts but that its data is not what the others have, and only the gate's own word while the kubelet says that the pod
/// is ready: then the operator may be the one that is cut off.
pub(super) fn loss(context: &Context<'_>, member: &Member<'_>) -> Option<Loss> {
    member.listed?;
    if let Some(loss) = loss_of_data(context, member) {
        return Some(loss);
    }
    if member.etcd().is_some() || member.refusal().is_some() {
        return None;
    }
    if gate_says_lost(member) {
        return Some(if member.is_memory_gone() { Loss::MemoryGone } else { Loss::GateSaysLost });
    }
    if member.is_ready_by_kubelet() {
        return None;
    }
    match (member.claim, member.has_storage()) {
        (None, true) if member.is_memory_gone() => Some(Loss::MemoryGone),
        (None, false) => Some(Loss::ClaimGone),
        (Some(_), false) if !has_etcd(member) => Some(Loss::ClaimEnding),
        (Some(_), false) | (_, true) => {
            (silence(context, member) == Silence::TooLong).then_some(Loss::Silent)
        }
    }
}

/// Whether a voter has data that is not to be used. Only if the others can give it: a majority of all voters, this one left out, has
/// the same data.
fn loss_of_data(context: &Context<'_>, member: &Member<'_>) -> Option<Loss> {
    let world = context.world;
    let is_given_by_others = || world.agreement.holds_without(member.id(), world.votes().voters);
    if !member.is_voter() {
        None
    } else if member.is_corrupt {
        is_given_by_others().then_some(Loss::DataDiffers)
    } else {
        member.broken_data().filter(|_| is_given_by_others()).map(Loss::DataBroken)
    }
}

/// Whether etcd may run in the container: the kubelet tells it from the gate no more than from any other program.
fn has_etcd(member: &Member<'_>) -> bool {
    member.etcd_container_runs() && member.gate().is_none()
}

/// Whether the gate found no log although the incarnation had its permit: the member cannot come back. A gate that waits
/// for a permit says "lost" too, because its disk is empty; the record on the claim tells the two apart. The member list does not:
/// it is read after the gate was asked, and a member that got its permit meanwhile is in it as one that has started.
pub(super) fn gate_says_lost(member: &Member<'_>) -> bool {
    let Some(report) = member.gate().filter(|report| report.reason == GateHoldReason::Lost) else {
        return false;
    };
    if !report.spent_permits.is_empty() {
        return true;
    }
    match member.facts.as_ref().map(|facts| &facts.issued) {
        // If not spent, it may have been given to this very pod, ending or not, which had not seen it yet. There is one for an
        // incarnation, so it had not started before either.
        Some(Issued::To(issued)) => issued.spent || Some(issued.pod_uid.as_str()) != member.pod_uid(),
        Some(Issued::Unreadable) => true,
        // No permit is on record, so none was given while we looked: the record was lost with the volume.
        Some(Issued::Never) | None => member.has_started() && member.pod.and_then(borne_permit).is_none(),
    }
}

/// What the silence of a listed member says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It answers, or has not started yet.
    Answers,
    /// It may come back; says why it is not taken for lost.
    NoEvidence(String),
    /// So many successors went silent one after the other that another one would not help.
    Exhausted(usize),
    /// It is taken for lost.
    TooLong,
}

/// Judges silence. Only what was seen without a break counts, and each replacement that failed before makes the next one wait twice
/// as long. A pod whose container never started says nothing about its member, unless its volume is bound to nodes that are gone
/// or not ready for all that time. A gate that answers is not silent, whatever it says.
pub(super) fn silence(context: &Context<'_>, member: &Member<'_>) -> Silence {
    if member.answers() {
        return Silence::Answers;
    }
    let attempts = failed_replacements(context);
    let doublings = u32::try_from(attempts.min(MAXIMUM_FAILED_REPLACEMENTS)).unwrap_or_default();
    let grace = context.world.observed.settings.silence_grace * 2_i32.pow(doublings);
    let evidence = if member.has_container_started() {
        member.silent_for.unwrap_or_default()
    } else {
        match &context.world.observed.places {
            Places::CutOff(claims) => match claims.get(&member.name.claim()) {
                Some(cut_off) => (*cut_off).min(member.silent_for.unwrap_or_default()),
                None => return Silence::NoEvidence(never_started(context, member)),
            },
            Places::NotAsked => return Silence::NoEvidence(never_started(context, member)),
            Places::NotAllowed => {
                return Silence::NoEvidence(format!(
                    "{}; whether its node is gone is not known, because this operator may not read nodes",
                    never_started(context, member)
                ));
            }
        }
    };
    if evidence < grace {
        Silence::NoEvidence(format!("it is given {} seconds to return", grace.as_secs()))
    } else if attempts >= MAXIMUM_FAILED_REPLACEMENTS {
        Silence::Exhausted(attempts)
    } else {
        Silence::TooLong
    }
}

fn never_started(context: &Context<'_>, member: &Member<'_>) -> String {
    match member.trouble(context.world.observed) {
        Some(trouble) => format!("its container has not started ({trouble})"),
        None => "its container has not started".to_owned(),
    }
}

/// Replacements that were started and are no members any more: their used volumes are kept until one succeeds, and so they are
/// found again.
fn failed_replacements(context: &Context<'_>) -> usize {
    let failed = |member: &&Member<'_>| {
        member.listed.is_none()
            && member.live_claim().is_some()
            && member.facts.as_ref().is_some_and(|facts| {
                facts.is_of(&context.world.cluster)
                    && !facts.set_aside
                    && facts.may_hold_data()
                    && matches!(facts.origin, Some(Origin::Added { .. }))
            })
    };
    context.world.members.values().filter(failed).count()
}

/// Whether as many members vote as are wanted, so that what removed ones have left is needed no more.
pub(super) fn is_whole(context: &Context<'_>) -> bool {
    context.world.voters().filter(|member| member.votes()).count() >= context.desired.size
}

/// Members that had started and whose gate refuses to start them again. Several at once have one common cause, which a person must
/// find before their disks are given up. Of an empty memory the cause is known, a new pod or a node that was restarted, and there is
/// nothing to give up.
pub(super) fn refusing_gates(context: &Context<'_>) -> Vec<MemberName> {
    let refuses = |member: &&Member<'_>| match member.gate().map(|report| report.reason) {
        Some(GateHoldReason::Foreign | GateHoldReason::Fenced) => true,
        Some(GateHoldReason::Lost) => gate_says_lost(member) && !member.is_in_memory(),
        None => false,
    };
    context
        .world
        .listed()
        .filter(|member| member.has_started())
        .filter(refuses)
        .map(|member| member.name.clone())
        .collect()
}

/// Whether the member list can do without a member. A learner has no vote to lose.
///
/// # Errors
/// Says how the votes stand.
pub(super) fn may_remove(context: &Context<'_>, member: &Member<'_>) -> Result<(), String> {
    let votes = context.world.votes();
    if !member.is_voter() || votes.may_remove(member.votes()) {
        return Ok(());
    }
    let rest = votes.without(member.votes());
    Err(format!("{} of the {} voters that would remain are healthy", rest.healthy, rest.voters))
}

/// Whether the pod of a member may be deleted while the others serve.
pub(super) fn may_restart(context: &Context<'_>, member: &Member<'_>) -> bool {
    context.world.votes().may_restart(member.votes()) || !member.is_voter()
}

/// Voters that cannot be counted on.
pub(super) fn unhealthy_voters(context: &Context<'_>) -> Vec<MemberName> {
    context.world.voters().filter(|member| !member.votes()).map(|member| member.name.clone()).collect()
}

/// Whether a learner has caught up, absolutely and by ratio.
///
/// # Errors
/// Says how far it is.
pub(super) fn has_caught_up(leader: &EtcdAnswer, learner: &EtcdAnswer) -> Result<(), String> {
    let lag = leader.raft_index.saturating_sub(learner.raft_applied_index);
    let share_is_enough = learner.raft_applied_index.saturating_mul(100)
        >= leader.raft_index.saturating_mul(MINIMUM_SHARE_PERCENT);
    if lag <= MAXIMUM_LAG && share_is_enough {
        return Ok(());
    }
    Err(format!(
        "it has applied {} of the leader's {} entries",
        learner.raft_applied_index, leader.raft_index
    ))
}

/// Whether a removed member's volume may be deleted: it was never used, or it is empty, or it is known to be that
/// member's. The gate starts etcd only on a disk whose stamp names cluster and member, so the member ID that is recorded
/// when etcd answers stands for that stamp.
///
/// # Errors
/// Says what is not known.
pub(super) fn may_delete_volume(context: &Context<'_>, member: &Member<'_>) -> Result<(), String> {
    let Some(facts) = &member.facts else {
        return Err("nothing is recorded on it".to_owned());
    };
    if !facts.is_of(&context.world.cluster) {
        return Err("it was made for another cluster object".to_owned());
    }
    if facts.is_unused() {
        return Ok(());
    }
    if let Some(report) = member.gate() {
        return match (&report.stamp, report.reason) {
            (Some(stamp), _)
                if stamp.cluster_uid == context.world.cluster.uid && stamp.member == member.name =>
            {
                Ok(())
            }
            (None, GateHoldReason::Lost) => Ok(()),
            (_, GateHoldReason::Lost | GateHoldReason::Foreign | GateHoldReason::Fenced) => {
                Err("its stamp names another cluster or member".to_owned())
            }
        };
    }
    match (facts.member_id, context.world.list) {
        (Some(id), Some(list)) if list.members.iter().all(|listed| listed.id != id) => Ok(()),
        (Some(id), Some(_)) => Err(format!("it records member {id}, which is in the member list")),
        (Some(_), None) => Err("the member list is not known".to_owned()),
        // It was promoted only if it had been seen to run, and what never voted holds nothing but a copy.
        (None, _) if matches!(facts.origin, Some(Origin::Added { .. })) => Ok(()),
        (None, _) => Err("it may hold data, and no member was ever seen to run from it".to_owned()),
    }
}

/// Whether the pod of a removed member should have ended by now.
pub(super) fn is_overdue(context: &Context<'_>, member: &Member<'_>) -> bool {
    let ends = member.pod.and_then(|pod| pod.metadata.deletion_timestamp.as_ref());
    ends.is_some_and(|ends| context.world.observed.as_of.duration_since(ends.0) >= OVERDUE)
}
