//! `chaos run`: every file in its turn, the worst verdict wins. The first Ctrl-C heals and reports, the second stops at once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use chaos::cluster::{ClusterKind, SandboxImages, images};
use chaos::in_pod::ClockOffset;
use chaos::progress::Display;
use chaos::runner::{self, Assignment, Settings};
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::assignments::{self, Place};
use super::outcomes::Outcomes;
use super::{ClusterArguments, show, signals};

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Scenario files; all are run, the worst verdict wins
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The seed, instead of the one in each file
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the record and the reports go (with several runs: a directory for each below it)
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
    /// Run each file so many times, each time with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    repeat: u64,
    /// Continue with the next seeds until something happens; with --repeat, at most that many times
    #[arg(long, value_name = "WHAT", value_enum)]
    until: Option<Until>,
    /// Where the JUnit report of all runs goes (otherwise beside the runs, under a name of its own, if there are several)
    #[arg(long, value_name = "PATH")]
    junit: Option<PathBuf>,
    /// Adds so many milliseconds to the clocks of load and probe (for tests of the judge)
    #[arg(long, hide = true, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pod_clock_offset_milliseconds: i64,
}

/// What ends a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// A run that does not pass.
    Fail,
}

impl RunArguments {
    /// How often each file is run at most.
    fn rounds(&self) -> u64 {
        match self.until {
            Some(Until::Fail) if self.repeat == 1 => u64::MAX,
            Some(Until::Fail) | None => self.repeat,
        }
    }

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
    let plans = assignments::read(&arguments.files, arguments.cluster.cluster)?;
    let place = Place::new(arguments.out.clone(), plans.len() == 1 && arguments.rounds() == 1);
    let first: Vec<Assignment> = plans.iter().map(|plan| place.assign(plan, arguments.seed, 0)).collect();
    assignments::check_free(&first)?;
    arguments.cluster.choice().check()?;
    let settings = settings(&arguments)?;
    let display = Display::new();
    let interrupt = CancellationToken::new();
    let _signals = AbortOnDropHandle::new(tokio::spawn(watch_signals(interrupt.clone(), display.clone())?));

    let mut outcome = Outcomes::default();
    'rounds: for round in 0..arguments.rounds() {
        for plan in &plans {
            if interrupt.is_cancelled() {
                outcome.cut_short = true;
                break 'rounds;
            }
            let assignment = place.assign(plan, arguments.seed, round);
            display.say(&format!(
                "scenario {}, seed {}",
                assignment.schedule.scenario, assignment.schedule.seed
            ));
            let ended = runner::run(&assignment, &settings, &interrupt, &display).await;
            outcome.take(&assignment, ended);
        }
        if arguments.until.is_some() && !outcome.all_passed() {
            break;
        }
    }
    display.finish();
    let junit = arguments.junit.clone().or_else(|| place.junit(&outcome));
    show::show(&outcome, junit.as_deref())?;
    Ok(outcome.exit_code())
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
    let output = asked.with_context(|| format!("failed to ask {} for its mutants", binary.display()))?;
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
