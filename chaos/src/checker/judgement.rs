//! What the judge says: a verdict, its reason, and every assertion with its evidence. Plain data.

use std::fmt;

use serde::Serialize;

use super::rule::Rule;
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
    /// The calls that contradict each other, or the log, in the order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallSketch>,
}

/// A call as it is drawn beside a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallSketch {
    /// What was asked, by whom.
    pub name: String,
    /// What came of it.
    pub outcome: String,
    /// When it began.
    pub from: UnixNanoseconds,
    /// When it ended.
    pub until: UnixNanoseconds,
}

/// Something that the verdict does not speak about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotChecked {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to do, where something can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
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
    /// The longest time without an answer that needs a quorum, from the first fault on.
    pub longest_outage_nanoseconds: u64,
    /// For each fault in order: the times that it cost.
    pub faults: Vec<FaultTimes>,
    /// When all members were healthy again for good, after the last fault.
    pub recovery: Option<RecoveryTimes>,
}

/// What one fault cost, counted from its injection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultTimes {
    /// Which.
    pub fault: FaultName,
    /// When it was over.
    pub ended_nanoseconds: Option<u64>,
    /// The longest time without an answer that needs a quorum, from its injection until the next fault.
    pub longest_silence_nanoseconds: Option<u64>,
    /// When that silence ended.
    pub silence_ended_nanoseconds: Option<u64>,
    /// What became of the calls to its targets while it was in force.
    pub at_target: Option<CallCounts>,
    /// What became of the other calls while it was in force.
    pub elsewhere: Option<CallCounts>,
}

/// What became of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCounts {
    /// Answered.
    pub answered: u64,
    /// Certainly not done.
    pub refused: u64,
    /// Without an answer in time.
    pub timed_out: u64,
    /// Ended in another way that leaves the outcome unknown.
    pub unknown: u64,
}

/// When all members were healthy again, counted from the injection of the last fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryTimes {
    /// When that fault was over.
    pub ended_nanoseconds: u64,
    /// When the steady stretch began.
    pub healthy_nanoseconds: u64,
}
