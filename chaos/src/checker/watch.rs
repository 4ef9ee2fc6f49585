//! Rules about those who watched: the probe asked all the time, and the harness saw pods. Pure. What nobody watched is not proved,
//! and nobody else is blamed for it.

use super::context::Context;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;

/// The rule about the probe: from the first fault to the last call it never stood still, and always knew whom to ask.
pub(super) fn probe_kept_watch(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ProbeKeptWatch);
    let rounds = &context.record.probes.rounds;
    if context.timeline.rounds.is_empty() {
        return check.not_checked("the probe saw nothing");
    }
    for (index, round) in rounds.iter().enumerate() {
        let expected = index as u64 + 1;
        if let Some(number) = round.number.filter(|number| *number != expected) {
            check.wrong(context.timeline.clocks.of_probe(round.start), || {
                format!("round {expected} of the probe is missing or out of its place: round {number} is there instead")
            });
            break;
        }
    }
    for pair in rounds.windows(2).filter(|pair| pair[1].start < pair[0].start) {
        check.wrong(context.timeline.clocks.of_probe(pair[0].start), || {
            "a round of the probe began before the one in front of it".to_owned()
        });
    }
    let ends = context.record.load.operations.iter().map(|operation| operation.end).max();
    let until = ends.and_then(|end| context.wall(end)).or(context.timeline.last_seen());
    if let (Some(from), Some(until)) = (context.timeline.faults_began(), until) {
        for (since, again) in context.timeline.blind(from, until) {
            check.wrong(Some(since), || {
                let error = context.timeline.resolve_error_between(since, again);
                let why = error.map_or_else(|| "it stood still".to_owned(), ToOwned::to_owned);
                format!("the probe asked nobody for {}: {why}", human::duration(again.since(since)))
            });
        }
    }
    check.conclude_experiment(format!("{} rounds", human::count(rounds.len() as u64)))
}
