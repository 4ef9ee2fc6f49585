//! The span of a run and places within it. Pure.

use crate::history::UnixNanoseconds;
use crate::record::RunRecord;

/// From the first to the last thing in a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: UnixNanoseconds,
    end: UnixNanoseconds,
}

impl Span {
    /// The span of a record; never empty.
    pub(super) fn of(record: &RunRecord) -> Span {
        let start = record.run.started;
        let events = record.events.iter().map(|line| line.at);
        let calls = record
            .load
            .header
            .iter()
            .flat_map(|header| record.load.operations.iter().map(|operation| header.wall(operation.end)));
        let rounds = record
            .probes
            .header
            .iter()
            .flat_map(|header| record.probes.rounds.iter().map(|round| header.wall(round.end)));
        let last = events.chain(calls).chain(rounds).chain(record.run.ended).max().unwrap_or(start);
        Span { start, end: last.max(start.plus_nanoseconds(1_000_000_000)) }
    }

    /// The length in nanoseconds.
    pub(super) fn length(&self) -> u64 {
        self.end.0 - self.start.0
    }

    /// The end.
    pub(super) fn end(&self) -> UnixNanoseconds {
        self.end
    }

    /// Where a moment is, from 0 to 1000.
    pub(super) fn place(&self, at: UnixNanoseconds) -> f64 {
        let since = at.0.clamp(self.start.0, self.end.0) - self.start.0;
        // Rounded to a tenth: less than a pixel, and readable in the source.
        (since as f64 / self.length() as f64 * 10_000.0).round() / 10.0
    }

    /// Seconds since the start, with one digit.
    pub(super) fn seconds(&self, at: UnixNanoseconds) -> String {
        let milliseconds = at.0.saturating_sub(self.start.0) / 1_000_000;
        format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
    }

    /// Which of so many equal parts a moment falls into.
    pub(super) fn bucket(&self, at: UnixNanoseconds, buckets: usize) -> usize {
        let since = u128::from(at.0.clamp(self.start.0, self.end.0) - self.start.0);
        let bucket = since * buckets as u128 / u128::from(self.length());
        usize::try_from(bucket).unwrap_or(usize::MAX).min(buckets - 1)
    }

    /// Round times for an axis, at most nine of them: the moment and its label.
    pub(super) fn ticks(&self) -> Vec<(UnixNanoseconds, String)> {
        const SECOND: u64 = 1_000_000_000;
        let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 43_200];
        let seconds = self.length() / SECOND;
        let step = steps.into_iter().find(|step| seconds / step <= 7).unwrap_or(86_400);
        (0..=seconds / step)
            .map(|index| {
                let at = index * step;
                let label = if step >= 60 { format!("{} min", at / 60) } else { format!("{at} s") };
                (self.start.plus_nanoseconds(at * SECOND), label)
            })
            .collect()
    }
}

/// A moment in UTC, such as `2026-11-01 12:00:05 UTC`.
pub(super) fn utc(at: UnixNanoseconds) -> String {
    let nanoseconds = i128::from(at.0);
    match jiff::Timestamp::from_nanosecond(nanoseconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{nanoseconds} ns after 1970"),
    }
}
