//! What all rules look at: the record with its log and its ledger indexed once. Pure.

use std::time::Duration;

use super::answers::Quorum;
use super::judgement::CallSketch;
use super::ledger::{self, Ledger};
use super::log::Log;

use super::timeline::Timeline;
use crate::history::{Elapsed, Operation, UnixNanoseconds};
use crate::record::{EVENTS_FILE, FINAL_FILE, LOAD_FILE, PROBE_FILE, RUN_FORMAT, RunRecord, RunState};

/// A record made ready for the rules.
pub(super) struct Context<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) log: Log<'a>,
    pub(super) ledger: Ledger<'a>,
    pub(super) timeline: Timeline<'a>,
    /// Everything that a quorum must have agreed to, and what asked for it in vain.
    pub(super) quorum: Quorum,
    /// Whether every call of every client is in the record.
    pub(super) load_whole: bool,
    /// Whether the committed log was read to its end.
    pub(super) final_whole: bool,
    /// Whether the harness wrote down everything that it did and saw.
    pub(super) events_whole: bool,
    /// Whether every round of the probe is in the record.
    pub(super) probes_whole: bool,
}

impl<'a> Context<'a> {
    /// Indexes a record.
    pub(super) fn new(record: &'a RunRecord) -> Context<'a> {
        let whole = |file: &str| record.problems.iter().all(|problem| problem.file != file);
        let final_whole = whole(FINAL_FILE) && record.final_read.is_some();
        let load_began_at = record.load.header.as_ref().and_then(|header| header.first_revision);
        let log = Log::new(record.final_read.as_ref(), &record.committed, final_whole, load_began_at);
        let ledger = Ledger::new(&record.load.operations, &log);
        let mut context = Context {
            record,
            ledger,
            log,
            timeline: Timeline::new(record),
            quorum: Quorum::default(),
            load_whole: whole(LOAD_FILE) && record.load.header.is_some(),
            final_whole,
            events_whole: whole(EVENTS_FILE),
            probes_whole: whole(PROBE_FILE),
        };
        context.quorum = Quorum::new(record, &context.timeline);
        context
    }

    /// When something of the load happened by the harness's clock.
    pub(super) fn wall(&self, elapsed: Elapsed) -> Option<UnixNanoseconds> {
        self.timeline.clocks.of_load(elapsed)
    }

    /// Calls as they are drawn beside a finding.
    pub(super) fn sketches(&self, operations: &[&Operation]) -> Vec<CallSketch> {
        operations.iter().filter_map(|operation| ledger::sketch(&self.timeline.clocks, operation)).collect()
    }

    /// By how much times of load and probe may be wrong on the harness's clock.
    pub(super) fn clock_error(&self) -> Duration {
        self.timeline.clocks.error()
    }

    /// Whether the record is of a format that says everything that this judge asks for.
    pub(super) fn is_current(&self) -> bool {
        self.record.run.format == RUN_FORMAT
    }

    /// Whether the run came to its end, so that what did not happen was given its time.
    pub(super) fn is_complete(&self) -> bool {
        self.record.run.state == RunState::Complete
    }
}
