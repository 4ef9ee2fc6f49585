//! The rule about members that are removed: no healthy voter goes while it is needed, or unasked. Pure. Members are known by their
//! identity in etcd: a name may be used again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::asked;
use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use crate::history::{MemberId, UnixNanoseconds};

/// A voter that answered so short a time before it was last listed was healthy when it was removed.
const JUST_NOW: Duration = Duration::from_secs(2);
/// A new size may be acted on before the harness has written down that it declared it.
const WRITING_DOWN: Duration = Duration::from_secs(1);

/// A voter that left the member list.
struct Departure<'a> {
    id: MemberId,
    name: &'a str,
    /// The beginning of the last round in which it was listed.
    last: UnixNanoseconds,
    /// The end of the next round that told a list without it.
    without: UnixNanoseconds,
    /// How many voters were listed in the last round with it.
    voters: usize,
    /// How many of those voters were not there any more in the next round.
    went: usize,
    /// How many learners of the last round were voters in the next one: they took the place of some that went.
    promoted: usize,
}

/// The voters of all member lists that were told in one round.
struct Listed<'a> {
    start: UnixNanoseconds,
    end: UnixNanoseconds,
    voters: BTreeMap<MemberId, &'a str>,
    /// Those that no list of the round calls a voter.
    learners: BTreeSet<MemberId>,
}

fn listed<'a>(context: &Context<'a>) -> Vec<Listed<'a>> {
    let mut told = Vec::new();
    for round in &context.timeline.rounds {
        let lists = round.seen.members.iter().filter_map(|member| member.members.answer());
        let (mut voters, mut learners) = (BTreeMap::new(), BTreeSet::new());
        for member in lists.flatten() {
            if member.learner {
                learners.insert(member.member_id);
            } else {
                voters.insert(member.member_id, member.name.as_str());
            }
        }
        learners.retain(|id| !voters.contains_key(id));
        if !voters.is_empty() {
            told.push(Listed { start: round.start, end: round.end, voters, learners });
        }
    }
    told
}

fn departures<'a>(context: &Context<'a>) -> Vec<Departure<'a>> {
    let rounds = listed(context);
    let mut last: BTreeMap<MemberId, usize> = BTreeMap::new();
    for (index, round) in rounds.iter().enumerate() {
        last.extend(round.voters.keys().map(|id| (*id, index)));
    }
    let departed = last.into_iter().filter_map(|(id, index)| {
        let (before, after) = (&rounds[index], rounds.get(index + 1)?);
        Some(Departure {
            id,
            name: before.voters[&id],
            last: before.start,
            without: after.end,
            voters: before.voters.len(),
            went: before.voters.keys().filter(|id| !after.voters.contains_key(id)).count(),
            promoted: before.learners.iter().filter(|id| after.voters.contains_key(id)).count(),
        })
    });
    departed.collect()
}

/// A healthy voter may go only when fewer are declared, or when another one was added and promoted because a change or a request
/// asked for that. Removing one while another is lost takes the quorum nearer to its end instead of away from it.
pub(super) fn healthy_voters_kept(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::HealthyVotersKept);
    let (departures, lost) = (departures(context), lost_identities(context));
    for departure in departures.iter().filter(|departure| !lost.contains(&departure.id)) {
        let earlier = context.timeline.size_at(departure.last).members();
        let later = context.timeline.size_at(departure.without.plus(WRITING_DOWN)).members();
        let declared = earlier.min(later);
        let asked = asked::for_replacement(context, departure.id, (departure.last, departure.without));
        // One that is promoted and one that goes between two rounds of the probe never stood in one list as voters.
        let promoted = if asked { departure.promoted } else { 0 };
        let is_surplus = departure.went <= (departure.voters + promoted).saturating_sub(declared);
        let is_asked = asked || asked::for_fewer(context, departure.without);
        if !was_healthy(context, departure) {
            continue;
        }
        if is_surplus && !is_asked {
            check.wrong(Some(departure.without), || {
                format!(
                    "{} ({}) answered until another took its place, and nothing asked for that",
                    departure.name, departure.id
                )
            });
        }
        if !is_surplus {
            check.wrong(Some(departure.without), || {
                format!(
                    "{} ({}) answered until it was removed, as one of {} voters while {declared} were declared",
                    departure.name, departure.id, departure.voters
                )
            });
        }
    }
    if !context.probes_whole || !context.events_whole {
        check.undecided("the record of probes or events is not whole");
    } else if context.timeline.rounds.is_empty() {
        return check.not_checked("the probe saw nothing");
    }
    check.conclude(format!("{} left the member list", human::plural(departures.len(), "voter")))
}

/// Members whose data a fault of ours took.
fn lost_identities(context: &Context<'_>) -> BTreeSet<MemberId> {
    let stories = context.timeline.faults.iter().filter(|story| story.step.fault.destroys_data());
    let targets = stories.flat_map(|story| story.targets.unwrap_or_default());
    targets.filter_map(|target| target.member_id).collect()
}

fn was_healthy(context: &Context<'_>, departure: &Departure<'_>) -> bool {
    let rounds = &context.timeline.rounds;
    let mut recent = rounds
        .iter()
        .filter(|round| round.start <= departure.last && departure.last.since(round.start) <= JUST_NOW);
    recent.any(|round| round.answers(departure.id))
}
