//! From the command line's files to runs: each with its seed and a place of its own for its record. Starts nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use chaos::cluster::{ClusterKind, images};
use chaos::runner::Assignment;
use chaos::runner::directory::{DEFAULT_PARENT, RunDirectory};
use chaos::scenario::{self, Scenario, Seed, Subject, Unavailable};

use super::outcomes::Outcomes;

/// A scenario file that was read.
pub(super) struct Plan {
    file: String,
    text: String,
    scenario: Scenario,
}

/// Reads every file before anything is started: the last one's mistake must not cost the first one's run.
///
/// # Errors
/// The first thing that is wrong, or that cannot be had on this kind of cluster.
pub(super) fn read(files: &[PathBuf], cluster: ClusterKind) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    let mut names = BTreeSet::new();
    for file in files {
        let (scenario, text) = super::plan::load(file)?;
        if !names.insert(scenario.name.clone()) {
            bail!("two of the files have the name {}: their records would be in one place", scenario.name);
        }
        plans.push(Plan { file: file.display().to_string(), text, scenario });
    }
    plans.iter().try_for_each(|plan| refuse_unavailable(plan, cluster))?;
    Ok(plans)
}

/// Refuses, at the field that asks for it, what cannot be had on this machine or is not built yet.
fn refuse_unavailable(plan: &Plan, cluster: ClusterKind) -> Result<()> {
    let refused = |field: Unavailable, message: &str| {
        let error = scenario::refusal(&plan.file, &plan.text, field, message);
        Err(super::plan::shown(&error))
    };
    match &plan.scenario.subject {
        Subject::Selector(_) => {
            refused(Unavailable::Selector, "a selector is not built yet: use `subject.cluster`")
        }
        Subject::Cluster(subject) if cluster != ClusterKind::Current => {
            let of_faults = plan.scenario.faults.iter().enumerate().filter_map(|(index, planned)| {
                planned.fault.version().map(|version| (Unavailable::VersionOfFault(index), version))
            });
            for (field, version) in std::iter::once((Unavailable::Version, &subject.version)).chain(of_faults)
            {
                if let Some(message) = images::missing_etcd(version.as_str())? {
                    return refused(field, &message);
                }
            }
            Ok(())
        }
        Subject::Cluster(_) => Ok(()),
    }
}

/// Refuses a run whose place is taken, before anything is started.
///
/// # Errors
/// The first place that holds a run already.
pub(super) fn check_free(assignments: &[Assignment]) -> Result<()> {
    assignments.iter().try_for_each(|assignment| RunDirectory::check_free(&assignment.out))
}

/// Where the records of one command go.
pub(super) struct Place {
    out: Option<PathBuf>,
    /// Whether `out` is the directory of the only run, rather than the parent of several.
    single: bool,
    time: String,
}

impl Place {
    /// The place of a command that begins now.
    pub(super) fn new(out: Option<PathBuf>, single: bool) -> Place {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
        Place { out, single, time }
    }

    /// One run of a file. Each round takes the next seed.
    pub(super) fn assign(&self, plan: &Plan, seed: Option<u64>, round: u64) -> Assignment {
        let first = seed.unwrap_or(plan.scenario.seed.0);
        let seed = Seed(first.wrapping_add(round));
        let name = &plan.scenario.name;
        let out = match &self.out {
            Some(out) if self.single => out.clone(),
            Some(out) => out.join(format!("{name}-{seed}")),
            None => Path::new(DEFAULT_PARENT).join(format!("{name}-{seed}-{}", self.time)),
        };
        let schedule = scenario::schedule(&plan.scenario, seed);
        Assignment { file: plan.file.clone(), text: plan.text.clone(), schedule, out }
    }

    /// Where the JUnit of several runs goes, under a name that no other command takes; nothing for a single run, which has its own,
    /// and where nothing was run.
    pub(super) fn junit(&self, outcomes: &Outcomes) -> Option<PathBuf> {
        let parent = self.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_PARENT));
        let several = !self.single && !outcomes.finished.is_empty();
        several.then(|| parent.join(format!("junit-{}.xml", self.time)))
    }
}
