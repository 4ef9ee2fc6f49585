//! What `chaos run` and `chaos check` say at the end: verdicts in plain words, what speaks against a run, where the reports are.

use std::path::Path;

use anyhow::{Context as _, Result};
use chaos::checker::{Assertion, Outcome, Verdict, human};
use chaos::runner::Finished;

use super::outcomes::Outcomes;

/// Shows every run, writes the JUnit of all if there is to be one, and says what the exit code means where that is open.
pub(super) fn show(outcomes: &Outcomes, junit: Option<&Path>) -> Result<()> {
    for run in &outcomes.finished {
        show_verdict(run);
    }
    if let Some(path) = junit {
        write_junit(outcomes, path)?;
    }
    show_error(outcomes);
    // The last line is for scripts and for a click.
    for run in &outcomes.finished {
        anstream::println!("{}", run.report.display());
    }
    Ok(())
}

/// One JUnit file for all runs of the command.
fn write_junit(outcomes: &Outcomes, path: &Path) -> Result<()> {
    let runs: Vec<_> = outcomes.finished.iter().map(|run| (&run.record, &run.judgement)).collect();
    let text =
        chaos::report::junit(&runs, &outcomes.not_begun).context("failed to write the JUnit of all runs")?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
    anstream::println!("JUnit of all runs: {}", path.display());
    Ok(())
}

/// Exit code 2 has two meanings; which one it has is said.
fn show_error(outcomes: &Outcomes) {
    let (invalid, failed) = (outcomes.count(Verdict::Invalid), outcomes.count(Verdict::Fail));
    let whole = invalid == 0 && outcomes.not_begun.is_empty() && !outcomes.cut_short;
    // Where nothing was run at all, the errors have said so.
    if failed > 0 || whole || outcomes.finished.is_empty() {
        return;
    }
    let mut why = Vec::new();
    if invalid > 0 {
        why.push(format!(
            "{} nothing",
            if invalid == 1 { "1 run proves".to_owned() } else { format!("{invalid} runs prove") }
        ));
    }
    if !outcomes.not_begun.is_empty() {
        why.push(format!("{} could not be run", human::plural(outcomes.not_begun.len(), "scenario")));
    }
    if outcomes.cut_short {
        why.push("not everything was run, because you stopped it".to_owned());
    }
    anstream::println!("\nexit code 2: {}", why.join("; "));
}

/// The verdict in plain words, and what speaks against the run.
pub(super) fn show_verdict(run: &Finished) {
    let (word, meaning) = match run.verdict() {
        Verdict::Pass => ("PASS", "quorum and data survived"),
        Verdict::Fail => ("FAIL", "something that must hold did not"),
        Verdict::Invalid => ("INVALID", "this run proves nothing"),
    };
    let head = &run.record.run;
    anstream::println!("\n{word}: {} (seed {}): {meaning}", head.scenario, head.seed);
    anstream::println!("  {}", run.judgement.reason);
    for assertion in &run.judgement.assertions {
        show_assertion(assertion);
    }
}

fn show_assertion(assertion: &Assertion) {
    let mark = match assertion.outcome {
        Outcome::Held => return,
        Outcome::NotChecked => "not checked",
        Outcome::Violated => "violated",
        Outcome::ProvesNothing => "proves nothing",
    };
    let fault = assertion.fault.as_ref().map(|fault| format!(" [{fault}]")).unwrap_or_default();
    anstream::println!("  {mark}: {}{fault}: {}", assertion.rule.statement(), assertion.evidence);
    for finding in &assertion.findings {
        anstream::println!("    - {}", finding.text);
    }
    if assertion.outcome == Outcome::NotChecked {
        anstream::println!("    what to do: {}", assertion.rule.remedy());
    }
}
