//! What the clients asked and were told, sorted into writes and reads, with every write's revision where it can be
//! known. Pure.

use std::collections::HashMap;

use super::clocks::Clocks;
use super::judgement::CallSketch;
use super::log::Log;
use crate::history::{
    Acknowledgement, Call, Found, Key, Operation, Outcome, Reply, Revision, TransactionCall, Value,
};

/// All operations of a run, sorted by what they can prove.
pub(super) struct Ledger<'a> {
    /// Calls that wrote, were refused to write, or may have written.
    pub(super) writes: Vec<Write<'a>>,
    /// Keys that were read, by gets and by transactions whose comparisons did not hold.
    pub(super) reads: Vec<Read<'a>>,
    /// Transactions with what became of them.
    pub(super) transactions: Vec<(&'a TransactionCall, Fate, &'a Operation)>,
    /// Every write by each of its values.
    pub(super) by_value: HashMap<&'a Value, usize>,
    /// Values that two calls tried to write: the load promises that there are none.
    pub(super) repeated: Vec<&'a Value>,
    /// Calls that were answered with something that does not belong to them.
    pub(super) senseless: Vec<&'a Operation>,
}

/// What became of a write or a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged, at this revision.
    Acknowledged(Revision),
    /// Acknowledged as a transaction whose comparisons did not hold at this revision.
    NotApplied(Revision),
    /// Certainly did not happen.
    Refused,
    /// Nobody told the client; the log shows it at this revision, or does not show it.
    Unknown(Option<Revision>),
}

/// A call that writes.
pub(super) struct Write<'a> {
    pub(super) operation: &'a Operation,
    pub(super) puts: Vec<(&'a Key, &'a Value)>,
    pub(super) fate: Fate,
}

/// One key that was read.
pub(super) struct Read<'a> {
    pub(super) operation: &'a Operation,
    pub(super) key: &'a Key,
    pub(super) found: Option<&'a Found>,
    /// The store's revision when it was read.
    pub(super) revision: Revision,
}

impl<'a> Ledger<'a> {
    /// Sorts the operations of a run; outcomes that no client knows are looked up in the log.
    pub(super) fn new(operations: &'a [Operation], log: &Log<'_>) -> Ledger<'a> {
        let mut ledger = Ledger {
            writes: Vec::new(),
            reads: Vec::new(),
            transactions: Vec::new(),
            by_value: HashMap::new(),
            repeated: Vec::new(),
            senseless: Vec::new(),
        };
        for operation in operations {
            match &operation.call {
                Call::Put { key, value } => ledger.take_put(operation, key, value, log),
                Call::Get { key } => ledger.take_get(operation, key),
                Call::Transaction(call) => ledger.take_transaction(operation, call, log),
            }
        }
        ledger
    }

    fn take_put(&mut self, operation: &'a Operation, key: &'a Key, value: &'a Value, log: &Log<'_>) {
        let fate = match &operation.outcome {
            Outcome::Acknowledged(Acknowledgement { revision, reply: Reply::Put, .. }) => {
                Fate::Acknowledged(*revision)
            }
            Outcome::Acknowledged(_) => return self.senseless.push(operation),
            Outcome::Failed { .. } => Fate::Refused,
            Outcome::Unknown { .. } => Fate::Unknown(seen_in(log, value)),
        };
        self.add_write(Write { operation, puts: vec![(key, value)], fate });
    }

    fn take_get(&mut self, operation: &'a Operation, key: &'a Key) {
        match &operation.outcome {
            Outcome::Acknowledged(Acknowledgement { revision, reply: Reply::Get { found }, .. }) => {
                self.reads.push(Read { operation, key, found: found.as_ref(), revision: *revision });
            }
            Outcome::Acknowledged(_) => self.senseless.push(operation),
            Outcome::Failed { .. } | Outcome::Unknown { .. } => {}
        }
    }

    fn take_transaction(&mut self, operation: &'a Operation, call: &'a TransactionCall, log: &Log<'_>) {
        let fate = match &operation.outcome {
            Outcome::Acknowledged(Acknowledgement {
                revision,
                reply: Reply::Transaction { succeeded, found },
                ..
            }) => {
                let keys = if *succeeded { &[] } else { call.otherwise_get.as_slice() };
                if found.len() != keys.len() {
                    return self.senseless.push(operation);
                }
                for (key, found) in keys.iter().zip(found) {
                    self.reads.push(Read { operation, key, found: found.as_ref(), revision: *revision });
                }
                if *succeeded { Fate::Acknowledged(*revision) } else { Fate::NotApplied(*revision) }
            }
            Outcome::Acknowledged(_) => return self.senseless.push(operation),
            Outcome::Failed { .. } => Fate::Refused,
            Outcome::Unknown { .. } => {
                Fate::Unknown(call.puts.iter().find_map(|(_, value)| seen_in(log, value)))
            }
        };
        self.transactions.push((call, fate, operation));
        let puts: Vec<_> = call.puts.iter().map(|(key, value)| (key, value)).collect();
        self.add_write(Write { operation, puts, fate });
    }

    fn add_write(&mut self, write: Write<'a>) {
        for (_, value) in &write.puts {
            if self.by_value.insert(value, self.writes.len()).is_some() {
                self.repeated.push(value);
            }
        }
        self.writes.push(write);
    }

    /// Writes that were acknowledged, with their revisions.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = (&Write<'a>, Revision)> {
        self.writes.iter().filter_map(|write| match write.fate {
            Fate::Acknowledged(revision) if !write.puts.is_empty() => Some((write, revision)),
            Fate::Acknowledged(_) | Fate::NotApplied(_) | Fate::Refused | Fate::Unknown(_) => None,
        })
    }
}

fn seen_in(log: &Log<'_>, value: &Value) -> Option<Revision> {
    log.written(value).first().map(|event| event.revision)
}

/// What came of an operation, in a few words.
fn outcome(operation: &Operation) -> String {
    match &operation.outcome {
        Outcome::Acknowledged(answer) => {
            let saw = match &answer.reply {
                Reply::Get { found: Some(found) } => {
                    format!(", saw {} of revision {}", found.value, found.modified_at)
                }
                Reply::Get { found: None } => ", saw nothing".to_owned(),
                Reply::Transaction { succeeded: false, .. } => ", not applied".to_owned(),
                Reply::Transaction { succeeded: true, .. } | Reply::Put => String::new(),
            };
            format!("answered at revision {}{saw}", answer.revision)
        }
        Outcome::Failed { .. } => "refused".to_owned(),
        Outcome::Unknown { .. } => "no answer".to_owned(),
    }
}

/// An operation as it is drawn; nothing if the record does not say when it was.
pub(super) fn sketch(clocks: &Clocks, operation: &Operation) -> Option<CallSketch> {
    let (from, until) = (clocks.of_load(operation.start)?, clocks.of_load(operation.end)?);
    Some(CallSketch { name: name(operation), outcome: outcome(operation), from, until })
}

/// How findings call an operation.
pub(super) fn name(operation: &Operation) -> String {
    let what = match &operation.call {
        Call::Put { key, .. } => format!("put {key}"),
        Call::Get { key } => format!("get {key}"),
        Call::Transaction(call) => match call.puts.first() {
            Some((key, _)) => format!("transaction on {key}"),
            None => "transaction".to_owned(),
        },
    };
    format!("{what} ({}, call {})", operation.client, operation.sequence)
}
