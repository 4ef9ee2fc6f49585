//! The rule about single members: whom no fault touches goes on serving. Pure. A quorum can serve through one member only, and
//! clients of all others would call that an outage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use crate::history::{MemberId, Outcome, UnixNanoseconds};
use crate::scenario::{ONE_ELECTION, Period};

/// A kubelet may report a start so much later than it was.
const TOLD_LATE: Duration = Duration::from_secs(5);

/// A time in which one member answered nothing that needs a quorum.
struct Gap {
    since: UnixNanoseconds,
    until: UnixNanoseconds,
}

/// From the first fault to the last call each voter that no fault is aimed at answers, but for an election.
pub(super) fn members_serve(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::MembersServe);
    let bound = bound(context);
    let (Some(began), Some(last)) = (context.timeline.faults_began(), context.timeline.last_seen()) else {
        return check.not_checked("no fault was injected, or the probe saw nothing");
    };
    let error = context.clock_error();
    let answers = answers(context);
    for (id, answers) in &answers {
        for gap in gaps(answers, began, last) {
            let length = gap.until.since(gap.since).saturating_sub(error * 2);
            if length > bound.as_duration() && !is_excused(context, *id, &gap) {
                check.wrong(Some(gap.since), || {
                    let name = context.timeline.pods.name_of(*id).unwrap_or_default();
                    format!(
                        "{name} ({id}) did not answer for {}, and no fault targeted it",
                        human::duration(length)
                    )
                });
            }
        }
    }
    if !context.probes_whole || !context.load_whole {
        check.undecided("the record of clients or probes is not whole");
    }
    check.conclude(format!("{} followed (bound {bound})", human::plural(answers.len(), "member")))
}

/// One election, unless the scenario expects outages that are longer.
fn bound(context: &Context<'_>) -> Period {
    context.record.schedule.expect.longest_outage.max(ONE_ELECTION)
}

/// When each member answered something that needs a quorum, ascending.
fn answers(context: &Context<'_>) -> BTreeMap<MemberId, BTreeSet<UnixNanoseconds>> {
    let mut answers: BTreeMap<MemberId, BTreeSet<UnixNanoseconds>> = BTreeMap::new();
    for round in &context.timeline.rounds {
        for member in &round.seen.members {
            if let (Some(status), Some(read)) = (member.status.answer(), member.read.answer()) {
                answers.entry(status.member_id).or_default().insert(round.at(read.at));
            }
        }
    }
    for operation in &context.record.load.operations {
        if let (Outcome::Acknowledged(answer), Some(end)) = (&operation.outcome, context.wall(operation.end))
            && let Some(known) = answers.get_mut(&answer.member_id)
        {
            known.insert(end);
        }
    }
    answers
}

/// The times between answers that reach into a stretch of time. Before its first answer a member was not there, and after its last
/// one it may have left.
fn gaps(answers: &BTreeSet<UnixNanoseconds>, from: UnixNanoseconds, until: UnixNanoseconds) -> Vec<Gap> {
    let all: Vec<UnixNanoseconds> = answers.iter().copied().chain([until]).collect();
    let pairs = all.windows(2).filter(|pair| pair[1] > from && pair[0] < pair[1]);
    pairs.map(|pair| Gap { since: pair[0], until: pair[1] }).collect()
}

/// Whether a member need not have answered all the time: a fault was aimed at it, its process started again, it was no voter any
/// more, or nobody had a quorum, which is for another rule.
fn is_excused(context: &Context<'_>, id: MemberId, gap: &Gap) -> bool {
    let timeline = &context.timeline;
    let aimed = timeline.may_have_hit(gap.since, gap.until, |target| {
        target.member_id == Some(id) || target.member.as_deref() == timeline.pods.name_of(id)
    });
    let margin = context.clock_error();
    // The API server tells of a start a little later than it was.
    let started = timeline
        .starts_of(id)
        .any(|start| gap.since <= start.plus(margin) && start <= gap.until.plus(margin + TOLD_LATE));
    let mut told = timeline.rounds.iter().filter(|round| {
        gap.since.plus(margin) < round.start && round.end < gap.until.plus(margin) && round.tells_members()
    });
    let left = told.any(|round| !round.voters().contains(&id));
    let bound = context.record.schedule.expect.longest_outage.as_duration();
    let mut silences = context.quorum.silences(gap.since, gap.until);
    aimed
        || started
        || left
        || timeline.was_blind(gap.since, gap.until)
        || silences.any(|silence| silence.until.since(silence.since) > bound)
}
