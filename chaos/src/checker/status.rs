//! Rules about the operator's status: it may be late, but it must not lie for long. Pure.

use std::collections::{BTreeMap, HashMap};

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Round;
use crate::history::{MemberId, UnixNanoseconds};
use crate::record::{Event, Phase, StatusSample};
use crate::scenario::Subject;

/// The condition that says that a quorum serves.
const AVAILABLE: &str = "Available";
/// The condition that says that every declared member is a healthy voter.
const READY: &str = "Ready";

/// All rules about the status; none for a subject that no operator of ours runs.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    match context.record.schedule.subject {
        Subject::Cluster(_) => vec![status_honest(context), status_ready_at_end(context)],
        Subject::Selector(_) => Vec::new(),
    }
}

/// Something that the status says and that the probes can contradict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Available,
    Ready,
    Healthy(String),
}

impl Claim {
    fn said(&self) -> String {
        match self {
            Claim::Available => format!("{AVAILABLE} while no member answered a linearizable read"),
            Claim::Ready => format!("{READY} while not every declared member was a healthy voter"),
            Claim::Healthy(member) => {
                format!("member {member} healthy while no linearizable read went through it")
            }
        }
    }
}

fn status_honest(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::StatusHonest);
    let bound = context.record.schedule.expect.status_lag_within;
    let timeline = &context.timeline;
    if timeline.statuses.is_empty() || timeline.rounds.is_empty() {
        return check.not_checked("there is no status, or no probe, to compare");
    }
    let acknowledged = acknowledged_calls(context);
    let mut lies: BTreeMap<Claim, (UnixNanoseconds, bool)> = BTreeMap::new();
    let mut longest = std::time::Duration::ZERO;
    let mut compared = 0;
    let mut ids: HashMap<String, MemberId> = HashMap::new();
    for round in &timeline.rounds {
        ids.extend(round.names().into_iter().map(|(id, name)| (name, id)));
        let Some(status) = status_at(context, round.start) else { continue };
        // A probe that cannot even resolve the name says nothing about the members.
        if round.seen.resolve_error.is_some() {
            lies.clear();
            continue;
        }
        compared += 1;
        let false_now = contradicted(context, round, status, &ids, &acknowledged);
        lies.retain(|claim, _| false_now.contains(claim));
        for claim in false_now {
            let (since, told) = lies.entry(claim.clone()).or_insert((round.start, false));
            // From beginning to beginning: a round with a silent member ends long after it was looked at.
            let lasted = round.start.since(*since);
            longest = longest.max(lasted);
            if lasted > bound.as_duration() && !*told {
                *told = true;
                check.wrong(Some(*since), || {
                    format!("for more than {bound} the status said {}", claim.said())
                });
            }
        }
    }
    if compared == 0 {
        return check.not_checked("no round of the probe fell into the time of a status");
    }
    if !context.events_whole || !context.probes_whole {
        check.undecided("the record of status or probes is not whole");
    }
    check.conclude(format!(
        "{compared} rounds of the probe compared with the status; it was wrong for at most {} (bound {bound})",
        human::duration(longest)
    ))
}

fn status_at<'a>(context: &Context<'a>, at: UnixNanoseconds) -> Option<&'a StatusSample> {
    let statuses = &context.timeline.statuses;
    let until = statuses.partition_point(|(seen, _)| *seen <= at);
    until.checked_sub(1).map(|last| statuses[last].1)
}

/// When calls of the load were answered, ascending.
fn acknowledged_calls(context: &Context<'_>) -> Vec<UnixNanoseconds> {
    let answered = context
        .record
        .load
        .operations
        .iter()
        .filter(|operation| matches!(operation.outcome, crate::history::Outcome::Acknowledged(_)));
    let mut ends: Vec<UnixNanoseconds> =
        answered.filter_map(|operation| context.wall(operation.end)).collect();
    ends.sort_unstable();
    ends
}

fn contradicted(
    context: &Context<'_>,
    round: &Round<'_>,
    status: &StatusSample,
    ids: &HashMap<String, MemberId>,
    acknowledged: &[UnixNanoseconds],
) -> Vec<Claim> {
    let mut claims = Vec::new();
    // What the probe misses the load may have seen: an answer to any client proves a quorum as well.
    let next = acknowledged.partition_point(|at| *at < round.start);
    let served = acknowledged.get(next).is_some_and(|at| *at <= round.end);
    if status.is_true(AVAILABLE) && round.quorum_at().is_none() && !served {
        claims.push(Claim::Available);
    }
    if status.is_true(READY) && !round.is_healthy(context.timeline.size_at(round.start)) {
        claims.push(Claim::Ready);
    }
    for member in status.members.iter().filter(|member| member.healthy) {
        let id = member.member_id.or_else(|| ids.get(&member.name).copied());
        let answers = id.is_some_and(|id| round.answers(id));
        if !answers {
            claims.push(Claim::Healthy(member.name.clone()));
        }
    }
    claims
}

/// What the status says while the run is being cleaned up is about a cluster that is being deleted.
fn status_ready_at_end(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::StatusReadyAtEnd);
    let end = context.record.events.iter().find_map(|line| match line.event {
        Event::Phase { phase: Phase::CleanUp } => Some(line.at),
        _ => None,
    });
    let before_end = |(at, _): &&(UnixNanoseconds, &StatusSample)| end.is_none_or(|end| *at < end);
    let Some((at, status)) = context.timeline.statuses.iter().rev().find(before_end) else {
        return check.not_checked("no status was seen");
    };
    if !context.is_complete() {
        return check.not_checked("the run did not come to its end");
    }
    if !status.is_true(READY) {
        check.wrong(Some(*at), || {
            let ready = status.conditions.iter().find(|condition| condition.kind == READY);
            let why = ready.map_or_else(String::new, |ready| format!(": {} {}", ready.reason, ready.message));
            format!("the last status is not {READY}{why}")
        });
    }
    if status.observed_generation != Some(status.generation) {
        check.wrong(Some(*at), || {
            let observed =
                status.observed_generation.map_or_else(|| "none".to_owned(), |seen| seen.to_string());
            format!("the last status is about generation {observed}, the spec is at {}", status.generation)
        });
    }
    if !context.events_whole {
        check.undecided("the record of the status is not whole");
    }
    check.conclude(format!("the last status, at resource version {}, looked at", status.resource_version))
}
