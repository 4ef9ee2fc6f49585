//! The tables below the timeline: faults with their proof, assertions, what was not checked, numbers, the run. Pure.

use maud::{Markup, html};

use super::super::replay_command;
use super::super::time::{Span, utc};
use super::calls;
use crate::checker::{Assertion, FaultTimes, Judgement, Outcome, Rule, Statistics, Story, Timeline, human};
use crate::record::RunRecord;
use crate::scenario::due;

fn nanoseconds(value: u64) -> String {
    human::duration(std::time::Duration::from_nanos(value))
}

/// The word and the name of the colour of an outcome.
fn mark(outcome: Outcome) -> Markup {
    let (class, word) = match outcome {
        Outcome::Held => ("held", "held"),
        Outcome::NotChecked => ("not-checked", "not checked"),
        Outcome::ProvesNothing => ("proves-nothing", "proves nothing"),
        Outcome::Violated => ("violated", "violated"),
    };
    html! { span class=(format!("mark {class}")) { (word) } }
}

/// Each fault: what, in whom, when, and what was measured.
pub(super) fn faults(judgement: &Judgement, timeline: &Timeline<'_>, span: &Span) -> Markup {
    html! {
        h2 { "Faults and their proof" }
        table.faults {
            thead { tr { th { "Fault" } th { "When" } th { "Effect, as measured" } th { "End, as measured" } th { "Longest silence" } } }
            tbody {
                @for story in &timeline.faults { (fault(judgement, story, span)) }
            }
        }
    }
}

fn fault(judgement: &Judgement, story: &Story<'_>, span: &Span) -> Markup {
    let name = &story.step.name;
    let of = |rule: Rule| {
        judgement
            .assertions
            .iter()
            .find(|assertion| assertion.rule == rule && assertion.fault.as_ref() == Some(name))
    };
    let words = |assertion: Option<&Assertion>| {
        html! {
            @if let Some(assertion) = assertion {
                @if assertion.outcome != Outcome::Held { (mark(assertion.outcome)) " " }
                @match assertion.findings.first() { Some(finding) => (finding.text), None => (assertion.evidence) }
            }
        }
    };
    let times = judgement.statistics.faults.iter().find(|times| times.fault == *name);
    html! {
        tr {
            td { b { (name) } br; (story.title) " → " (story.step.target) }
            td data-label="When" {
                @match story.injected { Some(at) => (span.seconds(at)), None => "never" }
                br;
                span.quiet { (due(&story.step.trigger)) }
            }
            td data-label="Effect" {
                (words(of(Rule::FaultProved)))
                @if let Some(times) = times { (calls_during(times)) }
            }
            td data-label="End" { (words(of(Rule::FaultEnded))) }
            td data-label="Longest silence" { (silence(times)) }
        }
    }
}

/// The longest time without an answer that needs a quorum, with both ends counted from the injection.
fn silence(times: Option<&FaultTimes>) -> Markup {
    let known = times.and_then(|times| {
        Some((times.longest_silence_nanoseconds?, times.silence_ended_nanoseconds?, times.ended_nanoseconds?))
    });
    html! {
        @match known {
            Some((longest, until, ended)) => {
                (nanoseconds(longest)) br;
                span.quiet {
                    "until " (nanoseconds(until)) " after the injection; the fault ended " (nanoseconds(ended)) " after it"
                }
            }
            None => "–",
        }
    }
}

/// What became of the calls that were made while the fault was in force.
fn calls_during(times: &FaultTimes) -> Markup {
    html! {
        @if let (Some(at_target), Some(elsewhere)) = (&times.at_target, &times.elsewhere) {
            br;
            span.quiet {
                @if at_target.total() > 0 { "calls to the target: " (at_target) "; " }
                "calls to others: " (elsewhere)
            }
        }
    }
}

/// Every assertion with its evidence: what is wrong comes first.
pub(super) fn assertions(judgement: &Judgement, span: &Span) -> Markup {
    let mut sorted: Vec<&Assertion> = judgement.assertions.iter().collect();
    sorted.sort_by_key(|assertion| std::cmp::Reverse(assertion.outcome));
    html! {
        h2 { "Assertions" }
        table {
            thead { tr { th { "Outcome" } th { "Assertion" } th { "Evidence" } } }
            tbody {
                @for assertion in sorted {
                    tr {
                        td.tight { (mark(assertion.outcome)) }
                        td { (assertion.rule.statement()) @if let Some(fault) = &assertion.fault { " " span.quiet { "(" (fault) ")" } } }
                        td { (assertion.evidence) (findings(assertion, span)) }
                    }
                }
            }
        }
    }
}

fn findings(assertion: &Assertion, span: &Span) -> Markup {
    let more = assertion.violations - assertion.findings.len().min(assertion.violations);
    html! {
        @if !assertion.findings.is_empty() {
            ul.findings {
                @for finding in &assertion.findings {
                    li {
                        @if let Some(at) = finding.at { b { (span.seconds(at)) } " " } (finding.text)
                        @if !finding.calls.is_empty() { (calls::picture(&finding.calls, span)) }
                    }
                }
                @if more > 0 { li { "and " (more) " more" } }
            }
        }
    }
}

/// What a reader must not take the verdict to speak about.
pub(super) fn not_checked(judgement: &Judgement) -> Markup {
    html! {
        h2 { "Not checked" }
        dl {
            @for open in &judgement.not_checked {
                dt { (open.what) }
                dd {
                    @if open.required { span.mark.not-checked { "required" } " " } (open.why)
                    @if let Some(remedy) = open.remedy { br; span.quiet { "What to do: " (remedy) } }
                }
            }
        }
    }
}

/// Counts and times.
pub(super) fn numbers(statistics: &Statistics) -> Markup {
    let count = human::count;
    let unknown = format!(
        "{}: {} of their writes were committed, {} were not",
        count(statistics.unknown),
        count(statistics.unknown_committed),
        count(statistics.unknown_absent)
    );
    let entries = [
        ("Calls", count(statistics.operations)),
        ("Acknowledged writes", count(statistics.acknowledged_writes)),
        ("Answered reads", count(statistics.acknowledged_reads)),
        ("Refused", count(statistics.failed)),
        ("Outcome unknown to the client", unknown),
        ("Changes in the committed log", count(statistics.committed_changes)),
        (
            "Latency",
            format!(
                "half within {}, 99 of 100 within {}",
                nanoseconds(statistics.latency_median_nanoseconds),
                nanoseconds(statistics.latency_p99_nanoseconds)
            ),
        ),
    ];
    html! {
        h2 { "Numbers" }
        dl { @for (what, number) in entries { dt { (what) } dd { (number) } } }
    }
}

/// What ran, and how to run it again.
pub(super) fn about(record: &RunRecord) -> Markup {
    let run = &record.run;
    let versions = &run.versions;
    let ended = run.ended.map_or_else(|| "no end recorded".to_owned(), utc);
    let entries = [
        ("Scenario", run.scenario_file.clone()),
        ("Seed", run.seed.to_string()),
        ("Started", utc(run.started)),
        ("Ended", ended),
        ("etcd", versions.etcd.clone()),
        ("Operator", versions.operator.clone()),
        ("Wrong operator on purpose", run.mutant.clone().unwrap_or_else(|| "no".to_owned())),
        ("Harness", format!("chaos {}", versions.chaos)),
        ("Cluster", format!("{} ({})", run.cluster, versions.kubernetes)),
        ("Namespace", format!("{}, EtcdCluster {}", run.namespace, run.subject)),
    ];
    html! {
        h2 { "This run, and how to repeat it" }
        dl { @for (what, text) in entries { dt { (what) } dd { (text) } } }
        pre { (replay_command(record)) }
        p { "What the pods said: " a href="logs/" { "logs" } " beside this page." }
        p.quiet {
            "The same seed gives the same schedule, byte for byte; what the cluster makes of it may differ. "
            code { "chaos check DIR" } " judges this record again, " code { "chaos report DIR" } " writes this page again."
        }
        @if !record.problems.is_empty() {
            h2 { "Problems of the record" }
            ul { @for problem in &record.problems { li { (problem) } } }
        }
        details { summary { "The scenario file" } pre { (run.scenario_text) } }
    }
}
