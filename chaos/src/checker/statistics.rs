//! Numbers for the report. Pure, and none of them decides anything.

use super::context::Context;
use super::judgement::Statistics;
use super::ledger::Fate;
use super::members::longest_outage;
use crate::history::{Operation, Outcome};

/// Counts and measures a run.
pub(super) fn of(context: &Context<'_>) -> Statistics {
    let operations = &context.record.load.operations;
    let count = |wanted: fn(&Outcome) -> bool| {
        operations.iter().filter(|operation| wanted(&operation.outcome)).count() as u64
    };
    let fates = |wanted: fn(&Fate) -> bool| {
        context.ledger.writes.iter().filter(|write| wanted(&write.fate)).count() as u64
    };
    let mut latencies: Vec<u64> = operations.iter().filter_map(latency).collect();
    latencies.sort_unstable();
    let timeline = &context.timeline;
    let quorum_back = timeline.faults.iter().map(|story| {
        let ended = story.healed.or(story.injected);
        let took = ended.and_then(|ended| Some(timeline.quorum_after(ended)?.since(ended)));
        (story.step.name.clone(), took.map(nanoseconds))
    });
    Statistics {
        operations: operations.len() as u64,
        acknowledged_writes: context.ledger.acknowledged().count() as u64,
        acknowledged_reads: context.ledger.reads.len() as u64,
        failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        unknown: count(|outcome| matches!(outcome, Outcome::Unknown { .. })),
        unknown_committed: fates(|fate| matches!(fate, Fate::Unknown(Some(_)))),
        unknown_absent: fates(|fate| matches!(fate, Fate::Unknown(None))),
        committed_changes: context.record.committed.len() as u64,
        latency_median_nanoseconds: quantile(&latencies, 50),
        latency_p99_nanoseconds: quantile(&latencies, 99),
        longest_outage_nanoseconds: longest_outage(context).map_or(0, |(_, outage)| nanoseconds(outage)),
        quorum_back_nanoseconds: quorum_back.collect(),
        recovery_nanoseconds: timeline
            .faults_over()
            .and_then(|over| Some(nanoseconds(timeline.healthy_after(over)?.since(over)))),
    }
}

fn latency(operation: &Operation) -> Option<u64> {
    match operation.outcome {
        Outcome::Acknowledged(_) => Some(operation.end.0.saturating_sub(operation.start.0)),
        Outcome::Failed { .. } | Outcome::Unknown { .. } => None,
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The smallest value that so many percent of the sorted values do not exceed.
fn quantile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or_default()
}
