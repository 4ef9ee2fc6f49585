//! A scenario after parsing: nothing in it can be wrong by itself any more. Plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClusterSize, Condition, EtcdVersion, Fault, FaultName, Period, ScenarioName, Seed, Target};

/// One scenario file: one experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The name, as in the file.
    pub name: ScenarioName,
    /// The seed, unless the command line gives another.
    pub seed: Seed,
    /// The cluster under test.
    pub subject: Subject,
    /// The load during the run.
    pub load: Load,
    /// The faults, in the order of the file.
    pub faults: Vec<PlannedFault>,
    /// What must hold.
    pub expect: Expect,
    /// What is permitted beyond the ordinary.
    pub allow: Allow,
}

/// A fault before the seed has spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// Given, or made from the kind and its place in the file.
    pub name: FaultName,
    /// When.
    pub timing: Timing,
    /// What, except for what the seed may still choose.
    pub fault: Fault,
    /// Whether the seed chooses the direction of a partition (`direction: any`).
    pub any_direction: bool,
    /// In whom.
    pub target: Target,
}

/// When a fault is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// After a time, give or take.
    At {
        /// So long after the faults' phase began.
        at: Period,
        /// The seed moves it by up to this much, either way.
        jitter: Period,
    },
    /// After a fact.
    When {
        /// The fact.
        condition: Condition,
        /// The longest wait for it.
        within: Period,
        /// The seed adds up to this much after it was seen.
        jitter: Period,
    },
}

/// The cluster under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Subject {
    /// An `EtcdCluster` that the run creates and our operator runs.
    Cluster(SubjectCluster),
    /// Any etcd on Kubernetes that is already there.
    Selector(SubjectSelector),
}

impl Subject {
    /// How many voters it has when the faults begin.
    pub fn size(&self) -> ClusterSize {
        match self {
            Subject::Cluster(cluster) => cluster.size,
            Subject::Selector(selector) => selector.size,
        }
    }

    /// The most voters that are declared at any time, with these faults.
    pub fn largest_size<'a>(&self, faults: impl Iterator<Item = &'a Fault>) -> ClusterSize {
        let resizes = faults.filter_map(|fault| match fault {
            Fault::Resize { size } => Some(*size),
            _ => None,
        });
        resizes.fold(self.size(), ClusterSize::max)
    }
}

/// The part of an `EtcdCluster`'s spec that scenarios set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectCluster {
    /// `spec.size`.
    pub size: ClusterSize,
    /// `spec.version`.
    pub version: EtcdVersion,
    /// `spec.storage.size`, a Kubernetes quantity.
    pub storage: String,
    /// `spec.rollout.soakSeconds`; the operator's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Period>,
    /// `spec.tls`, as it is; no TLS if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Map<String, Value>>,
}

/// Where to find an etcd that somebody else runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectSelector {
    /// The namespace.
    pub namespace: String,
    /// Labels that all member pods carry and nothing else does.
    pub labels: BTreeMap<String, String>,
    /// How many members there must be.
    pub size: ClusterSize,
    /// The container that etcd runs in.
    pub container: String,
}

/// What the clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// How many clients, each with one call open at a time.
    pub clients: u32,
    /// Calls a second that all clients together try to make.
    pub requests_per_second: u32,
    /// How many keys they share.
    pub keys: u32,
    /// The length of each value in bytes.
    pub value_bytes: u32,
    /// The share of each call.
    pub mix: Mix,
    /// After this long a call's outcome is unknown.
    pub request_timeout: Period,
    /// Load before the first fault.
    pub warm_up: Period,
    /// Load after everything is healed.
    pub cool_down: Period,
}

/// Weights: a call is chosen in proportion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mix {
    /// Plain writes.
    pub put: u32,
    /// Linearizable reads.
    pub get: u32,
    /// Compare-and-swap transactions.
    pub transaction: u32,
}

/// What must hold for the run to pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// After each fault's end a linearizable read succeeds within this time.
    pub quorum_back_within: Period,
    /// After the last fault's end every declared member is a healthy voter within this time.
    pub recovery_within: Period,
    /// For so long without a break members must be healthy, and a quorum there, before they count as back.
    #[serde(default = "steady_for")]
    pub steady_for: Period,
    /// What the operator owes after a fault, such as a repair or another volume, is there within this time.
    #[serde(default = "repair_within")]
    pub repair_within: Period,
    /// The status may say Ready or healthy for at most this long after the probes saw otherwise.
    pub status_lag_within: Period,
    /// The longest time in which nobody is served by a quorum, from the first fault on.
    #[serde(default = "longest_outage")]
    pub longest_outage: Period,
    /// Fewer acknowledged writes than this prove nothing.
    pub acknowledged_writes: u64,
    /// Fewer acknowledged writes than this from one fault's injection until its effect must be over prove nothing.
    pub acknowledged_writes_per_fault: u64,
}

/// etcd's `election-timeout`, which our clusters leave at its default: a follower that hears nothing stands for election after
/// one to two times as long, drawn anew each time (etcd's documentation, "Tuning").
pub const ELECTION_TIMEOUT: Period = Period::from_milliseconds(1_000);

/// What a fault that leaves a majority whole may cost: one election, with a first vote that ends in a tie and the second one,
/// each waited for as long as the draw can be, and half a second in which nobody happened to ask.
pub const ONE_ELECTION: Period = Period::from_milliseconds(4_500);

/// [`Expect::steady_for`] where nothing is said.
pub(super) fn steady_for() -> Period {
    Period::from_seconds(5)
}

/// [`Expect::repair_within`] where nothing is said.
pub(super) fn repair_within() -> Period {
    Period::from_seconds(60)
}

/// [`Expect::longest_outage`] where nothing is said.
pub(super) fn longest_outage() -> Period {
    ONE_ELECTION
}

/// What is permitted beyond the ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// Faults may take the quorum away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum_loss: Option<QuorumLoss>,
}

/// What must hold where faults take the quorum away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuorumLoss {
    /// Instead of [`Expect::quorum_back_within`].
    pub quorum_back_within: Period,
}
