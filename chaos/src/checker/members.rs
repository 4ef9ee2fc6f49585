//! Rules about members: one cluster, equal data, the member list. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use super::departures;
use super::disruptions;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::quorum;
use super::recovery;
use super::removals;
use super::restarts;
use super::rule::Rule;
use super::service;
use super::serving;
use super::timeline::Round;
use crate::history::{ClusterId, HashRound, MemberId, Outcome, Revision, UnixNanoseconds};

/// All rules about members.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let mut assertions = vec![members_agree(context), one_cluster(context)];
    assertions.extend(context.timeline.faults.iter().map(|story| quorum::quorum_back(context, story)));
    assertions.push(quorum::outage_bounded(context));
    assertions.push(serving::members_serve(context));
    assertions.push(recovery::recovered(context));
    assertions.push(members_match_spec(context));
    assertions.push(departures::leave_first(context));
    assertions.push(removals::healthy_voters_kept(context));
    assertions.push(restarts::explained(context));
    assertions.extend(disruptions::check(context));
    assertions.push(service::reaches_all(context));
    assertions
        .extend(context.timeline.faults.iter().filter_map(|story| departures::lost_replaced(context, story)));
    assertions
}

/// Each member counts once, and only at a revision that holds everything that was written.
fn members_agree(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::MembersAgree);
    let told = context.timeline.last_told();
    let listed: Option<BTreeSet<MemberId>> = told.map(Round::voters);
    let last_write = context.ledger.acknowledged().map(|(_, revision)| revision).max();
    let last = context.record.final_read.as_ref().map(|read| read.revision).max(last_write);
    let mut complete: Option<(Revision, usize)> = None;
    let mut early: Option<Revision> = None;
    for round in &context.record.probes.hashes {
        let groups = hashes(round);
        for (compacted, members) in &groups {
            let (first, first_hash) = &members[0];
            for (other, hash) in members.iter().filter(|(_, hash)| hash != first_hash) {
                check.wrong(context.timeline.clocks.of_probe(round.end), || {
                    format!(
                        "at revision {} (compacted at {compacted}) member {first} has hash {first_hash:08x} and member {other} \
                         {hash:08x}",
                        round.revision
                    )
                });
            }
        }
        let who = |members: &Vec<(MemberId, u32)>| members.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>();
        let each_once = |members: &BTreeSet<MemberId>| {
            members.len() == round.members.len() && listed.as_ref() == Some(members)
        };
        if last.is_some_and(|last| round.revision < last) {
            early = Some(round.revision);
        } else if let Some(all) = groups.values().map(who).find(each_once) {
            complete = Some((round.revision, all.len()));
        }
    }
    let rounds = context.record.probes.hashes.len();
    match (complete, early) {
        (None, _) if rounds == 0 => check.not_checked("no hashes were asked for"),
        (None, Some(early)) => {
            check.not_checked(format!("the hashes are of revision {early}, before the last write"))
        }
        (None, None) => check.not_checked(format!(
            "in none of {rounds} rounds did each member answer once, and all at one revision"
        )),
        (Some((revision, members)), _) => {
            check.conclude(format!("the hashes of {members} members compared at revision {revision}"))
        }
    }
}

/// The answers of a round that may be compared: those that were compacted at the same revision.
fn hashes(round: &HashRound) -> BTreeMap<i64, Vec<(MemberId, u32)>> {
    let mut groups: BTreeMap<i64, Vec<(MemberId, u32)>> = BTreeMap::new();
    for member in &round.members {
        if let Some(hash) = member.hash.answer().filter(|hash| hash.revision == round.revision) {
            groups.entry(hash.compact_revision).or_default().push((hash.member_id, hash.hash));
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
    strangers(context, &mut check);
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

/// Who answers as a member is in some member list, before or after.
fn strangers(context: &Context<'_>, check: &mut Check) {
    let rounds = &context.timeline.rounds;
    let listed: BTreeSet<MemberId> =
        rounds.iter().flat_map(|round| round.lists().flatten().map(|member| member.member_id)).collect();
    let mut told = BTreeSet::new();
    for round in rounds {
        for status in round.seen.members.iter().filter_map(|member| member.status.answer()) {
            if !listed.contains(&status.member_id) && told.insert(status.member_id) {
                check.wrong(Some(round.end), || {
                    format!("member {} answered, and is in no member list", status.member_id)
                });
            }
        }
    }
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
    let told = context.timeline.last_told();
    if let Some((round, wrong)) = told.and_then(|round| Some((round, round.listed_wrong(size)?))) {
        check.wrong(Some(round.end), || wrong);
    }
    let mut recent = rounds.iter().rev().take_while(|round| last.start.since(round.start) <= MOMENT);
    if recent.clone().all(|round| round.seen.members.is_empty()) {
        return check.not_checked("the probe asked nobody at the end");
    }
    if check.is_clean() && !recent.any(|round| round.is_healthy(size)) {
        check.wrong(Some(last.end), || last.unhealthy(size).unwrap_or_default());
    }
    if !context.probes_whole {
        check.undecided("the record of the probes is not whole");
    }
    let names: Vec<String> = told.map(|round| round.names().into_values().collect()).unwrap_or_default();
    check.conclude(format!("at the end {size} voters were listed and answered: {}", names.join(", ")))
}
