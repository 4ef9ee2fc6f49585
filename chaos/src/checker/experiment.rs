//! Rules about the experiment itself: enough load, an end, a whole record. Pure.

use super::calls;
use super::clocks;
use super::context::Context;
use super::fidelity;
use super::findings::Check;
use super::human;
use super::judgement::Assertion;
use super::rule::Rule;
use super::watch;
use crate::record::RunState;

/// All rules about the experiment.
pub(super) fn check(context: &Context<'_>) -> Vec<Assertion> {
    vec![
        load_enough(context),
        fidelity::schedule_kept(context),
        watch::probe_kept_watch(context),
        clocks::check(&context.timeline.clocks),
        run_complete(context),
        record_whole(context),
    ]
}

fn load_enough(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::LoadEnough);
    let writes = context.ledger.acknowledged().count() as u64;
    let minimum = context.record.schedule.expect.acknowledged_writes;
    if writes < minimum {
        check.wrong(None, || format!("{writes} writes were acknowledged, {minimum} are needed"));
    }
    check.conclude_experiment(format!(
        "{} writes were acknowledged (at least {minimum})",
        human::count(writes)
    ))
}

fn run_complete(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::RunComplete);
    let run = &context.record.run;
    let evidence = match &run.state {
        RunState::Complete => "all phases completed".to_owned(),
        RunState::Running => {
            check.wrong(None, || "the harness was killed, or still runs".to_owned());
            "no end is recorded".to_owned()
        }
        RunState::Interrupted => {
            check.wrong(run.ended, || "it was interrupted by its user".to_owned());
            "it was interrupted".to_owned()
        }
        RunState::Errored { error } => {
            check.wrong(run.ended, || error.clone());
            "the harness could not go on".to_owned()
        }
    };
    if context.timeline.faults.is_empty() {
        check.wrong(None, || "the schedule has no fault".to_owned());
    }
    check.conclude_experiment(evidence)
}

fn record_whole(context: &Context<'_>) -> Assertion {
    let mut check = Check::new(Rule::RecordWhole);
    for problem in &context.record.problems {
        check.wrong(None, || problem.to_string());
    }
    let last_answer = context.ledger.acknowledged().map(|(write, _)| write.operation.end).max();
    if let (Some(read), Some(last)) = (&context.record.final_read, last_answer)
        && read.at < last
    {
        check.wrong(context.wall(read.at), || {
            "the final read was taken before the last write was acknowledged".to_owned()
        });
    }
    for gap in calls::gaps(context) {
        check.wrong(None, || gap);
    }
    let record = context.record;
    check.conclude_experiment(format!(
        "{} events, {} calls, {} committed changes, {} probe rounds, each file closed by its writer",
        human::count(record.events.len() as u64),
        human::count(record.load.operations.len() as u64),
        human::count(record.committed.len() as u64),
        human::count(record.probes.rounds.len() as u64)
    ))
}
