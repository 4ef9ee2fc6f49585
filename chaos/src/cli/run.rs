//! `chaos run`: every file in its turn, the worst verdict wins. The first Ctrl-C heals and reports, the second stops at once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use chaos::checker::{Outcome, Verdict};
use chaos::cluster::{ClusterKind, SandboxImages, images};
use chaos::progress::Display;
use chaos::recorder::ClockOffset;
use chaos::runner::directory::{DEFAULT_PARENT, RunDirectory};
use chaos::runner::{self, Assignment, Finished, Settings};
use chaos::scenario::{self, Seed, Subject, Unavailable};
use clap::Args;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{ClusterArguments, EXIT_ERROR, signals};

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Scenario files; all are run, the worst verdict wins
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The seed, instead of the one in each file
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the record and the reports go (with several files: a directory for each below it)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArguments,
    /// Leave the run's namespace in a cluster that outlives the run
    #[arg(long)]
    keep: bool,
    /// Run one of the deliberately wrong operators, to see that it is caught (needs an operator built for that)
    #[arg(long, value_name = "MUTANT")]
    operator_mutant: Option<String>,
    /// The operator's image, instead of the one its manifest names
    #[arg(long, value_name = "IMAGE")]
    operator_image: Option<String>,
    /// The image of load, probe and agent
    #[arg(long, value_name = "IMAGE", default_value = images::CHAOS_IMAGE)]
    chaos_image: String,
    /// Adds so many milliseconds to the clocks of load and probe (for tests of the judge)
    #[arg(long, hide = true, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pod_clock_offset_milliseconds: i64,
}

impl RunArguments {
    /// What must be said again, beyond file, seed and cluster, for the same run.
    fn to_repeat(&self) -> Vec<String> {
        let mut again = self.cluster.to_repeat();
        let mut add = |flag: &str, value: &str| again.extend([flag.to_owned(), value.to_owned()]);
        if let Some(mutant) = &self.operator_mutant {
            add("--operator-mutant", mutant);
        }
        if let Some(image) = &self.operator_image {
            add("--operator-image", image);
        }
        if self.chaos_image != images::CHAOS_IMAGE {
            add("--chaos-image", &self.chaos_image);
        }
        if self.pod_clock_offset_milliseconds != 0 {
            add("--pod-clock-offset-milliseconds", &self.pod_clock_offset_milliseconds.to_string());
        }
        again
    }
}

pub(super) async fn run(arguments: RunArguments) -> Result<u8> {
    arguments.cluster.check()?;
    let assignments = assignments(&arguments)?;
    assignments
        .iter()
        .try_for_each(|assignment| refuse_unavailable(assignment, arguments.cluster.cluster))?;
    arguments.cluster.choice().check()?;
    let settings = settings(&arguments)?;
    let display = Display::new();
    let interrupt = CancellationToken::new();
    let _signals = AbortOnDropHandle::new(tokio::spawn(watch_signals(interrupt.clone(), display.clone())?));

    let mut finished = Vec::new();
    let mut failed_to_run = false;
    for assignment in &assignments {
        if interrupt.is_cancelled() {
            break;
        }
        display.say(&format!("scenario {}, seed {}", assignment.schedule.scenario, assignment.schedule.seed));
        match runner::run(assignment, &settings, &interrupt, &display).await {
            Ok(run) => finished.push(run),
            Err(error) => {
                anstream::eprintln!("error: {}: {error:#}", assignment.file);
                failed_to_run = true;
            }
        }
    }
    display.finish();
    if !finished.is_empty() {
        show(&finished, &arguments)?;
    }
    let incomplete = failed_to_run || finished.len() < assignments.len();
    let worst = finished.iter().map(Finished::verdict).max().unwrap_or(Verdict::Invalid);
    Ok(match worst {
        Verdict::Pass if incomplete => EXIT_ERROR,
        Verdict::Pass | Verdict::Invalid | Verdict::Fail => worst.exit_code(),
    })
}

/// Reads every file before anything is started: the last one's mistake must not cost the first one's run.
fn assignments(arguments: &RunArguments) -> Result<Vec<Assignment>> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let mut assignments: Vec<Assignment> = Vec::new();
    for file in &arguments.files {
        let (scenario, text) = super::plan::load(file)?;
        let seed = arguments.seed.map_or(scenario.seed, Seed);
        let schedule = scenario::schedule(&scenario, seed);
        let out = match &arguments.out {
            Some(out) if arguments.files.len() == 1 => out.clone(),
            Some(out) => out.join(format!("{}-{seed}", scenario.name)),
            None => Path::new(DEFAULT_PARENT).join(format!("{}-{seed}-{now}", scenario.name)),
        };
        if assignments.iter().any(|earlier| earlier.out == out) {
            bail!(
                "two of the files are named {} inside: their records would lie in one place",
                scenario.name
            );
        }
        RunDirectory::check_free(&out)?;
        assignments.push(Assignment { file: file.display().to_string(), text, schedule, out });
    }
    Ok(assignments)
}

/// Refuses, at the field that asks for it, what cannot be had on this machine or is not built yet.
fn refuse_unavailable(assignment: &Assignment, cluster: ClusterKind) -> Result<()> {
    let refused = |field: Unavailable, message: &str| {
        let error = scenario::refusal(&assignment.file, &assignment.text, field, message);
        Err(super::plan::shown(&error))
    };
    match &assignment.schedule.subject {
        Subject::Selector(_) => {
            refused(Unavailable::Selector, "a selector is not built yet: use `subject.cluster`")
        }
        Subject::Cluster(subject) if cluster != ClusterKind::Current => {
            match images::missing_etcd(subject.version.as_str())? {
                Some(message) => refused(Unavailable::Version, &message),
                None => Ok(()),
            }
        }
        Subject::Cluster(_) => Ok(()),
    }
}

fn settings(arguments: &RunArguments) -> Result<Settings> {
    let cluster = arguments.cluster.choice();
    if let Some(mutant) = &arguments.operator_mutant {
        check_mutant(mutant, cluster.operator_binary.as_deref())?;
    }
    let local = cluster.kind != ClusterKind::Current;
    let images = if local && cluster.lasting.is_none() {
        SandboxImages::collect(cluster.operator_binary.as_deref())?
    } else {
        SandboxImages { sources: Default::default() }
    };
    Ok(Settings {
        cluster,
        images,
        chaos_image: arguments.chaos_image.clone(),
        operator_image: arguments.operator_image.clone(),
        mutant: arguments.operator_mutant.clone(),
        pod_clock_offset: ClockOffset { clock_offset_milliseconds: arguments.pod_clock_offset_milliseconds },
        arguments: arguments.to_repeat(),
        keep: arguments.keep,
    })
}

/// An operator that knows no mutants would run as the right one, and its pass would mean nothing.
fn check_mutant(mutant: &str, operator_binary: Option<&Path>) -> Result<()> {
    let binary = match operator_binary {
        Some(path) => path.to_owned(),
        None => images::default_operator_binary()?,
    };
    let asked = std::process::Command::new(&binary)
        .arg("mutants")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = asked.with_context(|| format!("asking {} for its mutants", binary.display()))?;
    if !output.status.success() {
        bail!(
            "{} knows no mutants: build it with `cargo build -p etcd-operator --features mutants`",
            binary.display()
        );
    }
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    let known: Vec<&str> = known.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if !known.contains(&mutant) {
        bail!("there is no mutant {mutant}; {} knows: {}", binary.display(), known.join(", "));
    }
    Ok(())
}

/// The first Ctrl-C asks for an orderly end, the second ends the process; a sandbox of the run dies with it.
fn watch_signals(interrupt: CancellationToken, display: Display) -> Result<impl Future<Output = ()>> {
    let saying = display.clone();
    let first = move || saying.say("interrupted: healing and writing the report; once more to stop at once");
    signals::watch(interrupt, first, move || display.finish())
}

fn show(finished: &[Finished], arguments: &RunArguments) -> Result<()> {
    for run in finished {
        show_verdict(run);
    }
    if finished.len() > 1 {
        show_all(finished, arguments)?;
    }
    // The last line is for scripts and for a click.
    for run in finished {
        anstream::println!("{}", run.report.display());
    }
    Ok(())
}

/// One JUnit file for all runs of the command.
fn show_all(finished: &[Finished], arguments: &RunArguments) -> Result<()> {
    let runs: Vec<_> = finished.iter().map(|run| (&run.record, &run.judgement)).collect();
    let parent = arguments.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_PARENT));
    let path = parent.join("junit.xml");
    let text = chaos::report::junit(&runs).context("writing the JUnit of all runs")?;
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    anstream::println!("JUnit of all runs: {}", path.display());
    Ok(())
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
    let mut unchecked = 0;
    for assertion in &run.judgement.assertions {
        let mark = match assertion.outcome {
            Outcome::Held => continue,
            Outcome::NotChecked => {
                unchecked += 1;
                continue;
            }
            Outcome::Violated => "violated",
            Outcome::ProvesNothing => "proves nothing",
        };
        let fault = assertion.fault.as_ref().map(|fault| format!(" [{fault}]")).unwrap_or_default();
        anstream::println!("  {mark}: {}{fault}: {}", assertion.rule.statement(), assertion.evidence);
        for finding in &assertion.findings {
            anstream::println!("    - {}", finding.text);
        }
    }
    if unchecked > 0 {
        anstream::println!("  {unchecked} assertions could not be checked; the report names them");
    }
}
