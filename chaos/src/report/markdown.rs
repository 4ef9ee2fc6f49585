//! `report.md`: a summary short enough for a pull request. Pure.

use std::fmt::Write;

use super::replay_command;
use crate::checker::{Judgement, Outcome, Rule, Timeline, Verdict, human};
use crate::record::RunRecord;

/// The summary.
pub(super) fn summary(record: &RunRecord, judgement: &Judgement, timeline: &Timeline<'_>) -> String {
    let mut text = String::new();
    let sign = match judgement.verdict {
        Verdict::Pass => "✅",
        Verdict::Fail => "❌",
        Verdict::Invalid => "⚠️",
    };
    let run = &record.run;
    let verdict = judgement.verdict.to_string().to_uppercase();
    line(&mut text, format_args!("### {sign} {verdict}: {} (seed {})\n", run.scenario, run.seed));
    line(&mut text, format_args!("{}\n", plain(&judgement.reason)));
    faults(&mut text, judgement, timeline);
    wrong(&mut text, judgement);
    numbers(&mut text, judgement);
    let open = judgement.not_checked.iter().filter(|open| open.required).count();
    if open > 0 {
        line(&mut text, format_args!("{} could not be checked.\n", human::plural(open, "assertion")));
    }
    let versions = &run.versions;
    line(
        &mut text,
        format_args!(
            "etcd {}, {} on {} ({}). Again: `{}`",
            versions.etcd,
            versions.operator,
            run.cluster,
            versions.kubernetes,
            replay_command(record)
        ),
    );
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a string takes everything");
}

/// Keeps text from being read as a table's border or as formatting.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

fn faults(text: &mut String, judgement: &Judgement, timeline: &Timeline<'_>) {
    line(
        text,
        format_args!(
            "| fault | what | in whom | took effect | longest silence of the quorum |\n|---|---|---|---|---|"
        ),
    );
    for (story, times) in timeline.faults.iter().zip(&judgement.statistics.faults) {
        let proof = judgement.assertions.iter().find(|assertion| {
            assertion.rule == Rule::FaultProved && assertion.fault.as_ref() == Some(&story.step.name)
        });
        let proved = match proof.map(|proof| proof.outcome) {
            Some(Outcome::Held) => "measured",
            Some(Outcome::Violated | Outcome::ProvesNothing | Outcome::NotChecked) | None => "**not proved**",
        };
        let silence = times.longest_silence_nanoseconds.map_or_else(
            || "–".to_owned(),
            |nanoseconds| human::duration(std::time::Duration::from_nanos(nanoseconds)),
        );
        let (name, kind, target) = (&story.step.name, &story.title, &story.step.target);
        line(text, format_args!("| {name} | {kind} | {target} | {proved} | {silence} |"));
    }
    text.push('\n');
}

fn wrong(text: &mut String, judgement: &Judgement) {
    let mut any = false;
    for assertion in &judgement.assertions {
        if matches!(assertion.outcome, Outcome::Violated | Outcome::ProvesNothing) {
            let fault = assertion.fault.as_ref().map_or_else(String::new, |fault| format!(" [{fault}]"));
            let finding =
                assertion.findings.first().map_or(assertion.evidence.as_str(), |finding| &finding.text);
            line(text, format_args!("- **{}{fault}**: {}", assertion.rule.id(), plain(finding)));
            any = true;
        }
    }
    if any {
        text.push('\n');
    }
}

fn numbers(text: &mut String, judgement: &Judgement) {
    let statistics = &judgement.statistics;
    let held = judgement.assertions.iter().filter(|assertion| assertion.outcome == Outcome::Held).count();
    line(
        text,
        format_args!(
            "{held} of {} assertions held. {} acknowledged writes, {} reads, {} refused, {} unknown ({} of them committed).\n",
            judgement.assertions.len(),
            human::count(statistics.acknowledged_writes),
            human::count(statistics.acknowledged_reads),
            human::count(statistics.failed),
            human::count(statistics.unknown),
            human::count(statistics.unknown_committed),
        ),
    );
}
