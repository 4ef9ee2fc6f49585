//! The rule about backups: a cluster that began with one has what was committed until then, no more and no less. Pure. Whether there was a
//! backup at all is for the rules about what was asked for.

use std::collections::BTreeMap;

use super::context::Context;
use super::findings::Check;
use super::judgement::Assertion;
use super::ledger::name;
use super::log::Known;
use super::rule::Rule;
use super::timeline::Story;
use super::writes::{LOAD_ENDS, LOG_ENDS};
use crate::history::{CommittedChange, CommittedEvent, Key, Revision, UnixNanoseconds};
use crate::record::Proof;
use crate::scenario::Fault;

/// What is known of one backup.
struct Backup<'a> {
    revision: Revision,
    entries: &'a [CommittedEvent],
    /// The revision of the cluster that began with it.
    restored_at: Revision,
    /// Before it was asked for.
    before: UnixNanoseconds,
}

/// One assertion for each backup that was asked for.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    let backups = context.timeline.faults.iter().filter(|story| story.step.fault == Fault::Backup);
    backups.map(|story| holds_data(context, story)).collect()
}

fn holds_data(context: &Context<'_>, story: &Story<'_>) -> Assertion {
    let mut check = Check::of_fault(Rule::BackupHoldsData, &story.step.name);
    let Some(backup) = known(story) else {
        return check.not_checked("no cluster that began with it was read");
    };
    if !context.log.covers(backup.revision) || !context.log.is_from_the_start() {
        return check.not_checked(LOG_ENDS);
    }
    let has: BTreeMap<&Key, &CommittedEvent> =
        backup.entries.iter().map(|entry| (&entry.key, entry)).collect();
    if has.len() < backup.entries.len() {
        check.wrong(story.injected, || "the cluster that began with it has a key twice".to_owned());
    }
    for entry in backup.entries {
        is_as_committed(context, &mut check, &backup, entry);
    }
    let mut keys: Vec<&Key> = context.log.keys().map(|(key, _)| *key).collect();
    keys.sort();
    for key in keys.into_iter().filter(|key| !has.contains_key(key)) {
        if let Known::Yes(Some(held)) = context.log.held_at(key, backup.revision) {
            check.wrong(story.injected, || {
                format!("lost: {key} = {} of revision {} is not in it", held.value, held.modified_at)
            });
        }
    }
    let last = context.record.final_read.as_ref().map(|read| read.revision);
    if last.is_some_and(|last| backup.restored_at <= last) {
        check.wrong(story.injected, || {
            format!(
                "the cluster that began with it is at revision {}: whoever has seen that one in the old cluster takes no notice of the restore",
                backup.restored_at
            )
        });
    }
    let writes = acknowledged_before(context, &mut check, &backup);
    if writes == 0 || backup.entries.is_empty() {
        check.undecided("nothing was acknowledged before it was asked for");
    }
    check.conclude(format!(
        "{} keys compared with the committed log at revision {}, and {writes} writes that were acknowledged before it was asked for",
        backup.entries.len(),
        backup.revision
    ))
}

fn known<'a>(story: &Story<'a>) -> Option<Backup<'a>> {
    let revision = story.proofs.iter().find_map(|(_, _, proof)| match proof {
        Proof::BackupStored { revision, .. } => Some(*revision),
        _ => None,
    })?;
    let (restored_at, entries) = story.proofs.iter().find_map(|(_, _, proof)| match proof {
        Proof::BackupRestored { revision, entries } => Some((*revision, entries.as_slice())),
        _ => None,
    })?;
    Some(Backup { revision, entries, restored_at, before: story.injecting? })
}

/// What a key has after the restore is what it had at the backup's revision.
fn is_as_committed(context: &Context<'_>, check: &mut Check, backup: &Backup<'_>, entry: &CommittedEvent) {
    let CommittedEvent { revision, key, change } = entry;
    let CommittedChange::Put { value, version } = change else {
        return check.wrong(None, || format!("{key} is there and was deleted, at once"));
    };
    match context.log.held_at(key, backup.revision) {
        Known::No => check.undecided(LOG_ENDS),
        Known::Yes(None) => check.wrong(None, || format!("invented: {key} = {value} was not there then")),
        Known::Yes(Some(held)) => {
            if (held.value, held.modified_at, held.version) != (value, *revision, *version) {
                check.wrong(None, || {
                    format!(
                        "changed: {key} is {value} of revision {revision}, version {version}; the log has {} of revision {}, version {}",
                        held.value, held.modified_at, held.version
                    )
                });
            }
        }
    }
}

/// Nothing that was acknowledged before it was asked for is later than its end; how many writes that are.
fn acknowledged_before(context: &Context<'_>, check: &mut Check, backup: &Backup<'_>) -> usize {
    let mut writes = 0;
    for (write, revision) in context.ledger.acknowledged() {
        let Some(end) = context.wall(write.operation.end) else {
            check.undecided("the clocks of load and harness are not known");
            continue;
        };
        if end.plus(context.clock_error()) >= backup.before {
            continue;
        }
        writes += 1;
        if revision > backup.revision {
            check.wrong_calls(context.sketches(&[write.operation]), || {
                format!(
                    "{} was acknowledged at revision {revision} before the backup was asked for, which ends at revision {}",
                    name(write.operation),
                    backup.revision
                )
            });
        }
    }
    if !context.load_whole {
        check.undecided(LOAD_ENDS);
    }
    writes
}
