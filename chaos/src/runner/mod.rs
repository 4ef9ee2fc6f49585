//! One run from beginning to end: set up, load beside schedule, heal all, quiesce, collect, judge, report.
//!
//! Whatever happens on the way, the record is closed, judged and reported, and what the run made is removed.

mod clocks;
mod collect;
pub mod directory;
mod experiment;
mod judge;
mod recover;
mod set_up;
mod shared;
mod walk;
mod watchers;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

use crate::checker::{Judgement, Verdict};
use crate::cluster::{ClusterChoice, SandboxImages};
use crate::history::UnixNanoseconds;
use crate::in_pod::{Clock, ClockOffset};
use crate::progress::Display;
use crate::record::{Event, RUN_FORMAT, Run, RunRecord, RunState, Versions};
use crate::scenario::{Schedule, Subject};

use crate::live::event_log::EventLog;
use directory::RunDirectory;

pub use judge::{judge, judge_and_report};

/// The name of the cluster under test, in the namespace that the run makes for it.
pub const SUBJECT_NAME: &str = "etcd";

/// A scenario ready to be run.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The scenario file as the user named it.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What it means with the seed of this run.
    pub schedule: Schedule,
    /// Where the record goes.
    pub out: PathBuf,
}

/// How scenarios are run; the same for all files of one command.
#[derive(Clone, Debug)]
pub struct Settings {
    /// On which cluster.
    pub cluster: ClusterChoice,
    /// The images of a sandbox made for a run; not looked at otherwise.
    pub images: SandboxImages,
    /// The image of load, probe and agent.
    pub chaos_image: String,
    /// Replaces the operator's image.
    pub operator_image: Option<String>,
    /// Chooses a deliberately wrong operator.
    pub mutant: Option<String>,
    /// By how much the clocks of load and probe are wrong, for tests of the judge.
    pub pod_clock_offset: ClockOffset,
    /// What the command line said beyond file, seed and cluster.
    pub arguments: Vec<String>,
    /// Leave the run's namespace in a cluster that outlives the run.
    pub keep: bool,
}

/// A run that is over, judged and reported.
pub struct Finished {
    /// The run's directory, absolute.
    pub directory: PathBuf,
    /// The report for people, absolute.
    pub report: PathBuf,
    /// The record as it was judged.
    pub record: RunRecord,
    /// The judgement.
    pub judgement: Judgement,
}

impl Finished {
    /// What the run came to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.judgement.verdict
    }
}

/// Why an experiment did not come to its end.
#[derive(Debug)]
pub enum Stop {
    /// The user asked to stop.
    Interrupted,
    /// It could not even begin: there is no cluster, or no right to make a namespace in it. Nothing was made.
    NotBegun(anyhow::Error),
    /// It could not go on.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Failed(error)
    }
}

/// Runs one scenario. `interrupt` is cancelled when the user wants to stop.
///
/// # Errors
/// If the run could not begin, or its record could not be written or judged: everything else ends in a judgement.
pub async fn run(
    assignment: &Assignment,
    settings: &Settings,
    interrupt: &CancellationToken,
    display: &Display,
) -> Result<Finished> {
    let directory = RunDirectory::create(&assignment.out)?;
    let clock = Clock::start(ClockOffset::default());
    let mut head = head(assignment, settings, clock.wall_at_zero());
    directory.write_run(&head)?;
    directory.write_schedule(&assignment.schedule)?;
    let recorder = EventLog::create(directory.path(), clock)?;

    let outcome =
        experiment::carry_out(assignment, settings, &directory, &recorder, &mut head, interrupt, display)
            .await;
    let outcome = match outcome {
        Err(Stop::NotBegun(error)) => {
            directory.discard()?;
            return Err(error);
        }
        Err(Stop::Interrupted) => {
            recorder.record(Event::Interrupted);
            RunState::Interrupted
        }
        Err(Stop::Failed(error)) => {
            display.say(&format!("the run could not go on: {error:#}"));
            RunState::Errored { error: format!("{error:#}") }
        }
        Ok(()) => RunState::Complete,
    };
    let closed = recorder.close();
    head.ended = Some(recorder.now());
    head.state = match (outcome, closed) {
        (RunState::Complete, Err(error)) => RunState::Errored { error: format!("{error:#}") },
        (state, _) => state,
    };
    directory.write_run(&head)?;
    judge_and_report(directory.path()).context("failed to judge the run")
}

/// What is known about a run before it starts.
fn head(assignment: &Assignment, settings: &Settings, started: UnixNanoseconds) -> Run {
    let schedule = &assignment.schedule;
    let etcd = match &schedule.subject {
        Subject::Cluster(cluster) => cluster.version.to_string(),
        Subject::Selector(_) => "unknown".to_owned(),
    };
    let suffix: String = uuid::Uuid::new_v4().simple().to_string().chars().take(5).collect();
    Run {
        format: RUN_FORMAT.to_owned(),
        scenario: schedule.scenario.clone(),
        seed: schedule.seed,
        scenario_file: assignment.file.clone(),
        scenario_text: assignment.text.clone(),
        started,
        ended: None,
        state: RunState::Running,
        cluster: settings.cluster.kind,
        namespace: format!("chaos-{}-{suffix}", schedule.scenario),
        subject: SUBJECT_NAME.to_owned(),
        versions: Versions {
            chaos: env!("CARGO_PKG_VERSION").to_owned(),
            operator: settings
                .operator_image
                .clone()
                .unwrap_or_else(|| crate::cluster::images::OPERATOR_IMAGE.to_owned()),
            etcd,
            kubernetes: "unknown".to_owned(),
        },
        mutant: settings.mutant.clone(),
        arguments: settings.arguments.clone(),
    }
}
