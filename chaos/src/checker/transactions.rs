//! The rule about transactions: the comparisons decide, and the writes happen together or not at all. Pure.

use super::context::Context;
use super::findings::Check;
use super::judgement::Assertion;
use super::ledger::{Fate, name};
use super::log::Known;
use super::rule::Rule;
use super::writes::LOG_ENDS;
use crate::history::{Comparison, Expected, Operation, Revision, TransactionCall};

/// The rule about transactions.
pub(super) fn check(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::TransactionsConsistent);
    for (call, fate, operation) in &context.ledger.transactions {
        match fate {
            Fate::Acknowledged(revision) | Fate::Unknown(Some(revision)) => {
                applied(context, &mut check, call, operation, *revision);
            }
            Fate::NotApplied(revision) => not_applied(context, &mut check, call, operation, *revision),
            Fate::Refused | Fate::Unknown(None) => {}
        }
    }
    let count = context.ledger.transactions.len();
    if count == 0 && context.record.schedule.load.mix.transaction > 0 {
        return check.not_checked("no transaction was made");
    }
    check.conclude(format!("{count} transactions replayed against the committed log"))
}

fn applied(
    context: &Context<'_>,
    check: &mut Check,
    call: &TransactionCall,
    operation: &Operation,
    revision: Revision,
) {
    let before = Revision(revision.0.saturating_sub(1));
    match holds(context, call, before) {
        Known::Yes(true) => {}
        Known::Yes(false) => check.wrong(context.wall(operation.end), || {
            format!(
                "{} was applied at revision {revision} though its comparisons did not hold there",
                name(operation)
            )
        }),
        Known::No => check.undecided(LOG_ENDS),
    }
    if !context.log.covers(revision) {
        return check.undecided(LOG_ENDS);
    }
    let there = |(key, value): &&(_, _)| {
        context.log.written(value).iter().any(|event| event.revision == revision && event.key == *key)
    };
    let count = call.puts.iter().filter(there).count();
    if count < call.puts.len() {
        check.wrong(context.wall(operation.end), || {
            format!(
                "of the {} writes of {} {count} are at revision {revision}",
                call.puts.len(),
                name(operation)
            )
        });
    }
}

fn not_applied(
    context: &Context<'_>,
    check: &mut Check,
    call: &TransactionCall,
    operation: &Operation,
    revision: Revision,
) {
    match holds(context, call, revision) {
        Known::Yes(false) => {}
        Known::Yes(true) => check.wrong(context.wall(operation.end), || {
            format!(
                "{} was not applied at revision {revision} though its comparisons held there",
                name(operation)
            )
        }),
        Known::No => check.undecided(LOG_ENDS),
    }
    for (key, value) in &call.puts {
        if let Some(event) = context.log.written(value).first() {
            check.wrong(context.wall(operation.end), || {
                format!(
                    "{} was answered as not applied, yet {key} has its value at revision {}",
                    name(operation),
                    event.revision
                )
            });
        }
    }
}

/// Whether all comparisons hold on what was committed up to a revision.
fn holds(context: &Context<'_>, call: &TransactionCall, at: Revision) -> Known<bool> {
    let mut all = true;
    for Comparison { key, expected } in &call.comparisons {
        let Known::Yes(held) = context.log.held_at(key, at) else { return Known::No };
        all &= match expected {
            Expected::Absent => held.is_none(),
            Expected::ModifiedAt { revision } => held.is_some_and(|held| held.modified_at == *revision),
            Expected::Value { value } => held.is_some_and(|held| held.value == value),
        };
    }
    Known::Yes(all)
}
