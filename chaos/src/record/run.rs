//! `run.json`: what was run, with which versions, and whether it came to its end. Plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::UnixNanoseconds;
use crate::scenario::{ScenarioName, Seed};

/// The head of a run's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Always [`super::RUN_FORMAT`].
    pub format: String,
    /// The scenario's name.
    pub scenario: ScenarioName,
    /// The seed that the schedule was made with.
    pub seed: Seed,
    /// The scenario file as the user named it.
    pub scenario_file: String,
    /// The whole text of the scenario file.
    pub scenario_text: String,
    /// When the run started.
    pub started: UnixNanoseconds,
    /// When it ended; nothing while it runs or if it was killed.
    #[serde(default)]
    pub ended: Option<UnixNanoseconds>,
    /// Whether it came to its end.
    pub state: RunState,
    /// The kind of cluster that it ran on.
    pub cluster: ClusterKind,
    /// The namespace that the run made.
    pub namespace: String,
    /// The name of the cluster under test.
    pub subject: String,
    /// What ran.
    pub versions: Versions,
    /// The deliberately wrong operator that was chosen; none in an ordinary run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// What the command line said beyond file, seed and cluster, so that the same can be run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// How far a run came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunState {
    /// It runs, or it was killed.
    Running,
    /// It came to its end and left the record whole.
    Complete,
    /// The user stopped it.
    Interrupted,
    /// It could not go on.
    Errored {
        /// What the harness was doing, and the chain of causes.
        error: String,
    },
}

/// Where a scenario runs. A scenario file never says which; its record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// The embedded cluster: needs nothing but etcd images and root.
    Sandbox,
    /// Real Kubernetes without a container engine.
    Bare,
    /// Kubernetes in Docker.
    Kind,
    /// The cluster that a context of your kubeconfig names.
    Current,
}

impl fmt::Display for ClusterKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ClusterKind::Sandbox => "sandbox",
            ClusterKind::Bare => "bare",
            ClusterKind::Kind => "kind",
            ClusterKind::Current => "current",
        })
    }
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Versions {
    /// This harness.
    pub chaos: String,
    /// The operator's image.
    pub operator: String,
    /// The etcd version of the cluster under test.
    pub etcd: String,
    /// What the API server calls itself.
    pub kubernetes: String,
}
