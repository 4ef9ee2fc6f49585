//! What a run will do, with every random choice already made. Byte-identical for the same scenario and seed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Allow, ClusterSize, Condition, EtcdVersion, Expect, Fault, FaultName, Load, Period, ScenarioName, Seed,
    Subject, Target,
};

/// The format that this build writes.
pub const SCHEDULE_FORMAT: &str = "etcd-chaos/schedule/v2";
/// The format before, which is still read: it has no bounds for repairs, for steadiness and for outages in general.
pub const SCHEDULE_FORMAT_BEFORE: &str = "etcd-chaos/schedule/v1";

/// All that the runner needs and all that the judge holds a run to. Replaying it needs no scenario file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// Always [`SCHEDULE_FORMAT`].
    pub format: String,
    /// The scenario it was made from.
    pub scenario: ScenarioName,
    /// The seed it was made with.
    pub seed: Seed,
    /// The cluster under test.
    pub subject: Subject,
    /// The load during the run.
    pub load: Load,
    /// What the load's clients draw their choices from.
    pub load_seed: Seed,
    /// The faults, in the order of the scenario file.
    pub steps: Vec<Step>,
    /// What must hold.
    pub expect: Expect,
    /// What is permitted beyond the ordinary.
    pub allow: Allow,
}

impl Schedule {
    /// The most voters that are declared at any time of the run.
    pub fn largest_size(&self) -> ClusterSize {
        self.subject.largest_size(self.steps.iter().map(|step| &step.fault))
    }

    /// Every version of etcd that is declared at any time of the run; none for a subject that somebody else runs.
    pub fn etcd_versions(&self) -> BTreeSet<&EtcdVersion> {
        self.first_version().into_iter().chain(self.steps.iter().filter_map(|step| step.version())).collect()
    }

    /// The version that is declared when the faults begin.
    pub fn first_version(&self) -> Option<&EtcdVersion> {
        match &self.subject {
            Subject::Cluster(cluster) => Some(&cluster.version),
            Subject::Selector(_) => None,
        }
    }

    /// What people call a fault: the word for its kind, and for another version where it leads.
    pub fn title(&self, step: &Step) -> String {
        let Some(version) = step.version() else { return step.fault.kind().to_owned() };
        let earlier = self.steps.iter().take_while(|other| other.name != step.name);
        let before = earlier.filter_map(Step::version).last().or(self.first_version());
        let is_earlier = before.is_some_and(|before| version.numbers() < before.numbers());
        format!("{} to {version}", if is_earlier { "downgrade" } else { "upgrade" })
    }
}

/// One fault of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Its name, unique in the run.
    pub name: FaultName,
    /// When it is injected.
    pub trigger: Trigger,
    /// What is broken.
    pub fault: Fault,
    /// In whom.
    pub target: Target,
    /// The seeded order in which candidates are preferred: the first that fits is taken.
    pub preference: Vec<u8>,
}

impl Step {
    /// The version of etcd that this fault declares.
    pub fn version(&self) -> Option<&EtcdVersion> {
        self.fault.version()
    }
}

/// When a fault is injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Trigger {
    /// So long after the faults' phase began; jitter is already in it.
    At(Period),
    /// Once a fact is seen.
    When {
        /// The fact. It counts from the moment that the step before this one was injected, or, for the first, from the
        /// beginning of the faults' phase. [`Condition::Members`] and [`Condition::Healthy`] may already hold then.
        condition: Condition,
        /// How long to wait for it from that same moment. If it is not seen, the run proves nothing.
        within: Period,
        /// How long to wait after it is seen.
        delay: Period,
    },
}
