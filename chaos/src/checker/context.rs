//! What all rules look at: the record with its log and its ledger indexed once. Pure.

use super::ledger::{self, Ledger};
use super::log::Log;
use super::timeline::Timeline;
use crate::history::{Elapsed, UnixNanoseconds};
use crate::record::{EVENTS_FILE, FINAL_FILE, LOAD_FILE, PROBE_FILE, RunRecord, RunState};

/// A record made ready for the rules.
pub(super) struct Context<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) log: Log<'a>,
    pub(super) ledger: Ledger<'a>,
    pub(super) timeline: Timeline<'a>,
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
        let log = Log::new(record.final_read.as_ref(), &record.committed, final_whole);
        let ledger = Ledger::new(&record.load.operations, &log);
        Context {
            record,
            ledger,
            log,
            timeline: Timeline::new(record),
            load_whole: whole(LOAD_FILE) && record.load.header.is_some(),
            final_whole,
            events_whole: whole(EVENTS_FILE),
            probes_whole: whole(PROBE_FILE),
        }
    }

    /// When something of the load happened by the wall clock.
    pub(super) fn wall(&self, elapsed: Elapsed) -> Option<UnixNanoseconds> {
        ledger::wall(&self.record.load, elapsed)
    }

    /// Whether the run came to its end, so that what did not happen was given its time.
    pub(super) fn is_complete(&self) -> bool {
        self.record.run.state == RunState::Complete
    }
}
