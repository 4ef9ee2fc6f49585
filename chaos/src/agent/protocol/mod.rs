//! What the harness and its agent inside a pod say to each other: one fault as JSON in the agent's argument, and proof
//! as one JSON object a line on the agent's standard output. Only types and pure rules; this file never touches a
//! network, a process or a file.

mod check;
mod line;
#[cfg(test)]
mod tests;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use check::RequestError;
pub use line::{Dial, DialOutcome, DropCounters, Observation, ProcessState, ProofEvent, ProofLine};

/// Version of both directions of the protocol. An agent refuses a request of another version.
pub const PROTOCOL_FORMAT: u32 = 1;

/// The shortest fault that can still be measured while it lasts.
pub const SHORTEST_DURATION_MILLISECONDS: u64 = 500;

/// The longest fault that an agent accepts: nobody watches a cluster for longer than this after an accident.
pub const LONGEST_DURATION_MILLISECONDS: u64 = 3_600_000;

/// The whole argument of `chaos agent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentRequest {
    /// Must equal [`PROTOCOL_FORMAT`].
    pub format: u32,
    /// What to do.
    pub fault: AgentFault,
}

impl AgentRequest {
    /// A request in the current format.
    pub fn new(fault: AgentFault) -> Self {
        Self { format: PROTOCOL_FORMAT, fault }
    }
}

/// A fault that an agent carries out from inside the target pod. Each ends by itself, even if the agent is killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AgentFault {
    /// Packets between this pod and some addresses are dropped.
    Partition(PartitionFault),
    /// The first process of the target container dies at once, as by SIGKILL from the node.
    Kill,
    /// All threads of the first process of the target container stand still.
    Pause(PauseFault),
    /// A directory of the target is emptied.
    Wipe(WipeFault),
    /// Bytes in a file of the target become others.
    Spoil(SpoilFault),
    /// Nothing is broken: looks for leftovers of earlier faults, removes them and dials.
    CheckHeal(CheckHealFault),
}

/// Cuts the pod off from some addresses by an nftables set whose elements carry a kernel time-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionFault {
    /// Addresses to cut, with the port that the proof dials (such as etcd's peer port). Packets of every port are dropped
    /// unless `ports` says otherwise.
    pub peers: Vec<SocketAddrV4>,
    /// Whose packets are dropped, seen from this pod.
    #[serde(default)]
    pub direction: Direction,
    /// Only TCP packets from or to one of these ports are dropped; empty means every packet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Addresses that must stay reachable while the cut lasts (the API server's Service address is a good one).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncut: Vec<SocketAddrV4>,
    /// How long the kernel keeps the cut.
    pub duration_milliseconds: u64,
}

/// Whose packets a partition drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Packets from and to the peers.
    #[default]
    Both,
    /// Only packets that arrive from the peers.
    Inbound,
    /// Only packets that leave for the peers.
    Outbound,
}

impl Direction {
    /// Whether packets that arrive from a peer are dropped.
    pub fn drops_inbound(self) -> bool {
        match self {
            Self::Both | Self::Inbound => true,
            Self::Outbound => false,
        }
    }

    /// Whether packets that leave for a peer are dropped.
    pub fn drops_outbound(self) -> bool {
        match self {
            Self::Both | Self::Outbound => true,
            Self::Inbound => false,
        }
    }
}

/// Stops every thread of the first process of the target container, and lets them go again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseFault {
    /// How long the process stands still.
    pub duration_milliseconds: u64,
}

/// Empties a directory and keeps the directory itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WipeFault {
    /// The directory to empty, inside the mounted volume.
    pub path: PathBuf,
    /// Stop the first process of the target container before the wipe, and kill it after: nothing is written again.
    #[serde(default)]
    pub then_kill: bool,
}

/// Writes another text over every place where a text stands in a file, while its owner runs: a disk that does not keep what it was
/// given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpoilFault {
    /// The file, inside the mounted volume.
    pub path: PathBuf,
    /// What stands there.
    pub old: String,
    /// What stands there after, as many bytes.
    pub new: String,
}

/// Looks for what earlier agents left in this pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckHealFault {
    /// Addresses that must be reachable.
    #[serde(default)]
    pub reachable: Vec<SocketAddrV4>,
}

/// What the ephemeral container of a fault must be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentNeeds {
    /// Linux capabilities beyond the runtime's default set, without the `CAP_` prefix.
    pub capabilities: Vec<&'static str>,
    /// Whether the agent must share the pid namespace of the target container (`targetContainerName`).
    pub target_process: bool,
    /// Whether the agent must mount the target's data volume.
    pub data_volume: bool,
}

impl AgentFault {
    /// What the ephemeral container needs for this fault, and nothing more: `targetContainerName` only where a process
    /// is the target, because it ties the agent's life to the container's.
    pub fn needs(&self) -> AgentNeeds {
        match self {
            Self::Partition(_) | Self::CheckHeal(_) => {
                AgentNeeds { capabilities: vec!["NET_ADMIN"], target_process: false, data_volume: false }
            }
            Self::Kill | Self::Pause(_) => {
                AgentNeeds { capabilities: vec!["SYS_PTRACE"], target_process: true, data_volume: false }
            }
            Self::Wipe(WipeFault { then_kill: true, .. }) => AgentNeeds {
                capabilities: vec!["DAC_OVERRIDE", "SYS_PTRACE"],
                target_process: true,
                data_volume: true,
            },
            Self::Wipe(WipeFault { then_kill: false, .. }) | Self::Spoil(_) => {
                AgentNeeds { capabilities: vec!["DAC_OVERRIDE"], target_process: false, data_volume: true }
            }
        }
    }

    /// The word for this fault in container names and messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Partition(_) => "partition",
            Self::Kill => "kill",
            Self::Pause(_) => "pause",
            Self::Wipe(_) => "wipe",
            Self::Spoil(_) => "spoil",
            Self::CheckHeal(_) => "check-heal",
        }
    }

    /// How long the fault lasts once it is in force. Zero for faults that are over as soon as they are done.
    pub fn duration(&self) -> Duration {
        match self {
            Self::Partition(partition) => Duration::from_millis(partition.duration_milliseconds),
            Self::Pause(pause) => Duration::from_millis(pause.duration_milliseconds),
            Self::Kill | Self::Wipe(_) | Self::Spoil(_) | Self::CheckHeal(_) => Duration::ZERO,
        }
    }

    /// Whether the agent's log may end without a last `finished` line, because the fault kills the agent's own pid
    /// namespace.
    pub fn kills_the_agent(&self) -> bool {
        match self {
            Self::Kill => true,
            Self::Wipe(wipe) => wipe.then_kill,
            Self::Partition(_) | Self::Pause(_) | Self::Spoil(_) | Self::CheckHeal(_) => false,
        }
    }
}
