//! Numbers for the report. Pure, and none of them decides anything.

use super::calls;
use super::context::Context;
use super::judgement::{FaultTimes, RecoveryTimes, Statistics};
use super::ledger::Fate;
use super::quorum;
use super::recovery;
use super::timeline::Story;
use crate::history::{Operation, Outcome, UnixNanoseconds};

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
        longest_outage_nanoseconds: longest_outage(context),
        faults: context.timeline.faults.iter().map(|story| fault_times(context, story)).collect(),
        recovery: recovery_times(context),
    }
}

fn longest_outage(context: &Context<'_>) -> u64 {
    let (Some(began), Some(last)) = (context.timeline.faults_began(), context.quorum.last_asked()) else {
        return 0;
    };
    let silences = context.quorum.silences(began, last).filter(|silence| silence.until > began);
    silences.map(|silence| nanoseconds(silence.until.since(silence.since))).max().unwrap_or_default()
}

fn fault_times(context: &Context<'_>, story: &Story<'_>) -> FaultTimes {
    let injected = story.injecting.or(story.injected);
    let from_injection = |at: UnixNanoseconds| Some(nanoseconds(at.since(injected?)));
    let silence = quorum::longest_silence(context, story);
    let calls = calls::during(context, story);
    FaultTimes {
        fault: story.step.name.clone(),
        ended_nanoseconds: story.healed.or(story.injected).and_then(from_injection),
        longest_silence_nanoseconds: silence.map(|silence| nanoseconds(silence.until.since(silence.since))),
        silence_ended_nanoseconds: silence.and_then(|silence| from_injection(silence.until)),
        at_target: calls.as_ref().map(|calls| calls.at_target),
        elsewhere: calls.as_ref().map(|calls| calls.elsewhere),
    }
}

fn recovery_times(context: &Context<'_>) -> Option<RecoveryTimes> {
    let recovery = recovery::of(context)?;
    Some(RecoveryTimes {
        ended_nanoseconds: nanoseconds(recovery.ended.since(recovery.injected)),
        healthy_nanoseconds: nanoseconds(recovery.steady?.since(recovery.injected)),
    })
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
