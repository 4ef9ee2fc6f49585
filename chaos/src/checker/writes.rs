//! Rules about writes: kept if acknowledged, absent if refused, made once, and nobody else's. Pure.

use std::collections::HashMap;

use super::context::Context;
use super::findings::Check;
use super::judgement::Assertion;
use super::ledger::{Fate, Write, name};
use super::rule::Rule;
use crate::history::{CommittedChange, CommittedEvent, Key, Revision, Value};

/// The log was not read to the point that a rule needs.
pub(super) const LOG_ENDS: &str = "the committed log was not read that far";
/// The calls of some client are missing from the record.
pub(super) const LOAD_ENDS: &str = "the record of the clients is not whole";

/// All rules about writes.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    vec![acknowledged_writes_kept(context), refused_writes_absent(context), log_explained(context)]
}

fn acknowledged_writes_kept(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::AcknowledgedWritesKept);
    let mut writes = 0;
    for (write, revision) in context.ledger.acknowledged() {
        writes += 1;
        let ended_at = context.record.final_read.as_ref().map(|read| read.revision);
        if let Some(ended_at) = ended_at.filter(|ended_at| revision > *ended_at) {
            check.wrong_calls(context.sketches(&[write.operation]), || {
                format!(
                    "{} was acknowledged at revision {revision}, but the cluster ended at revision {ended_at}",
                    name(write.operation)
                )
            });
            continue;
        }
        if !context.log.covers(revision) {
            check.undecided(LOG_ENDS);
            continue;
        }
        for (key, value) in &write.puts {
            let events = context.log.written(value);
            if !events.iter().any(|event| event.revision == revision && event.key == **key) {
                let calls = context.sketches(&[write.operation]);
                check.wrong_calls(calls, || lost(write, key, value, revision, events));
            }
        }
    }
    if writes == 0 {
        return check.not_checked("no write was acknowledged");
    }
    for operation in &context.ledger.senseless {
        check.wrong(context.wall(operation.end), || {
            format!("{} was answered with another call's answer", name(operation))
        });
    }
    check.conclude(format!("{writes} acknowledged writes looked up in the committed log"))
}

fn lost(
    write: &Write<'_>,
    key: &Key,
    value: &Value,
    revision: Revision,
    events: &[&CommittedEvent],
) -> String {
    let name = name(write.operation);
    match events.first() {
        None => format!(
            "lost: {name}, acknowledged at revision {revision}; {key} = {value} is nowhere in the log"
        ),
        Some(event) => format!(
            "moved: {name}, acknowledged at revision {revision}; the log has {value} under {} at revision {}",
            event.key, event.revision
        ),
    }
}

fn refused_writes_absent(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::RefusedWritesAbsent);
    let mut refused = 0;
    for write in context.ledger.writes.iter().filter(|write| write.fate == Fate::Refused) {
        refused += 1;
        for (key, value) in &write.puts {
            if let Some(event) = context.log.written(value).first() {
                check.wrong_calls(context.sketches(&[write.operation]), || {
                    format!(
                        "{} was refused, yet {key} = {value} is at revision {}",
                        name(write.operation),
                        event.revision
                    )
                });
            } else if !context.final_whole {
                check.undecided(LOG_ENDS);
            }
        }
    }
    check.conclude(format!("{refused} refused writes looked up in the committed log"))
}

fn log_explained(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::LogExplained);
    let mut changes = 0;
    let mut keys: Vec<_> = context.log.keys().collect();
    keys.sort_by_key(|(key, _)| **key);
    for (key, events) in keys {
        changes += events.len();
        let mut version_before = context.log.is_from_the_start().then_some(0);
        for event in events {
            match &event.change {
                CommittedChange::Delete => {
                    check.wrong(None, || {
                        format!("{key} was deleted at revision {}; the load never deletes", event.revision)
                    });
                    version_before = Some(0);
                }
                CommittedChange::Put { value, version } => {
                    explain(context, &mut check, key, event, value);
                    if version_before.is_some_and(|before| *version != before + 1) {
                        check.wrong(None, || {
                            format!(
                                "{key} has version {version} at revision {}: a change is missing before it",
                                event.revision
                            )
                        });
                    }
                    version_before = Some(*version);
                }
            }
        }
    }
    repeated(context, &mut check);
    if context.record.final_read.is_none() {
        return check.not_checked("the committed log was not read");
    }
    if !context.final_whole {
        check.undecided(LOG_ENDS);
    }
    check.conclude(format!("{changes} committed changes traced back to the calls that made them"))
}

fn explain(context: &Context<'_>, check: &mut Check, key: &Key, event: &CommittedEvent, value: &Value) {
    let revision = event.revision;
    let writer = context.ledger.by_value.get(value).map(|index| &context.ledger.writes[*index]);
    match writer {
        Some(write) if write.puts.contains(&(key, value)) => {
            // The first place is the write; each further one is a repetition that nobody asked for.
            let first = context.log.written(value).first().map(|first| first.revision);
            if first != Some(revision) {
                check.wrong(context.wall(write.operation.start), || {
                    format!("{} took effect again at revision {revision}", name(write.operation))
                });
            }
        }
        Some(write) => check.wrong(context.wall(write.operation.start), || {
            format!("{} is under {key} at revision {revision}", name(write.operation))
        }),
        None if context.load_whole => {
            check.wrong(None, || format!("{key} = {value} at revision {revision} was written by nobody"));
        }
        None => check.undecided(LOAD_ENDS),
    }
}

/// Unique values are what the whole judgement rests on.
fn repeated(context: &Context<'_>, check: &mut Check) {
    let mut counts: HashMap<&Value, usize> = HashMap::new();
    for value in &context.ledger.repeated {
        *counts.entry(value).or_default() += 1;
    }
    for _ in &counts {
        check.undecided("the load wrote one value twice, so that the log cannot tell its writes apart");
    }
}
