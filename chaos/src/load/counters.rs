//! Counts calls for the eye. The history is the truth; nothing is judged by these numbers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::progress::{Latency, Progress};
use crate::history::{Acknowledgement, Call, Elapsed, Operation, Outcome, Reply};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Counts since the start, and the last whole second.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: Progress,
    this_second: Second,
    last_second: Second,
}

/// The calls that ended in one second since the start.
#[derive(Debug, Default)]
struct Second {
    number: u64,
    latencies_nanoseconds: Vec<u64>,
    unanswered: u64,
}

impl Counters {
    /// Counts a call that is over.
    pub(super) fn count(&self, operation: &Operation) {
        let mut counts = self.lock();
        counts.turn_to(operation.end);
        match &operation.outcome {
            Outcome::Acknowledged(acknowledgement) => {
                let latency = operation.end.nanoseconds().saturating_sub(operation.start.nanoseconds());
                counts.this_second.latencies_nanoseconds.push(latency);
                counts.count_acknowledged(&operation.call, acknowledgement);
            }
            Outcome::Failed { error } => {
                counts.this_second.unanswered += 1;
                counts.total.failed += 1;
                counts.total.last_error = Some(error.clone());
            }
            Outcome::Unknown { error } => {
                counts.this_second.unanswered += 1;
                counts.total.unknown += 1;
                counts.total.last_error = Some(error.clone());
            }
        }
    }

    /// The counts at a moment.
    pub(super) fn progress(&self, now: Elapsed) -> Progress {
        let mut counts = self.lock();
        counts.turn_to(now);
        let answered = counts.last_second.latencies_nanoseconds.len();
        Progress {
            answered_last_second: u64::try_from(answered).unwrap_or(u64::MAX),
            unanswered_last_second: counts.last_second.unanswered,
            latency_last_second: latency(&counts.last_second.latencies_nanoseconds),
            ..counts.total.clone()
        }
    }

    /// Counts cannot be left half changed, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn turn_to(&mut self, now: Elapsed) {
        let number = now.nanoseconds() / NANOSECONDS_PER_SECOND;
        // Two clients may end their calls in one order and count them in the other.
        if number <= self.this_second.number {
            return;
        }
        let fresh = Second { number, ..Second::default() };
        let ended = std::mem::replace(&mut self.this_second, fresh);
        let just_before = ended.number + 1 == number;
        self.last_second = if just_before { ended } else { Second::default() };
    }

    fn count_acknowledged(&mut self, call: &Call, acknowledgement: &Acknowledgement) {
        let wrote = match (call, &acknowledgement.reply) {
            (Call::Get { .. }, _) | (Call::Transaction(_), Reply::Transaction { succeeded: false, .. }) => {
                false
            }
            (Call::Put { .. } | Call::Transaction(_), _) => true,
        };
        let count =
            if wrote { &mut self.total.acknowledged_writes } else { &mut self.total.acknowledged_reads };
        *count += 1;
        self.total.highest_revision = self.total.highest_revision.max(acknowledgement.revision.0);
    }
}

fn latency(nanoseconds: &[u64]) -> Option<Latency> {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    let milliseconds = |index: usize| sorted[index] as f64 / 1e6;
    Some(Latency {
        p50_milliseconds: milliseconds(last / 2),
        p95_milliseconds: milliseconds(last * 19 / 20),
        highest_milliseconds: milliseconds(last),
    })
}
