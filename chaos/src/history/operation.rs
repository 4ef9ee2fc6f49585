//! What clients asked, what they were told, and what the cluster says afterwards that it committed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClientId, ClusterId, Elapsed, Key, MemberId, Revision, Value};

/// One call of one client. A client has one call open at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// Who called.
    pub client: ClientId,
    /// The number of the call within its client, from 0 without gaps.
    pub sequence: u64,
    /// Taken before the first byte is sent.
    pub start: Elapsed,
    /// Taken after the answer is read, or when the client gave up waiting.
    pub end: Elapsed,
    /// Where it was sent; not known in records of the format before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<SentTo>,
    /// What was asked.
    pub call: Call,
    /// What the client knows about it.
    pub outcome: Outcome,
}

/// Where a call was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentTo {
    /// To the client Service: whoever it chose.
    Service,
    /// To the member with this pod address.
    Member(String),
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Call {
    /// Write one value.
    Put {
        /// The key.
        key: Key,
        /// Never written before in this run.
        value: Value,
    },
    /// A linearizable read of one key.
    Get {
        /// The key.
        key: Key,
    },
    /// Compare, then write or read.
    Transaction(TransactionCall),
}

/// `if` every comparison holds then put, otherwise read: the shape that etcd's users build compare-and-swap from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransactionCall {
    /// All must hold for the writes to happen.
    pub comparisons: Vec<Comparison>,
    /// Written in one revision if the comparisons hold; each value never written before in this run, each key once.
    pub puts: Vec<(Key, Value)>,
    /// Read if a comparison does not hold.
    pub otherwise_get: Vec<Key>,
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    /// The key.
    pub key: Key,
    /// What must be so.
    pub expected: Expected,
}

/// What a comparison demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Expected {
    /// The key does not exist (its create revision is 0).
    Absent,
    /// The key was last changed at this revision.
    ModifiedAt {
        /// The modification revision.
        revision: Revision,
    },
    /// The key holds this value.
    Value {
        /// The value.
        value: Value,
    },
}

/// What a client knows about its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// etcd answered that it is done.
    Acknowledged(Acknowledgement),
    /// It certainly did not happen: etcd refused it, or nothing was ever sent.
    Failed {
        /// Why, in the words of whoever refused.
        error: String,
    },
    /// It may have happened, or may still happen: time-out, broken connection.
    Unknown {
        /// What the client saw.
        error: String,
    },
}

/// What a client says that gave up waiting.
pub fn no_answer(limit: Duration) -> String {
    format!("{NO_ANSWER} {} ms", limit.as_millis())
}

/// Whether a client's words are those of [`no_answer`].
pub fn is_no_answer(error: &str) -> bool {
    error.starts_with(NO_ANSWER)
}

const NO_ANSWER: &str = "no answer within";

/// An answer of etcd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acknowledgement {
    /// `header.revision`: for a write the revision that it made; for a read the store's revision when it was served.
    pub revision: Revision,
    /// `header.cluster_id`.
    pub cluster_id: ClusterId,
    /// `header.member_id`.
    pub member_id: MemberId,
    /// The answer to the call.
    pub reply: Reply,
}

/// The part of an answer that depends on the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Call::Put`].
    Put,
    /// To [`Call::Get`].
    Get {
        /// What the key held; nothing if it did not exist.
        found: Option<Found>,
    },
    /// To [`Call::Transaction`].
    Transaction {
        /// Whether the comparisons held.
        succeeded: bool,
        /// What `otherwise_get` read, in its order; empty if the comparisons held.
        found: Vec<Option<Found>>,
    },
}

/// What a read found under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// The revision that wrote it.
    pub modified_at: Revision,
    /// How often the key was written since it was created.
    pub version: u64,
}

/// What the final read covers. It is taken after all clients have stopped and all faults are healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinalRead {
    /// The store's revision by a linearizable read; the events go up to it, inclusive.
    pub revision: Revision,
    /// The oldest revision that the events cover: 1 unless the cluster compacted its history.
    pub first_revision: Revision,
    /// The cluster that answered.
    pub cluster_id: ClusterId,
    /// When the linearizable read was answered.
    pub at: Elapsed,
}

/// One change of one key in the committed log, as a watch from the first revision told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommittedEvent {
    /// The revision of the change (`kv.mod_revision`).
    pub revision: Revision,
    /// The key.
    pub key: Key,
    /// What happened to it.
    pub change: CommittedChange,
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CommittedChange {
    /// It was written.
    Put {
        /// The value.
        value: Value,
        /// How often it was written since it was created (`kv.version`).
        version: u64,
    },
    /// It was deleted. The load never deletes.
    Delete,
}
