//! Rules about members: one cluster, equal data, quorum and recovery in time, the member list. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::departures;
use super::findings::Check;
use super::human;
use super::judgement::{Assertion, Rule};
use super::removals;
use super::timeline::Story;
use crate::history::{ClusterId, HashRound, Outcome, Revision, UnixNanoseconds};
use crate::scenario::Period;

/// All rules about members.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let mut assertions = vec![members_agree(context), one_cluster(context)];
    assertions.extend(context.timeline.faults.iter().map(|story| quorum_back(context, story)));
    assertions.push(recovered(context));
    assertions.extend(outage_bounded(context));
    assertions.push(members_match_spec(context));
    assertions.push(departures::leave_first(context));
    assertions.push(removals::healthy_voters_kept(context));
    assertions
        .extend(context.timeline.faults.iter().filter_map(|story| departures::lost_replaced(context, story)));
    assertions
}

fn members_agree(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::MembersAgree);
    let size = context.timeline.last_seen().map(|at| context.timeline.size_at(at).members());
    let mut complete: Option<(Revision, usize)> = None;
    for round in &context.record.probes.hashes {
        let groups = hashes(round);
        for (compacted, members) in &groups {
            let (first, first_hash) = &members[0];
            for (other, hash) in members.iter().filter(|(_, hash)| hash != first_hash) {
                let at = context.record.probes.header.as_ref().map(|header| header.wall(round.end));
                check.wrong(at, || {
                    format!(
                        "at revision {} (compacted at {compacted}) {first} has hash {first_hash:08x} and {other} {hash:08x}",
                        round.revision
                    )
                });
            }
        }
        let largest = groups.values().map(Vec::len).max().unwrap_or_default();
        if round.members.len() == largest && Some(largest) >= size {
            complete = Some((round.revision, largest));
        }
    }
    let rounds = context.record.probes.hashes.len();
    match complete {
        None if rounds == 0 => check.not_checked("no hashes were asked for"),
        None => {
            check.not_checked(format!("in none of {rounds} rounds did all members answer at one revision"))
        }
        Some((revision, members)) => {
            check.conclude(format!("{members} members gave the same hash at revision {revision}"))
        }
    }
}

/// The answers of a round that may be compared: those that were compacted at the same revision.
fn hashes(round: &HashRound) -> BTreeMap<i64, Vec<(String, u32)>> {
    let mut groups: BTreeMap<i64, Vec<(String, u32)>> = BTreeMap::new();
    for member in &round.members {
        if let Some(hash) = member.hash.answer().filter(|hash| hash.revision == round.revision) {
            let name = format!("member {}", hash.member_id);
            groups.entry(hash.compact_revision).or_default().push((name, hash.hash));
        }
    }
    groups
}

fn one_cluster(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::OneCluster);
    let mut seen: BTreeMap<ClusterId, (u64, Option<UnixNanoseconds>, String)> = BTreeMap::new();
    let mut note = |id: ClusterId, at: Option<UnixNanoseconds>, who: &dyn Fn() -> String| {
        seen.entry(id).or_insert_with(|| (0, at, who())).0 += 1;
    };
    for operation in &context.record.load.operations {
        if let Outcome::Acknowledged(answer) = &operation.outcome {
            note(answer.cluster_id, context.wall(operation.end), &|| {
                format!("an answer to {}", operation.client)
            });
        }
    }
    if let Some(read) = &context.record.final_read {
        note(read.cluster_id, None, &|| "the final read".to_owned());
    }
    for round in &context.timeline.rounds {
        for member in &round.seen.members {
            if let Some(status) = member.status.answer() {
                note(status.cluster_id, Some(round.end), &|| format!("the status of {}", member.address));
            }
            if let Some(read) = member.read.answer() {
                note(read.cluster_id, Some(round.end), &|| format!("a read through {}", member.address));
            }
        }
    }
    let answers: u64 = seen.values().map(|(count, _, _)| count).sum();
    let most = seen.iter().max_by_key(|(_, (count, _, _))| *count).map(|(id, _)| *id);
    for (id, (count, at, who)) in seen.iter().filter(|(id, _)| Some(**id) != most) {
        check.wrong(*at, || format!("cluster {id} was named {count} times, first by {who}"));
    }
    match most {
        None => check.not_checked("nobody named a cluster ID"),
        Some(id) => check.conclude(format!("{} answers were of cluster {id}", human::count(answers))),
    }
}

fn quorum_back(context: &Context<'_>, story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::QuorumBack, &story.step.name);
    let schedule = &context.record.schedule;
    let bound = schedule
        .allow
        .quorum_loss
        .as_ref()
        .map_or(schedule.expect.quorum_back_within, |allowed| allowed.quorum_back_within);
    let Some(ended) = story.healed.or(story.injected) else {
        return check.not_checked("the fault was not injected");
    };
    let back = context.timeline.quorum_after(ended);
    match within(context, back, ended, bound) {
        InTime::Yes(took) => check.conclude(format!(
            "a quorum answered {} after the fault's end (bound {bound})",
            human::duration(took)
        )),
        InTime::Late(took) => {
            check.wrong(back, || {
                format!("a quorum answered only {} after the fault's end", human::duration(took))
            });
            check.conclude(format!("the bound is {bound}"))
        }
        InTime::Never => {
            check.wrong(None, || "no quorum answered after the fault's end".to_owned());
            check.conclude(format!("the bound is {bound}"))
        }
        InTime::Unknown => check.not_checked("the probes ended before the bound"),
    }
}

/// Whether something happened within a bound.
enum InTime {
    Yes(Duration),
    Late(Duration),
    Never,
    Unknown,
}

fn within(
    context: &Context<'_>,
    happened: Option<UnixNanoseconds>,
    since: UnixNanoseconds,
    bound: Period,
) -> InTime {
    match happened {
        Some(at) if at.since(since) <= bound.as_duration() => InTime::Yes(at.since(since)),
        Some(at) => InTime::Late(at.since(since)),
        None => match context.timeline.last_seen() {
            Some(last) if last.since(since) > bound.as_duration() => InTime::Never,
            Some(_) | None => InTime::Unknown,
        },
    }
}

fn recovered(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::Recovered);
    let bound = context.record.schedule.expect.recovery_within;
    let Some(over) = context.timeline.faults_over() else {
        return check.not_checked("no fault was injected");
    };
    let healthy = context.timeline.healthy_after(over);
    match within(context, healthy, over, bound) {
        InTime::Yes(took) => check.conclude(format!(
            "all members were healthy {} after the last fault's end (bound {bound})",
            human::duration(took)
        )),
        InTime::Late(took) => {
            check.wrong(healthy, || format!("all members were healthy only after {}", human::duration(took)));
            check.conclude(format!("the bound is {bound}"))
        }
        InTime::Never => {
            check.wrong(context.timeline.last_seen(), || {
                let last = context.timeline.rounds.last();
                let why = last.and_then(|round| round.unhealthy(context.timeline.size_at(round.end)));
                format!("the members were not all healthy again: {}", why.unwrap_or_default())
            });
            check.conclude(format!("the bound is {bound}"))
        }
        InTime::Unknown => check.not_checked("the probes ended before the bound"),
    }
}

/// The longest time without an acknowledged write between the first fault and the last write.
pub(super) fn longest_outage(context: &Context<'_>) -> Option<(UnixNanoseconds, Duration)> {
    let mut from = context.timeline.faults_began()?;
    let mut ends: Vec<UnixNanoseconds> =
        context.ledger.acknowledged().filter_map(|(write, _)| context.wall(write.operation.end)).collect();
    ends.sort_unstable();
    let last_call = context.record.load.operations.iter().map(|operation| operation.end).max();
    ends.extend(last_call.and_then(|end| context.wall(end)));
    let mut longest = None;
    for end in ends.into_iter().filter(|end| *end > from).collect::<Vec<_>>() {
        let gap = end.since(from);
        if longest.is_none_or(|(_, known)| known < gap) {
            longest = Some((from, gap));
        }
        from = end;
    }
    longest
}

fn outage_bounded(context: &Context<'_>) -> Option<Assertion> {
    let bound = context.record.schedule.expect.longest_outage?;
    let mut check = Check::new(Rule::OutageBounded);
    let Some((since, outage)) = longest_outage(context) else {
        return Some(check.not_checked("no write was acknowledged after the first fault"));
    };
    if outage > bound.as_duration() {
        check.wrong(Some(since), || format!("no write was acknowledged for {}", human::duration(outage)));
    }
    Some(check.conclude(format!("the longest pause was {} (bound {bound})", human::duration(outage))))
}

/// The last word of the member lists counts; one late answer of a member does not, if it answered a moment before.
fn members_match_spec(context: &Context<'_>) -> Assertion {
    const MOMENT: Duration = Duration::from_secs(5);
    let mut check = Check::new(Rule::MembersMatchSpec);
    let rounds = &context.timeline.rounds;
    let Some(last) = rounds.last() else { return check.not_checked("the probe saw nothing") };
    if !context.is_complete() {
        return check.not_checked("the run did not come to its end");
    }
    let size = context.timeline.size_at(last.start);
    let told = rounds.iter().rev().find(|round| round.lists().next().is_some());
    if let Some((round, wrong)) = told.and_then(|round| Some((round, round.listed_wrong(size)?))) {
        check.wrong(Some(round.end), || wrong);
    }
    let mut recent = rounds.iter().rev().take_while(|round| last.start.since(round.start) <= MOMENT);
    if check.is_clean() && !recent.any(|round| round.is_healthy(size)) {
        check.wrong(Some(last.end), || last.unhealthy(size).unwrap_or_default());
    }
    if !context.probes_whole {
        check.undecided("the record of the probes is not whole");
    }
    let names: Vec<String> = told.map(|round| round.names().into_values().collect()).unwrap_or_default();
    check.conclude(format!("at the end {size} voters were listed and answered: {}", names.join(", ")))
}
