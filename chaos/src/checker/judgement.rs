//! What the judge says: a verdict, its reason, and every assertion with its evidence. Plain data.

use std::fmt;

use serde::Serialize;

use crate::history::UnixNanoseconds;
use crate::scenario::FaultName;

/// The outcome of a run. A violation is a failure even in a run that is invalid otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything was checked and held.
    Pass,
    /// The run proves nothing: something that must be checked could not be, or the experiment did not take place.
    Invalid,
    /// Something that must hold did not.
    Fail,
}

impl Verdict {
    /// The exit code of a run with this verdict.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            Verdict::Invalid => 2,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Invalid => "invalid",
            Verdict::Fail => "fail",
        })
    }
}

/// Everything that the judge says about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Every assertion, in a fixed order.
    pub assertions: Vec<Assertion>,
    /// What was not checked: assertions that could not be, and what this judge never looks at.
    pub not_checked: Vec<NotChecked>,
    /// Numbers for the report.
    pub statistics: Statistics,
}

/// What is asserted. Each has one word that reports and CI systems know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Each acknowledged write is in the committed log with its key, value and revision.
    AcknowledgedWritesKept,
    /// No write that was refused is in the committed log.
    RefusedWritesAbsent,
    /// Each change in the committed log is a write of the load, made once.
    LogExplained,
    /// No read is older than what was acknowledged before it began.
    ReadsNotStale,
    /// No read shows a value that was never written.
    ReadsNotInvented,
    /// Each read shows what the committed log held at the read's revision.
    ReadsMatchLog,
    /// Whatever began after something else had ended has a later revision.
    RevisionsMonotone,
    /// Each transaction did what its comparisons demand, wholly or not at all.
    TransactionsConsistent,
    /// Every member says the same about all data at one revision.
    MembersAgree,
    /// All members and all answers name one and the same cluster ID.
    OneCluster,
    /// A member whose data was destroyed leaves the list and never answers again: another one takes its place.
    LostMembersReplaced,
    /// No healthy voter left the member list while as many as were listed were declared.
    HealthyVotersKept,
    /// No healthy member's pod was ended for good while it was still in the member list.
    MembersLeaveFirst,
    /// After a fault's end a quorum answers within the bound.
    QuorumBack,
    /// After the last fault's end all members are healthy voters within the bound.
    Recovered,
    /// Acknowledged writes never paused for longer than the bound.
    OutageBounded,
    /// At the end the member list is what the spec declares.
    MembersMatchSpec,
    /// The operator put back what was changed, deleted or added.
    DriftRepaired,
    /// A change of the declared size was carried out.
    ResizeCarriedOut,
    /// The status did not say Ready, Available or healthy for longer than the bound while the probes saw otherwise.
    StatusHonest,
    /// At the end the status says that the cluster is ready.
    StatusReadyAtEnd,
    /// The fault was injected and its effect measured.
    FaultProved,
    /// The fault ended and its end was measured.
    FaultEnded,
    /// There was enough load during the fault to notice harm.
    LoadDuringFault,
    /// There was enough load at all.
    LoadEnough,
    /// The run came to its end.
    RunComplete,
    /// The record is whole.
    RecordWhole,
}

impl Rule {
    /// The word that reports and CI systems know the rule by.
    pub fn id(self) -> &'static str {
        match self {
            Rule::AcknowledgedWritesKept => "acknowledged-writes-kept",
            Rule::RefusedWritesAbsent => "refused-writes-absent",
            Rule::LogExplained => "log-explained",
            Rule::ReadsNotStale => "reads-not-stale",
            Rule::ReadsNotInvented => "reads-not-invented",
            Rule::ReadsMatchLog => "reads-match-log",
            Rule::RevisionsMonotone => "revisions-monotone",
            Rule::TransactionsConsistent => "transactions-consistent",
            Rule::MembersAgree => "members-agree",
            Rule::OneCluster => "one-cluster",
            Rule::HealthyVotersKept => "healthy-voters-kept",
            Rule::QuorumBack => "quorum-back",
            Rule::Recovered => "recovered",
            Rule::OutageBounded => "outage-bounded",
            Rule::MembersMatchSpec => "members-match-spec",
            Rule::MembersLeaveFirst => "members-leave-first",
            Rule::LostMembersReplaced => "lost-members-replaced",
            Rule::DriftRepaired => "drift-repaired",
            Rule::ResizeCarriedOut => "resize-carried-out",
            Rule::StatusHonest => "status-honest",
            Rule::StatusReadyAtEnd => "status-ready-at-end",
            Rule::FaultProved => "fault-proved",
            Rule::FaultEnded => "fault-ended",
            Rule::LoadDuringFault => "load-during-fault",
            Rule::LoadEnough => "load-enough",
            Rule::RunComplete => "run-complete",
            Rule::RecordWhole => "record-whole",
        }
    }

    /// What is wrong if the rule does not hold, as the beginning of a sentence.
    pub fn complaint(self) -> &'static str {
        match self {
            Rule::AcknowledgedWritesKept => "An acknowledged write was lost or changed",
            Rule::RefusedWritesAbsent => "A refused write took effect",
            Rule::LogExplained => "The committed log holds what no client wrote, or lacks what one did",
            Rule::ReadsNotStale => "A read was stale",
            Rule::ReadsNotInvented => "A read showed a value that was never written",
            Rule::ReadsMatchLog => "A read showed what was never committed at its revision",
            Rule::RevisionsMonotone => "Revisions went backwards in real time",
            Rule::TransactionsConsistent => "A transaction did not do what its comparisons demand",
            Rule::MembersAgree => "Members hold different data",
            Rule::OneCluster => "There was more than one cluster",
            Rule::HealthyVotersKept => "A healthy voter was removed without need",
            Rule::QuorumBack => "Quorum was not back in time",
            Rule::Recovered => "The members were not all healthy again in time",
            Rule::OutageBounded => "Writes paused for too long",
            Rule::MembersMatchSpec => "The member list is not what the spec declares",
            Rule::MembersLeaveFirst => "A member's pod was ended for good while the member still had a vote",
            Rule::LostMembersReplaced => "A member that lost its data was not replaced",
            Rule::DriftRepaired => "The operator did not repair what was broken",
            Rule::ResizeCarriedOut => "The operator did not carry out the new size",
            Rule::StatusHonest => "The operator's status lied",
            Rule::StatusReadyAtEnd => "The operator's status is not ready at the end",
            Rule::FaultProved => "A fault had no measured effect",
            Rule::FaultEnded => "A fault was not seen to end",
            Rule::LoadDuringFault => "There was too little load around a fault",
            Rule::LoadEnough => "There was too little load",
            Rule::RunComplete => "The run did not come to its end",
            Rule::RecordWhole => "The record is not whole",
        }
    }

    /// What is asserted, for people.
    pub fn statement(self) -> &'static str {
        match self {
            Rule::AcknowledgedWritesKept => "Every acknowledged write is there, with its revision",
            Rule::RefusedWritesAbsent => "No refused write took effect",
            Rule::LogExplained => "Every committed change is a write of the load, made once",
            Rule::ReadsNotStale => "No read is older than a write acknowledged before it",
            Rule::ReadsNotInvented => "No read shows a value that was never written",
            Rule::ReadsMatchLog => "Every read shows the committed state at its revision",
            Rule::RevisionsMonotone => "Revisions follow real time",
            Rule::TransactionsConsistent => "Transactions are consistent with the committed log",
            Rule::MembersAgree => "All members hold the same data",
            Rule::OneCluster => "There was one cluster ID throughout",
            Rule::HealthyVotersKept => "No healthy voter was removed without need",
            Rule::QuorumBack => "Quorum was back in time",
            Rule::Recovered => "All members were healthy again in time",
            Rule::OutageBounded => "Writes never paused for too long",
            Rule::MembersMatchSpec => "The member list equals the spec",
            Rule::MembersLeaveFirst => "Members leave the list before their pods go",
            Rule::LostMembersReplaced => "A member that lost its data is replaced, never revived",
            Rule::DriftRepaired => "The operator repaired what was broken",
            Rule::ResizeCarriedOut => "The operator carried out the new size",
            Rule::StatusHonest => "The status never lied for long",
            Rule::StatusReadyAtEnd => "The status says ready at the end",
            Rule::FaultProved => "The fault took effect",
            Rule::FaultEnded => "The fault ended",
            Rule::LoadDuringFault => "Writes were acknowledged around the fault",
            Rule::LoadEnough => "There was enough load",
            Rule::RunComplete => "The run came to its end",
            Rule::RecordWhole => "The record is whole",
        }
    }
}

/// How an assertion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was checked and held.
    Held,
    /// It could not be checked.
    NotChecked,
    /// It is about the experiment itself, and the experiment did not take place as planned.
    ProvesNothing,
    /// It was checked and did not hold.
    Violated,
}

/// One assertion about one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assertion {
    /// What is asserted.
    pub rule: Rule,
    /// About which fault, for rules that are about one.
    pub fault: Option<FaultName>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was looked at and what was found, in one sentence.
    pub evidence: String,
    /// The first things that are wrong, at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many things are wrong.
    pub violations: usize,
}

/// More findings than a person reads are counted, not listed.
pub const MOST_FINDINGS: usize = 10;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What, in one sentence.
    pub text: String,
    /// When, where that is known.
    pub at: Option<UnixNanoseconds>,
}

/// Something that the verdict does not speak about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotChecked {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// Whether the run is invalid because of it.
    pub required: bool,
}

/// Numbers for the report. None of them decides anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Calls of all kinds.
    pub operations: u64,
    /// Puts and successful transactions that were acknowledged.
    pub acknowledged_writes: u64,
    /// Reads that were answered, reads of transactions included.
    pub acknowledged_reads: u64,
    /// Calls that certainly did nothing.
    pub failed: u64,
    /// Calls whose outcome the client does not know.
    pub unknown: u64,
    /// Of the writes among them: those that the committed log shows.
    pub unknown_committed: u64,
    /// Of the writes among them: those that it does not.
    pub unknown_absent: u64,
    /// Changes in the committed log.
    pub committed_changes: u64,
    /// Half of the acknowledged calls took at most so long.
    pub latency_median_nanoseconds: u64,
    /// 99 of 100 acknowledged calls took at most so long.
    pub latency_p99_nanoseconds: u64,
    /// The longest time without an acknowledged write, from the first fault on.
    pub longest_outage_nanoseconds: u64,
    /// For each fault in order: how long after its end a quorum answered.
    pub quorum_back_nanoseconds: Vec<(FaultName, Option<u64>)>,
    /// How long after the last fault's end all members were healthy.
    pub recovery_nanoseconds: Option<u64>,
}
