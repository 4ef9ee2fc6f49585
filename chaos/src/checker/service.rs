//! The rule about the client Service: it leads to every member that serves. Pure. A Service that knows one member only loses all
//! its clients with that member, and until then nobody notices.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use crate::history::{ClientId, MemberId, Operation, Outcome, SentTo, UnixNanoseconds};

/// Clients of the Service connect anew so often, and come to a member by chance each time.
const CONNECTION: u64 = 1_000_000_000;
/// With so many connections for each member, chance leaves one out in one run of a million.
const CONNECTIONS_PER_MEMBER: usize = 12;

/// Each voter answers through the Service while no fault is aimed at it.
pub(super) fn reaches_all(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ServiceReachesAll);
    if !context.is_current() {
        return check.not_checked("the record does not say which calls went through the Service");
    }
    let mut answered: BTreeMap<MemberId, u64> = BTreeMap::new();
    for (_, answer) in through_the_service(context) {
        *answered.entry(answer).or_default() += 1;
    }
    let members = lasting_members(context);
    let mut untold = 0;
    for id in members.iter().filter(|id| !answered.contains_key(id)) {
        let connections = connections_while_untouched(context, *id);
        if connections < CONNECTIONS_PER_MEMBER * members.len() {
            untold += 1;
            continue;
        }
        let name = context.timeline.pods.name_of(*id).unwrap_or_default();
        check.wrong(None, || {
            format!(
                "none of {connections} connections through the Service reached {name} ({id}), which served"
            )
        });
    }
    let each: Vec<String> =
        answered.iter().map(|(id, count)| format!("{id}: {}", human::count(*count))).collect();
    let open = match untold {
        0 => String::new(),
        more => format!("; too few connections to tell about {}", human::plural(more, "other")),
    };
    check.conclude(format!("answered calls through the Service, by member: {}{open}", each.join(", ")))
}

/// Calls that were answered through the Service, and by whom.
fn through_the_service<'a>(context: &'a Context<'_>) -> impl Iterator<Item = (&'a Operation, MemberId)> {
    context.record.load.operations.iter().filter_map(|operation| {
        match (&operation.sent_to, &operation.outcome) {
            (Some(SentTo::Service), Outcome::Acknowledged(answer)) => Some((operation, answer.member_id)),
            _ => None,
        }
    })
}

/// Voters of the first and of the last member list.
fn lasting_members(context: &Context<'_>) -> BTreeSet<MemberId> {
    let rounds = || context.timeline.rounds.iter().filter(|round| round.tells_members());
    let (Some(first), Some(last)) = (rounds().next(), rounds().next_back()) else { return BTreeSet::new() };
    first.voters().intersection(&last.voters()).copied().collect()
}

/// How many connections answered through the Service while no fault was aimed at a member.
fn connections_while_untouched(context: &Context<'_>, id: MemberId) -> usize {
    let touched =
        |at: UnixNanoseconds| context.timeline.may_have_hit(at, at, |target| target.member_id == Some(id));
    let connections: BTreeSet<(ClientId, u64)> = through_the_service(context)
        .filter(|(operation, _)| context.wall(operation.end).is_some_and(|at| !touched(at)))
        .map(|(operation, _)| (operation.client, operation.end.nanoseconds() / CONNECTION))
        .collect();
    connections.len()
}
