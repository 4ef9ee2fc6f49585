//! Rules about what members say of themselves and of each other, round for round of the probe. Pure. Only answers of one clock are
//! put in order: a round that ended before another began.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::timeline::Round;
use crate::history::{AlarmKind, MemberId, MemberStatus, Revision, UnixNanoseconds};

/// etcd's status names the new leader as soon as it is known, and the new term only with the first entry of it that is applied.
const TERM_LAGS: Duration = Duration::from_secs(5);
/// A member that starts again shows what its store had last written to disk until its log is replayed.
const REPLAY: Duration = Duration::from_secs(10);

/// All rules about what members say.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    vec![reads_fresh(context), never_back(context), one_leader(context), no_alarms(context)]
}

/// Who says what, in the order of the rounds.
pub(super) fn statuses<'a>(
    context: &'a Context<'_>,
) -> impl Iterator<Item = (&'a Round<'a>, &'a MemberStatus)> {
    context.timeline.rounds.iter().flat_map(|round| {
        round.seen.members.iter().filter_map(move |member| Some((round, member.status.answer()?)))
    })
}

/// A linearizable read shows at least what any read showed that was answered before it was asked.
fn reads_fresh(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ProbeReadsFresh);
    let mut reads = Vec::new();
    for round in &context.timeline.rounds {
        for member in &round.seen.members {
            if let Some(read) = member.read.answer() {
                reads.push((round.start, round.at(read.at), read.revision, member.address.as_str()));
            }
        }
    }
    let mut answered: Vec<(UnixNanoseconds, Revision)> =
        reads.iter().map(|(_, at, revision, _)| (*at, *revision)).collect();
    answered.sort_unstable();
    let mut answered = answered.into_iter().peekable();
    let mut newest = Revision(0);
    reads.sort_unstable_by_key(|(start, ..)| *start);
    let end = context.record.final_read.as_ref().map(|read| read.revision);
    for (start, at, revision, address) in &reads {
        while let Some((_, revision)) = answered.next_if(|(at, _)| at < start) {
            newest = newest.max(revision);
        }
        if *revision < newest {
            check.wrong(Some(*at), || {
                format!("a linearizable read through {address} showed revision {revision} after one had shown {newest}")
            });
        }
        if let Some(end) = end.filter(|end| revision > end) {
            check.wrong(Some(*at), || {
                format!("a linearizable read through {address} showed revision {revision}, but the cluster ended at revision {end}")
            });
        }
    }
    if !context.probes_whole {
        check.undecided("the record of the probes is not whole");
    }
    if reads.is_empty() {
        return check.not_checked("no read of the probe was answered");
    }
    check.conclude(format!("{} reads of the probe put in order", human::count(reads.len() as u64)))
}

/// What one member has reached, as it said.
#[derive(Clone, Copy)]
struct Reached {
    value: u64,
    /// When the round ended in which it said so.
    at: UnixNanoseconds,
}

/// What a member has reached it never loses: its revision, its raft log, its term.
fn never_back(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::MembersNeverGoBack);
    let mut reached: BTreeMap<(MemberId, &str), Reached> = BTreeMap::new();
    let mut count: u64 = 0;
    let mut told: BTreeSet<(MemberId, &str)> = BTreeSet::new();
    for (round, status) in statuses(context) {
        count += 1;
        let values = [
            ("revision", Some(status.revision.0)),
            ("raft term", Some(status.term)),
            ("applied raft index", status.applied_index),
            ("committed raft index", status.committed_index),
        ];
        for (what, value) in values.into_iter().filter_map(|(what, value)| Some((what, value?))) {
            let key = (status.member_id, what);
            let before = reached.get(&key).copied();
            let back = before.filter(|before| before.at < round.start && value < before.value);
            match back {
                Some(_) if restarted(context, status.member_id, round.start) => {}
                Some(before) if told.insert(key) => {
                    check.wrong(Some(round.start), || {
                        format!(
                            "member {} reported {what} {value}, after it had reported {}",
                            status.member_id, before.value
                        )
                    });
                }
                Some(_) | None => {}
            }
            if before.is_none_or(|before| before.value <= value) {
                reached.insert(key, Reached { value, at: round.end });
            }
        }
    }
    if !context.probes_whole || !context.events_whole {
        check.undecided("the record of probes or events is not whole");
    }
    if count == 0 {
        return check.not_checked("no member reported its status");
    }
    check.conclude(format!("{} answers of members about themselves put in order", human::count(count)))
}

/// Whether a member's process was seen to start so short a time before a moment that it may still replay its log.
fn restarted(context: &Context<'_>, id: MemberId, later: UnixNanoseconds) -> bool {
    let margin = context.clock_error() + REPLAY;
    // The API server tells of a start a little later than it was.
    context.timeline.starts_of(id).any(|start| start.plus(margin) >= later && start <= later.plus(margin))
}

/// One term has one leader.
fn one_leader(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::OneLeaderPerTerm);
    let mut leaders: BTreeMap<u64, BTreeMap<MemberId, (UnixNanoseconds, MemberId)>> = BTreeMap::new();
    let mut named: BTreeSet<(MemberId, MemberId, u64, UnixNanoseconds)> = BTreeSet::new();
    for (round, status) in statuses(context) {
        // Who lags behind names the leader of today in the term of yesterday.
        let lags = status.learner || status.applied_index < status.committed_index;
        if let Some(leader) = status.leader.filter(|_| !lags) {
            named.insert((status.member_id, leader, status.term, round.start));
        }
    }
    let mut first_led: BTreeMap<MemberId, BTreeMap<u64, UnixNanoseconds>> = BTreeMap::new();
    for (_, leader, term, at) in &named {
        let first = first_led.entry(*leader).or_default().entry(*term).or_insert(*at);
        *first = (*first).min(*at);
    }
    for (who, leader, term, at) in &named {
        // Who is known to lead a later term is named in an earlier one by members that have not yet applied anything of it.
        let mut later = first_led[leader].range(term + 1..);
        if !later.any(|(_, first)| *first <= at.plus(TERM_LAGS)) {
            leaders.entry(*term).or_default().entry(*leader).or_insert((*at, *who));
        }
    }
    for (term, named) in leaders.iter().filter(|(_, named)| named.len() > 1) {
        let last = named.values().map(|(at, _)| *at).max();
        check.wrong(last, || {
            let names: Vec<String> =
                named.iter().map(|(leader, (_, who))| format!("{leader} (said by {who})")).collect();
            format!("term {term} has more than one leader: {}", names.join(", "))
        });
    }
    if !context.probes_whole {
        check.undecided("the record of the probes is not whole");
    }
    if leaders.is_empty() {
        return check.not_checked("no member named a leader");
    }
    check.conclude(format!("the leaders of {} compared", human::plural(leaders.len(), "term")))
}

fn no_alarms(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::NoAlarms);
    let mut seen: BTreeMap<AlarmKind, UnixNanoseconds> = BTreeMap::new();
    let mut count: u64 = 0;
    for (round, status) in statuses(context) {
        count += 1;
        for alarm in &status.alarms {
            if seen.insert(*alarm, round.end).is_none() {
                check.wrong(Some(round.end), || {
                    format!("member {} reported the alarm {}", status.member_id, alarm.name())
                });
            }
        }
    }
    if count == 0 {
        return check.not_checked("no member reported its status");
    }
    check.conclude(format!("{} answers looked at for alarms", human::count(count)))
}
