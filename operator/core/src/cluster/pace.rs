//! When a cluster is looked at next: soon after something was done, ever more rarely while nothing changes, and not at all, but for
//! what is told or noticed, while all is as it should be. Never reads a clock.

use std::time::Duration;

use jiff::SignedDuration;

use crate::api::{EtcdClusterStatus, MemberHealth, MemberStatus};
use crate::cluster::desired::Desired;
use crate::cluster::memory::Memory;
use crate::cluster::observed::Observed;
use crate::cluster::plan::{self, Hold, Plan, Setback, SetbackKind};
use crate::cluster::status;

/// Pause after a pass that changed something: what it changed is seen soon.
const AFTER_ACTION: Duration = Duration::from_millis(200);
/// Pause after the world was found to have moved on.
const AFTER_OVERTAKEN: Duration = Duration::from_secs(1);
/// The shortest pause while waiting for members to start or to catch up: etcd tells nobody when they have, so they are asked.
const WHILE_WAITING: Duration = Duration::from_millis(250);
/// The shortest pause while something is amiss that nothing is waited for.
const WHILE_AMISS: Duration = Duration::from_secs(1);
/// The longest pause while something is amiss. Silence counts only if looks follow each other more closely than half a minute.
const LONGEST_WHILE_AMISS: Duration = Duration::from_secs(10);
/// The part of the time without a change by which pauses grow.
const PATIENCE: u32 = 60;
/// Pause before a member is looked at again that should have proved itself by now.
const PROOF_OVERDUE: Duration = Duration::from_secs(60);

/// What came of a plan's actions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Whether any was carried out.
    pub has_acted: bool,
    /// What was not, and why.
    pub setbacks: Vec<Setback>,
}

/// When the next look is due if nothing happens until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Something is amiss or under way: after this pause.
    After(Duration),
    /// All is as it should be; after this pause a member will have proved itself, if one still has to.
    AtRest(Option<Duration>),
}

impl Pace {
    /// The pause, if there is one.
    pub fn pause(self) -> Option<Duration> {
        match self {
            Pace::After(pause) => Some(pause),
            Pace::AtRest(pause) => pause,
        }
    }

    /// Whether all is as it should be.
    pub fn is_at_rest(self) -> bool {
        match self {
            Pace::After(_) => false,
            Pace::AtRest(_) => true,
        }
    }
}

/// How soon the next look must follow on one at which this was seen, planned, done and reported.
pub fn pace(
    now: Duration,
    observed: &Observed,
    plan: &Plan,
    status: &EtcdClusterStatus,
    done: &Done,
    memory: &mut Memory,
) -> Pace {
    let unchanged_for = memory.unchanged_for(now, &plan.holds, done.has_acted);
    let slowing = |shortest: Duration| (unchanged_for / PATIENCE).clamp(shortest, LONGEST_WHILE_AMISS);
    if done.has_acted {
        Pace::After(AFTER_ACTION)
    } else if done.setbacks.iter().any(is_overtaken) {
        Pace::After(AFTER_OVERTAKEN)
    } else if plan.holds.iter().any(|hold| matches!(hold, Hold::Wait(_))) {
        Pace::After(slowing(WHILE_WAITING))
    } else if !plan.actions.is_empty() || !done.setbacks.is_empty() || is_amiss(plan, status) {
        Pace::After(slowing(WHILE_AMISS))
    } else {
        let until = [until_proven(observed, status), until_too_old(observed, status), until_due(observed)];
        Pace::AtRest(until.into_iter().flatten().min())
    }
}

fn is_overtaken(setback: &Setback) -> bool {
    matches!(setback.kind, SetbackKind::Overtaken | SetbackKind::NotOurs)
}

/// Whether anything is not as it should be, whoever is to mend it. A notice is about nothing that has to be looked at again.
fn is_amiss(plan: &Plan, status: &EtcdClusterStatus) -> bool {
    let is_well = |member: &MemberStatus| !member.learner && member.health == MemberHealth::Healthy;
    plan.holds.iter().any(|hold| !matches!(hold, Hold::Notice(_)))
        || status.members.is_empty()
        || !status.members.iter().all(is_well)
}

/// When the newest backup will be too old: nobody tells of that.
fn until_too_old(observed: &Observed, status: &EtcdClusterStatus) -> Option<Duration> {
    let left = status::time_left(observed, status).and_then(|left| Duration::try_from(left).ok())?;
    Some(left + WHILE_AMISS)
}

/// When certificates and authorities are looked at next: nobody tells of them.
fn until_due(observed: &Observed) -> Option<Duration> {
    Some(Duration::try_from(plan::time_until_due(observed)?).unwrap_or(WHILE_AMISS).max(WHILE_AMISS))
}

/// When the first of the members that still have to will have proved what it runs.
fn until_proven(observed: &Observed, status: &EtcdClusterStatus) -> Option<Duration> {
    let desired = Desired::parse(&observed.cluster).ok()?;
    let needed = plan::time_until_proven(&desired);
    let unproven = status.members.iter().filter(|member| member.proven_target.is_none());
    let missing = unproven.map(|member| {
        let well_for = member.well_since.as_ref().map(|since| observed.as_of.duration_since(since.0));
        needed - well_for.unwrap_or(SignedDuration::ZERO)
    });
    missing
        .min()
        .map(|missing| Duration::try_from(missing).map_or(PROOF_OVERDUE, |missing| missing + WHILE_AMISS))
}
