//! The rule about restarts: each has a fault that explains it. Pure. A process that dies by itself, of etcd or of the operator,
//! is a defect that load alone may never show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::asked;
use super::context::Context;
use super::disruptions::{self, Disruption};
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use crate::history::UnixNanoseconds;
use crate::record::{Event, Phase, ProcessIdentity, TargetedPod};

/// An operator may lose its lease on a slow API server, and then ends; twice is no accident.
const OPERATOR_MAY: usize = 1;

/// A member that ended because it was removed may still be listed in a round that began a moment later.
const LEAVING: Duration = Duration::from_secs(1);

/// A process that was followed by another one in the same pod.
struct Restart<'a> {
    pod: &'a str,
    uid: &'a str,
    member: Option<&'a str>,
    at: UnixNanoseconds,
    /// How many starts lie between the two processes that were seen.
    times: u32,
}

/// No process ended but by a fault.
pub(super) fn explained(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::RestartsExplained);
    let (restarts, pods) = restarts(context);
    if pods == 0 {
        return check.not_checked("nobody saw a pod of the cluster");
    }
    let disruptions = disruptions::all(context);
    let mut explained = 0;
    let mut of_operator = Vec::new();
    for restart in &restarts {
        if is_explained(context, &disruptions, restart) {
            explained += restart.times;
        } else if restart.member.is_none() {
            of_operator.push(restart);
        } else {
            check.wrong(Some(restart.at), || {
                format!("etcd in pod {} started again, and no fault had hit it", restart.pod)
            });
        }
    }
    for disruption in disruptions::unasked(context, &disruptions) {
        check.wrong(Some(disruption.at), || {
            format!(
                "pod {} of {} was replaced, and neither a fault nor a change of the spec nor a request asked for it",
                disruption.pod, disruption.member
            )
        });
    }
    let crashes: u32 = of_operator.iter().map(|restart| restart.times).sum();
    if crashes as usize > OPERATOR_MAY {
        for restart in &of_operator {
            check.wrong(Some(restart.at), || {
                format!("the operator in pod {} started again, and no fault had hit it", restart.pod)
            });
        }
    }
    if !context.events_whole {
        check.undecided("the record of pods is not whole");
    }
    let once = if crashes == 1 { "; the operator ended once by itself" } else { "" };
    check.conclude(format!(
        "{} seen; {} explained by a fault{once}",
        human::plural(pods, "pod"),
        human::plural(explained as usize, "restart")
    ))
}

/// Every process that was followed by another one in its pod, and how many pods of members were seen.
fn restarts<'a>(context: &Context<'a>) -> (Vec<Restart<'a>>, usize) {
    let mut last: BTreeMap<&str, &ProcessIdentity> = BTreeMap::new();
    let mut members: BTreeSet<&str> = BTreeSet::new();
    let mut restarts = Vec::new();
    for line in &context.record.events {
        match &line.event {
            Event::Phase { phase: Phase::CleanUp } => break,
            Event::Pod(sample) => {
                if sample.member.is_some() {
                    members.insert(&sample.uid);
                }
                let Some(process) = &sample.process else { continue };
                if let Some(before) = last.insert(&sample.uid, process)
                    && before.container_id != process.container_id
                {
                    restarts.push(Restart {
                        pod: &sample.pod,
                        uid: &sample.uid,
                        member: sample.member.as_deref(),
                        at: line.at,
                        times: process.restart_count.saturating_sub(before.restart_count).max(1),
                    });
                }
            }
            _ => {}
        }
    }
    (restarts, members.len())
}

/// Whether a fault that ends this process was in force, or had not yet been recovered from. etcd also ends by itself once its
/// member was removed, and its container is started again until its pod goes; and so it may with settings that it cannot run with.
fn is_explained(context: &Context<'_>, disruptions: &[Disruption<'_>], restart: &Restart<'_>) -> bool {
    let ends_by_itself = |member: &str| {
        has_left(context, member, restart.at) || asked::was_tried(context, disruptions, member, restart.at)
    };
    if restart.member.is_some_and(ends_by_itself) {
        return true;
    }
    context.timeline.faults.iter().any(|story| {
        let begun = story.injecting.is_some_and(|from| from <= restart.at);
        let over = story.excused_until.is_some_and(|until| until < restart.at);
        begun
            && !over
            && (story.hit_nobody_knows()
                || story.is_aimed_at(|target| is_of(target, restart))
                || (restart.member.is_none() && story.step.fault.traits().stops_operator))
    })
}

/// Whether a member was listed for the last time before, or shortly after, a moment.
fn has_left(context: &Context<'_>, member: &str, at: UnixNanoseconds) -> bool {
    let listed = |round: &&super::timeline::Round<'_>| round.lists_name(member);
    let rounds = &context.timeline.rounds;
    let told_later = rounds.iter().any(|round| round.start > at && round.tells_members());
    let last = rounds.iter().rev().find(listed).map(|round| round.start);
    told_later && last.is_some_and(|last| last <= at.plus(context.clock_error()).plus(LEAVING))
}

/// Whether a process that ended was the target's, or is of the same member.
fn is_of(target: &TargetedPod, restart: &Restart<'_>) -> bool {
    target.uid == restart.uid || (restart.member.is_some() && target.member.as_deref() == restart.member)
}
