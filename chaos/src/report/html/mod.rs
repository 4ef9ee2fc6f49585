//! `report.html`: one file that needs nothing else, neither network nor script. Pure.
//!
//! The first screen says the verdict and its reason; then come the timeline, the faults with their proof, the
//! assertions, what was not checked, and how to make the run again.

mod calls;
mod style;
mod tables;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::time::{Span, utc};
use crate::checker::{Judgement, Outcome, Statistics, Timeline, Verdict, human};
use crate::record::{RunRecord, RunState};

/// The page.
pub(super) fn page(record: &RunRecord, judgement: &Judgement, timeline: &Timeline<'_>) -> String {
    let span = Span::of(record);
    let title = format!("{}: {}", judgement.verdict.to_string().to_uppercase(), record.run.scenario);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(style::STYLE)) }
            }
            body {
                main {
                    (verdict(record, judgement))
                    (key_numbers(judgement, timeline))
                    (timeline::section(record, judgement, timeline, &span))
                    (tables::faults(judgement, timeline, &span))
                    (tables::assertions(judgement, &span))
                    (tables::not_checked(judgement))
                    (tables::numbers(&judgement.statistics))
                    (tables::about(record))
                }
            }
        }
    }
    .into_string()
}

/// The name of the colour of a verdict.
fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Invalid => "invalid",
    }
}

fn verdict(record: &RunRecord, judgement: &Judgement) -> Markup {
    let run = &record.run;
    let meaning = match judgement.verdict {
        Verdict::Pass => "Everything that was checked held.",
        Verdict::Fail => "Something that must hold did not.",
        Verdict::Invalid => "Neither passed nor failed.",
    };
    html! {
        header class=(format!("verdict {}", colour(judgement.verdict))) {
            p.word { (judgement.verdict.to_string().to_uppercase()) }
            p.reason { (judgement.reason) }
            p.meaning {
                (meaning) " " b { (run.scenario) } ", seed " (run.seed) ", " (utc(run.started))
                @match &run.state {
                    RunState::Complete => {}
                    RunState::Running => { " · no end recorded" }
                    RunState::Interrupted => { " · interrupted" }
                    RunState::Errored { .. } => { " · the harness could not go on" }
                }
            }
        }
    }
}

fn key_numbers(judgement: &Judgement, timeline: &Timeline<'_>) -> Markup {
    let statistics: &Statistics = &judgement.statistics;
    let nanoseconds = |value: u64| human::duration(std::time::Duration::from_nanos(value));
    let held = judgement.assertions.iter().filter(|assertion| assertion.outcome == Outcome::Held).count();
    let recovery = statistics.recovery.as_ref();
    let recovered = "from the last injection until all members were healthy for good";
    let (healthy, recovered) = match recovery {
        Some(times) => {
            let ended = nanoseconds(times.ended_nanoseconds);
            (nanoseconds(times.healthy_nanoseconds), format!("{recovered} (the fault ended after {ended})"))
        }
        None => ("–".to_owned(), recovered.to_owned()),
    };
    let tiles = [
        (format!("{held} of {}", judgement.assertions.len()), "assertions held"),
        (
            timeline.faults.iter().filter(|story| story.injected.is_some()).count().to_string(),
            "faults injected",
        ),
        (human::count(statistics.acknowledged_writes), "acknowledged writes"),
        (nanoseconds(statistics.longest_outage_nanoseconds), "longest time without a quorum's answer"),
        (healthy, recovered.as_str()),
    ];
    html! {
        ul.tiles {
            @for (number, what) in tiles {
                li { b { (number) } span { (what) } }
            }
        }
    }
}
