//! What must not go down, in one file: what counts as proof that a member is lost, and what must hold before a member
//! is removed, added, promoted or restarted, and before a volume is deleted. Every disruptive step asks here first.
//! Never acts.

use std::fmt;

use super::Context;
use crate::gate::GateHoldReason;
use crate::names::MemberName;
use crate::observed::EtcdAnswer;
use crate::world::{Issued, Member};

/// Entries by which a learner may lag behind the leader when it is promoted. The two are not asked at the same instant,
/// and a busy cluster writes some thousand entries a second, so a smaller number could never be met under load.
pub const MAXIMUM_LAG: u64 = 1000;
/// The share of the leader's log that a learner must have applied, in percent. etcd's own limit is 90.
pub const MINIMUM_SHARE_PERCENT: u64 = 95;
/// How long after its grace period a removed member's pod may still end before it is forced.
const OVERDUE: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// Why a member is taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its volume is gone.
    ClaimGone,
    /// Its volume is being deleted, which cannot be undone, and nothing uses it any more.
    ClaimEnding,
    /// Its gate found no log, and it had its permit.
    GateSaysLost,
    /// It has been silent for longer than the grace period.
    Silent,
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Loss::ClaimGone => "its volume is gone",
            Loss::ClaimEnding => "its volume is being deleted",
            Loss::GateSaysLost => "its disk holds no log",
            Loss::Silent => "it has been silent for too long",
        })
    }
}

/// Whether a listed member is lost. Positive evidence counts at once, silence only after the grace period. Nothing
/// counts while etcd answers, and only the gate's own word while the kubelet says that the pod is ready: then the operator
/// may be the one that is cut off.
pub(super) fn loss(context: &Context<'_>, member: &Member<'_>) -> Option<Loss> {
    if member.listed.is_none() || member.etcd().is_some() {
        return None;
    }
    if gate_says_lost(member) {
        return Some(Loss::GateSaysLost);
    }
    if member.is_ready_by_kubelet() {
        return None;
    }
    match member.claim {
        None => Some(Loss::ClaimGone),
        Some(_) if member.live_claim().is_none() && !member.etcd_container_runs() => Some(Loss::ClaimEnding),
        Some(_) => is_silent_too_long(context, member).then_some(Loss::Silent),
    }
}

/// Whether the gate found no log although the incarnation had its permit: the member cannot come back. A gate that waits
/// for a permit says "lost" too, because its disk is empty; the record on the claim tells the two apart.
pub(super) fn gate_says_lost(member: &Member<'_>) -> bool {
    let Some(report) = member.gate().filter(|report| report.reason == GateHoldReason::Lost) else {
        return false;
    };
    if member.has_started() || !report.spent_permits.is_empty() {
        return true;
    }
    match member.facts.as_ref().map(|facts| &facts.issued) {
        // Given to this very pod, which has not seen it yet.
        Some(Issued::To(issued)) => Some(issued.pod_uid.as_str()) != member.live_pod_uid(),
        Some(Issued::Unreadable) => true,
        Some(Issued::Never) | None => false,
    }
}

/// Whether nobody has answered for the grace period. A gate that answers is not silent, whatever it says.
fn is_silent_too_long(context: &Context<'_>, member: &Member<'_>) -> bool {
    let observed = context.world.observed;
    member.gate().is_none()
        && context
            .world
            .silent_since(&member.name)
            .is_some_and(|since| observed.as_of.duration_since(since) >= observed.settings.silence_grace)
}

/// Members that had started and whose gate refuses to start them again. Several at once have one common cause.
pub(super) fn refusing_gates(context: &Context<'_>) -> Vec<MemberName> {
    let refuses = |member: &&Member<'_>| member.gate().is_some() && member.has_started();
    context.world.listed().filter(refuses).map(|member| member.name.clone()).collect()
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
    if facts.issued == Issued::Never && facts.member_id.is_none() {
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
        (None, _) => Err("it may hold data, and no member was ever seen to run from it".to_owned()),
    }
}

/// Whether the pod of a removed member should have ended by now.
pub(super) fn is_overdue(context: &Context<'_>, member: &Member<'_>) -> bool {
    let ends = member.pod.and_then(|pod| pod.metadata.deletion_timestamp.as_ref());
    ends.is_some_and(|ends| context.world.observed.as_of.duration_since(ends.0) >= OVERDUE)
}
