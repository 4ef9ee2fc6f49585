//! What load and probe pods write down, as JSON lines. Plain data and its reader: nothing here opens or writes a file.
//!
//! Three kinds of file lie in a run's `history/`, each opened by a [`Header`] and closed by an [`End`]:
//!
//! | file | written by | lines between header and end |
//! |---|---|---|
//! | `load.jsonl` | the load pod | [`Operation`] |
//! | `final.jsonl` | the load pod, after the clients stopped | [`FinalRead`] first, then [`CommittedEvent`] by revision |
//! | `probe.jsonl` | the probe pod | [`ProbeRound`], [`HashRound`] |
//!
//! Times inside one file are nanoseconds on one monotonic clock, counted from the header; the header carries the wall
//! clock of that moment, so that files can be laid beside each other without trusting the wall clock for order.

mod ids;
mod lines;
mod operation;
mod probe;
#[cfg(test)]
mod tests;

pub use ids::{ClientId, ClusterId, Elapsed, Key, MemberId, Revision, UnixNanoseconds, Value};
pub use lines::{CutLine, Lines, ReadError, read_lines, write_line};
pub use operation::{
    Acknowledgement, Call, CommittedChange, CommittedEvent, Comparison, Expected, FinalRead, Found,
    Operation, Outcome, Reply, SentTo, TransactionCall, is_no_answer, no_answer,
};
pub use probe::{
    AlarmKind, HashOfMember, HashRound, ListedMember, MemberHash, MemberStatus, Observation, ProbeRound,
    ProbedMember, QuorumRead,
};

use serde::{Deserialize, Serialize};

/// The format that this build writes.
pub const FORMAT: &str = "etcd-chaos/history/v2";
/// The format before: it does not say where a call was sent, how far a member's raft log had come, and which round of the probe
/// a line is. It is still read; what it cannot show counts as not checked.
pub const FORMAT_BEFORE: &str = "etcd-chaos/history/v1";

/// One line of a history file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// The first line of every file.
    Header(Header),
    /// One call of one client, written when it is over.
    Operation(Operation),
    /// What the final read covers; the first line after the header of `final.jsonl`.
    FinalRead(FinalRead),
    /// One change in the committed log, oldest first.
    Committed(CommittedEvent),
    /// One round of questions to every member.
    Probe(ProbeRound),
    /// One comparison of all members' data at one revision.
    Hash(HashRound),
    /// The last line: the writer says that it is done.
    End(End),
}

/// Who writes a file. Each writer has its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// The clients of the load pod.
    Load,
    /// The final read of the committed log, by the load pod.
    FinalRead,
    /// The probe pod.
    Probe,
}

/// The first line of every history file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// Always [`FORMAT`].
    pub format: String,
    /// Who writes.
    pub writer: Writer,
    /// The wall clock at the moment that every [`Elapsed`] of this file counts from.
    pub zero: UnixNanoseconds,
    /// The key prefix under which the load writes, or empty.
    #[serde(default)]
    pub prefix: String,
    /// The store's revision before the load's first call: nothing below it is the load's. Only in the load's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_revision: Option<Revision>,
}

impl Header {
    /// A header of the current format.
    pub fn new(writer: Writer, zero: UnixNanoseconds, prefix: impl Into<String>) -> Header {
        Header { format: FORMAT.to_owned(), writer, zero, prefix: prefix.into(), first_revision: None }
    }

    /// The wall clock at a moment of this file.
    pub fn wall(&self, elapsed: Elapsed) -> UnixNanoseconds {
        self.zero.plus_nanoseconds(elapsed.nanoseconds())
    }
}

/// The last line of a file whose writer ended in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// When the writer ended.
    pub at: Elapsed,
    /// How many lines stand before this one, header included: a gap in the file shows.
    pub lines: u64,
}
