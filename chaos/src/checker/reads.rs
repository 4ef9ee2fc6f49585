//! Rules about reads: not older than what was acknowledged before, not invented, and what the log says. Pure; one sweep
//! over the operations by time, no search.

use std::collections::HashMap;

use super::context::Context;
use super::findings::Check;
use super::judgement::Assertion;
use super::ledger::{Fate, Read, Write, name};
use super::log::Known;
use super::rule::Rule;
use super::writes::{LOAD_ENDS, LOG_ENDS};
use crate::history::{Elapsed, Found, Key, Operation, Revision};

/// All rules about reads and about the order of revisions.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let mut assertions = if context.ledger.reads.is_empty() {
        [Rule::ReadsNotStale, Rule::ReadsNotInvented, Rule::ReadsMatchLog]
            .map(|rule| Check::new(rule).not_checked("no read was answered"))
            .to_vec()
    } else {
        vec![reads_not_stale(context), reads_not_invented(context), reads_match_log(context)]
    };
    assertions.push(revisions_monotone(context));
    assertions
}

fn reads_not_stale(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ReadsNotStale);
    let mut writes: Vec<(&Write<'_>, Revision)> = context.ledger.acknowledged().collect();
    writes.sort_by_key(|(write, _)| write.operation.end);
    let mut reads: Vec<&Read<'_>> = context.ledger.reads.iter().collect();
    reads.sort_by_key(|read| read.operation.start);
    let mut newest: HashMap<&Key, (Revision, &Operation)> = HashMap::new();
    let mut ended = writes.into_iter().peekable();
    for read in reads {
        while let Some((write, revision)) =
            ended.next_if(|(write, _)| write.operation.end < read.operation.start)
        {
            for (key, _) in &write.puts {
                let entry = newest.entry(key).or_insert((revision, write.operation));
                if entry.0 < revision {
                    *entry = (revision, write.operation);
                }
            }
        }
        let Some((required, by)) = newest.get(read.key) else { continue };
        let seen = read.found.map_or(Revision(0), |found| found.modified_at);
        if seen < *required {
            check.wrong_calls(context.sketches(&[by, read.operation]), || {
                let saw = read.found.map_or_else(|| "nothing".to_owned(), |found| format!("revision {}", found.modified_at));
                let late = (read.operation.start.0 - by.end.0) / 1_000;
                format!(
                    "{} saw {saw}, but {} had been acknowledged at revision {required} {late} µs before it began",
                    name(read.operation),
                    name(by)
                )
            });
        }
    }
    if !context.load_whole {
        check.undecided(LOAD_ENDS);
    }
    check.conclude(format!(
        "{} reads held against the writes acknowledged before them",
        context.ledger.reads.len()
    ))
}

fn reads_not_invented(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ReadsNotInvented);
    for read in &context.ledger.reads {
        let Some(found) = read.found else { continue };
        let writer = context.ledger.by_value.get(&found.value).map(|index| &context.ledger.writes[*index]);
        let why = match writer {
            None if !context.load_whole => {
                check.undecided(LOAD_ENDS);
                continue;
            }
            None => "which nobody wrote",
            Some(write)
                if !write.puts.iter().any(|(key, value)| *key == read.key && **value == found.value) =>
            {
                "which was written to another key"
            }
            Some(write) if write.fate == Fate::Refused => "whose write was refused",
            Some(write) if matches!(write.fate, Fate::NotApplied(_)) => "whose transaction was not applied",
            Some(write) if write.operation.start > read.operation.end => "whose write had not begun",
            Some(_) => continue,
        };
        let mut calls = vec![read.operation];
        calls.extend(writer.map(|write| write.operation));
        check.wrong_calls(context.sketches(&calls), || {
            format!("{} saw {}, {why}", name(read.operation), found.value)
        });
    }
    check.conclude(format!(
        "{} reads traced back to the calls that wrote what they saw",
        context.ledger.reads.len()
    ))
}

fn reads_match_log(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::ReadsMatchLog);
    for read in &context.ledger.reads {
        let Known::Yes(held) = context.log.held_at(read.key, read.revision) else {
            // The final read came after every other one: what it no longer holds is lost.
            let ended_at = context.record.final_read.as_ref().map(|last| last.revision);
            match ended_at.filter(|ended_at| context.final_whole && read.revision > *ended_at) {
                Some(ended_at) => check.wrong(context.wall(read.operation.end), || {
                    format!(
                        "{} was answered at revision {}, but the cluster ended at revision {ended_at}",
                        name(read.operation),
                        read.revision
                    )
                }),
                None => check.undecided(LOG_ENDS),
            }
            continue;
        };
        let same = match (read.found, held) {
            (None, None) => true,
            (Some(Found { value, modified_at, version }), Some(held)) => {
                value == held.value && *modified_at == held.modified_at && *version == held.version
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !same {
            let writer = held.and_then(|held| context.ledger.by_value.get(held.value));
            let mut calls = vec![read.operation];
            calls.extend(writer.map(|index| context.ledger.writes[*index].operation));
            check.wrong_calls(context.sketches(&calls), || {
                let saw = read.found.map_or_else(
                    || "nothing".to_owned(),
                    |found| format!("{} of revision {}", found.value, found.modified_at),
                );
                let log = held.map_or_else(
                    || "nothing".to_owned(),
                    |held| format!("{} of revision {}", held.value, held.modified_at),
                );
                format!(
                    "{} saw {saw} at revision {}, where the log has {log}",
                    name(read.operation),
                    read.revision
                )
            });
        }
    }
    check.conclude(format!("{} reads compared with the log at their revisions", context.ledger.reads.len()))
}

/// An operation with the revision at which it took effect.
struct Pinned<'a> {
    operation: &'a Operation,
    revision: Revision,
    writes: bool,
    /// When its effect was certainly there; never for a write that nobody acknowledged.
    end: Option<Elapsed>,
}

fn pinned<'a>(context: &'a Context<'_>) -> Vec<Pinned<'a>> {
    let mut all = Vec::new();
    for write in &context.ledger.writes {
        let operation = write.operation;
        let end = Some(operation.end);
        match write.fate {
            Fate::Acknowledged(revision) => {
                all.push(Pinned { operation, revision, writes: !write.puts.is_empty(), end });
            }
            Fate::NotApplied(revision) => all.push(Pinned { operation, revision, writes: false, end }),
            Fate::Unknown(Some(revision)) => {
                all.push(Pinned { operation, revision, writes: true, end: None })
            }
            Fate::Unknown(None) | Fate::Refused => {}
        }
    }
    // Reads of transactions are pinned by their transaction already.
    let gets = context
        .ledger
        .reads
        .iter()
        .filter(|read| matches!(read.operation.call, crate::history::Call::Get { .. }));
    all.extend(gets.map(|read| Pinned {
        operation: read.operation,
        revision: read.revision,
        writes: false,
        end: Some(read.operation.end),
    }));
    all
}

fn revisions_monotone(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::RevisionsMonotone);
    let all = pinned(context);
    let mut by_start: Vec<&Pinned<'_>> = all.iter().collect();
    by_start.sort_by_key(|pinned| pinned.operation.start);
    let mut by_end: Vec<(Elapsed, &Pinned<'_>)> =
        all.iter().filter_map(|pinned| Some((pinned.end?, pinned))).collect();
    by_end.sort_by_key(|(end, _)| *end);
    let mut ended = by_end.into_iter().peekable();
    let mut latest: Option<&Pinned<'_>> = None;
    for later in by_start {
        while let Some((_, earlier)) = ended.next_if(|(end, _)| *end < later.operation.start) {
            if latest.is_none_or(|latest| latest.revision < earlier.revision) {
                latest = Some(earlier);
            }
        }
        let Some(earlier) = latest else { continue };
        let in_order =
            if later.writes { earlier.revision < later.revision } else { earlier.revision <= later.revision };
        if !in_order {
            check.wrong_calls(context.sketches(&[earlier.operation, later.operation]), || {
                format!(
                    "{} took effect at revision {}, though {} at revision {} had ended before it began",
                    name(later.operation),
                    later.revision,
                    name(earlier.operation),
                    earlier.revision
                )
            });
        }
    }
    one_write_a_revision(context, &mut check, &all);
    if all.is_empty() {
        return check.not_checked("no call was answered");
    }
    check.conclude(format!("{} calls with a revision put in the order of time", all.len()))
}

fn one_write_a_revision(context: &Context<'_>, check: &mut Check, all: &[Pinned<'_>]) {
    let mut made_by: HashMap<Revision, &Operation> = HashMap::new();
    for pinned in all.iter().filter(|pinned| pinned.writes) {
        if let Some(other) = made_by.insert(pinned.revision, pinned.operation) {
            check.wrong_calls(context.sketches(&[other, pinned.operation]), || {
                let (one, two) = (name(other), name(pinned.operation));
                format!("{one} and {two} both made revision {}", pinned.revision)
            });
        }
    }
}
