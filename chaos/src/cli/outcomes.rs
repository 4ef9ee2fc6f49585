//! What came of the runs of one command, and the exit code that follows. Decides only; prints nothing but what could not be run.

use anyhow::Result;
use chaos::checker::Verdict;
use chaos::report::NotBegun;
use chaos::runner::{Assignment, Finished};

use super::EXIT_ERROR;

/// What came of the runs so far.
#[derive(Default)]
pub(super) struct Outcomes {
    /// Runs that are over and judged.
    pub(super) finished: Vec<Finished>,
    /// Scenarios that could not be run at all.
    pub(super) not_begun: Vec<NotBegun>,
    /// Whether the user stopped before all were run.
    pub(super) cut_short: bool,
}

impl Outcomes {
    /// Takes the end of one run in. An error is said at once.
    pub(super) fn take(&mut self, assignment: &Assignment, ended: Result<Finished>) {
        match ended {
            Ok(run) => self.finished.push(run),
            Err(error) => {
                let error = format!("{error:#}");
                anstream::eprintln!("error: {}: {error}", assignment.file);
                let (scenario, seed) = (assignment.schedule.scenario.clone(), assignment.schedule.seed);
                self.not_begun.push(NotBegun { scenario, seed, error });
            }
        }
    }

    /// Whether every run was begun and passed.
    pub(super) fn all_passed(&self) -> bool {
        self.not_begun.is_empty() && self.finished.iter().all(|run| run.verdict() == Verdict::Pass)
    }

    /// How many runs ended with a verdict.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.finished.iter().filter(|run| run.verdict() == verdict).count()
    }

    /// The worst verdict wins; what could not be run is at least an error.
    pub(super) fn exit_code(&self) -> u8 {
        let worst = self.finished.iter().map(Finished::verdict).max().unwrap_or(Verdict::Invalid);
        let incomplete = self.cut_short || !self.not_begun.is_empty();
        match worst {
            Verdict::Pass if incomplete => EXIT_ERROR,
            Verdict::Pass | Verdict::Invalid | Verdict::Fail => worst.exit_code(),
        }
    }
}
