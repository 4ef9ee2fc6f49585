//! What clients wrote and read was not what the cluster then said it had committed.

use chaos::checker::Rule;
use chaos::history::{Call, CommittedChange, Elapsed, Operation, Outcome, Reply, Revision, Value};
use chaos::record::RunRecord;

use super::view::{MILLISECOND, found_mut, found_of, is_acknowledged, lost, middle, put_revision};
use super::{Recipe, Right};

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        story: "An acknowledged put is missing from the committed log.",
        right: Right::Fail,
        broken: &[Rule::AcknowledgedWritesKept],
        tamper: |record| {
            let revision = put_revision(middle(record, |one| put_revision(one).is_some())).unwrap();
            record.committed.retain(|event| event.revision.0 != revision);
        },
    },
    Recipe {
        story: "A read saw a value whose write was never acknowledged; then the cluster lost both.",
        right: Right::Fail,
        broken: &[Rule::ReadsMatchLog],
        tamper: read_then_lost,
    },
    Recipe {
        story: "A get answered with the value before the newest acknowledged one, under the newest revision.",
        right: Right::Fail,
        broken: &[Rule::ReadsNotStale, Rule::ReadsMatchLog],
        tamper: stale_read,
    },
    Recipe {
        story: "A get saw a value that nobody wrote.",
        right: Right::Fail,
        broken: &[Rule::ReadsNotInvented],
        tamper: |record| {
            let get = middle(record, |one| found_mut(&mut one.clone()).is_some_and(|found| found.is_some()));
            found_mut(get).unwrap().as_mut().unwrap().value = Value("phantom".to_owned());
        },
    },
    Recipe {
        story: "A read saw nothing under a key that had a value.",
        right: Right::Fail,
        broken: &[Rule::ReadsMatchLog],
        tamper: |record| {
            let get = middle(record, |one| found_mut(&mut one.clone()).is_some_and(|found| found.is_some()));
            *found_mut(get).unwrap() = None;
        },
    },
    Recipe {
        story: "Of a transaction that wrote several keys only some are in the log.",
        right: Right::Fail,
        broken: &[Rule::TransactionsConsistent],
        tamper: |record| {
            let transaction = middle(record, |one| wrote_several(one).is_some());
            let value = wrote_several(transaction).unwrap();
            record.committed.retain(
                |event| !matches!(&event.change, CommittedChange::Put { value: written, .. } if *written == value),
            );
        },
    },
    Recipe {
        story: "A write is twice in the log.",
        right: Right::Fail,
        broken: &[Rule::LogExplained],
        tamper: |record| {
            let mut again = record.committed[record.committed.len() / 2].clone();
            let last = record.final_read.as_mut().unwrap();
            last.revision = Revision(last.revision.0 + 1);
            again.revision = last.revision;
            record.committed.push(again);
        },
    },
    Recipe {
        story: "A key was deleted, which nobody asked for.",
        right: Right::Fail,
        broken: &[Rule::LogExplained],
        tamper: |record| {
            let middle = record.committed.len() / 2;
            record.committed[middle].change = CommittedChange::Delete;
        },
    },
    Recipe {
        story: "The cluster ended at a revision below one that it had acknowledged.",
        right: Right::Fail,
        broken: &[Rule::AcknowledgedWritesKept],
        tamper: |record| {
            let last = record.final_read.as_mut().unwrap();
            last.revision = Revision(last.revision.0 - 20);
            let end = last.revision;
            record.committed.retain(|event| event.revision <= end);
        },
    },
    Recipe {
        story: "A transaction was answered as done though its comparison did not hold.",
        right: Right::Fail,
        broken: &[Rule::TransactionsConsistent],
        tamper: |record| {
            let refused = middle(record, |one| {
                matches!(&one.outcome, Outcome::Acknowledged(answer)
                    if matches!(answer.reply, Reply::Transaction { succeeded: false, .. }))
            });
            if let Outcome::Acknowledged(answer) = &mut refused.outcome {
                answer.reply = Reply::Transaction { succeeded: true, found: Vec::new() };
            }
        },
    },
    Recipe {
        story: "A read was answered below a revision that a read before it had shown.",
        right: Right::Fail,
        broken: &[Rule::RevisionsMonotone],
        tamper: |record| {
            let get = middle(record, |one| matches!(one.call, Call::Get { .. }) && is_acknowledged(one));
            if let Outcome::Acknowledged(answer) = &mut get.outcome {
                answer.revision = Revision(answer.revision.0 - 15);
            }
        },
    },
    Recipe {
        story: "The store was compacted before the load began, which takes nothing of the load's away.",
        right: Right::Pass,
        broken: &[],
        tamper: |record| {
            let first = record.load.header.as_ref().unwrap().first_revision.unwrap();
            record.final_read.as_mut().unwrap().first_revision = Revision(first.0 + 1);
        },
    },
    Recipe {
        story: "The store was compacted after the load began: its first writes cannot be looked up.",
        right: Right::Invalid,
        broken: &[Rule::AcknowledgedWritesKept],
        tamper: |record| {
            let first = Revision(record.committed[record.committed.len() / 3].revision.0);
            record.final_read.as_mut().unwrap().first_revision = first;
            record.committed.retain(|event| event.revision >= first);
        },
    },
];

fn wrote_several(operation: &Operation) -> Option<Value> {
    let Call::Transaction(call) = &operation.call else { return None };
    let succeeded = matches!(&operation.outcome, Outcome::Acknowledged(answer)
        if matches!(answer.reply, Reply::Transaction { succeeded: true, .. }));
    (succeeded && call.puts.len() > 1).then(|| call.puts[call.puts.len() - 1].1.clone())
}

fn stale_read(record: &mut RunRecord) {
    let log = record.committed.clone();
    let ended: Vec<(u64, Elapsed)> =
        record.load.operations.iter().filter_map(|one| Some((put_revision(one)?, one.end))).collect();
    let newer = |one: &Operation| {
        let found = found_mut(&mut one.clone())?.clone()?;
        let Call::Get { key } = &one.call else { return None };
        let before =
            log.iter().rev().find(|event| event.key == *key && event.revision < found.modified_at)?;
        let writer = ended.iter().find(|(revision, _)| *revision == found.modified_at.0)?;
        (writer.1 < one.start).then(|| found_of(before))
    };
    let get = middle(record, |one| newer(one).is_some());
    *found_mut(get).unwrap() = newer(&get.clone());
}

/// The newest put becomes unknown to its client, another client sees its value, and the store ends before it.
fn read_then_lost(record: &mut RunRecord) {
    let operations = &mut record.load.operations;
    let last = operations.iter().rposition(|one| put_revision(one).is_some()).unwrap();
    let revision = Revision(put_revision(&operations[last]).unwrap());
    let event = record.committed.iter().find(|event| event.revision == revision).unwrap().clone();
    let mut reader = operations[last].clone();
    for operation in operations.iter_mut() {
        if matches!(&operation.outcome, Outcome::Acknowledged(answer) if answer.revision >= revision) {
            lost(operation);
        }
    }
    let end = operations.iter().map(|one| one.end.0).max().unwrap();
    let of_client = operations.iter().filter(|one| one.client == reader.client);
    reader.sequence = of_client.map(|one| one.sequence).max().unwrap() + 1;
    (reader.start, reader.end) = (Elapsed(end + MILLISECOND), Elapsed(end + 2 * MILLISECOND));
    reader.call = Call::Get { key: event.key.clone() };
    if let Outcome::Acknowledged(answer) = &mut reader.outcome {
        answer.reply = Reply::Get { found: Some(found_of(&event)) };
    }
    operations.push(reader);
    record.committed.retain(|event| event.revision < revision);
    record.final_read.as_mut().unwrap().revision = Revision(revision.0 - 1);
    for hash in &mut record.probes.hashes {
        hash.revision = Revision(revision.0 - 1);
        for member in &mut hash.members {
            if let chaos::history::Observation::Answered(answer) = &mut member.hash {
                answer.revision = Revision(revision.0 - 1);
            }
        }
    }
}
