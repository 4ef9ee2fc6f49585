//! What the probe saw when it asked every member. A question that got no answer is an observation too.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ClusterId, Elapsed, MemberId, Revision};

/// One round of questions, to all members at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeRound {
    /// Counts from 1 without gaps; not known in records of the format before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Before the first question.
    pub start: Elapsed,
    /// After the last answer or time-out.
    pub end: Elapsed,
    /// One entry for each address that the peers' DNS name resolved to, by address; for those that it resolved to before, if it
    /// does not resolve now.
    pub members: Vec<ProbedMember>,
    /// Why the peers' DNS name did not resolve, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_error: Option<String>,
}

/// The answers of the member behind one pod address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbedMember {
    /// The pod's address.
    pub address: String,
    /// `Maintenance.Status`: answered from memory, proves nothing about quorum.
    pub status: Observation<MemberStatus>,
    /// A linearizable read through this member: proves that it reaches a quorum.
    pub read: Observation<QuorumRead>,
    /// The member list asked of this member after its linearizable read.
    pub members: Observation<Vec<ListedMember>>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation<T> {
    /// It was answered.
    Answered(T),
    /// It was asked and not answered, in the client's words.
    Failed(String),
    /// It was not asked, because an earlier question of the round had no answer.
    NotAsked,
}

impl<T> Observation<T> {
    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&T> {
        match self {
            Observation::Answered(answer) => Some(answer),
            Observation::Failed(_) | Observation::NotAsked => None,
        }
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberStatus {
    /// Its identity.
    pub member_id: MemberId,
    /// The cluster it thinks it belongs to.
    pub cluster_id: ClusterId,
    /// The leader it follows; nothing while it knows none (etcd says 0).
    pub leader: Option<MemberId>,
    /// The raft term of the last entry that it has applied: etcd's status lags behind an election by so much.
    pub term: u64,
    /// Whether it is a learner.
    pub learner: bool,
    /// The etcd version, such as `3.6.16`.
    pub version: String,
    /// The revision that it has applied.
    pub revision: Revision,
    /// The raft index up to which it knows the log to be committed; not known in records of the format before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_index: Option<u64>,
    /// The raft index that it has applied; not known in records of the format before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_index: Option<u64>,
    /// Alarms that it reports, by any member.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub alarms: BTreeSet<AlarmKind>,
}

/// An alarm of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// `NOSPACE`: the quota is used up.
    NoSpace,
    /// `CORRUPT`: members disagree about data.
    Corrupt,
    /// Anything that a newer etcd knows.
    Other,
}

impl AlarmKind {
    /// As etcd prints it.
    pub fn name(self) -> &'static str {
        match self {
            AlarmKind::NoSpace => "NOSPACE",
            AlarmKind::Corrupt => "CORRUPT",
            AlarmKind::Other => "of a kind that this build does not know",
        }
    }
}

/// A linearizable read that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuorumRead {
    /// `header.revision`.
    pub revision: Revision,
    /// `header.cluster_id`.
    pub cluster_id: ClusterId,
    /// When the answer came.
    pub at: Elapsed,
}

/// One entry of a member list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListedMember {
    /// Its identity.
    pub member_id: MemberId,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Whether it is a learner.
    pub learner: bool,
}

/// `HashKV` of all members at one revision, asked for by the harness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HashRound {
    /// Before the first question.
    pub start: Elapsed,
    /// After the last answer.
    pub end: Elapsed,
    /// The revision that every member was asked for.
    pub revision: Revision,
    /// One entry for each address, by address.
    pub members: Vec<HashOfMember>,
}

/// The hash of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HashOfMember {
    /// The pod's address.
    pub address: String,
    /// The answer.
    pub hash: Observation<MemberHash>,
}

/// The answer to `HashKV`. Hashes compare only at the same compact revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberHash {
    /// Who answered.
    pub member_id: MemberId,
    /// The hash of all keys up to the revision.
    pub hash: u32,
    /// `hash_revision`: the revision that was hashed.
    pub revision: Revision,
    /// `compact_revision`.
    pub compact_revision: i64,
}
