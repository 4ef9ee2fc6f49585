//! What the harness and its agent inside a pod say to each other: one fault as JSON in the agent's argument, and proof
//! as one JSON object a line on the agent's standard output. Only types and pure rules; this file never touches a
//! network, a process or a file.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// Nothing is broken: looks for leftovers of earlier faults, removes them and dials.
    CheckHeal(CheckHealFault),
}

/// Cuts the pod off from some addresses by an nftables set whose elements carry a kernel time-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionFault {
    /// Addresses to cut, with the port that the proof dials (etcd's peer port, 2380). Packets of every port are dropped
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

/// Looks for what earlier agents left in this pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckHealFault {
    /// Addresses that must be reachable.
    #[serde(default)]
    pub reachable: Vec<SocketAddrV4>,
}

/// Why a request cannot be carried out as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Written by another version of the harness.
    #[error("the request has format {found}, this agent speaks format {PROTOCOL_FORMAT}")]
    Format {
        /// The format found.
        found: u32,
    },
    /// A partition that cuts nobody.
    #[error("the partition names no peers")]
    NoPeers,
    /// An address is to be cut and to stay reachable.
    #[error("the partition both cuts {address} and expects it to stay reachable")]
    CutAndUncut {
        /// The address in question.
        address: Ipv4Addr,
    },
    /// A restriction to ports that leaves the dialled port open.
    #[error(
        "the partition cuts certain ports only, and the port of {peer}, which the proof dials, is not one of them"
    )]
    ProofPortOpen {
        /// The peer whose port stays open.
        peer: SocketAddrV4,
    },
    /// Too short to be measured or too long to be meant.
    #[error(
        "a duration of {found} ms is outside {SHORTEST_DURATION_MILLISECONDS} to {LONGEST_DURATION_MILLISECONDS} ms"
    )]
    Duration {
        /// The duration asked for.
        found: u64,
    },
    /// A path that could mean more than one volume.
    #[error("the directory to wipe, {path}, is not an absolute path below the root without `..`")]
    WipePath {
        /// The path as it was given.
        path: PathBuf,
    },
}

impl AgentRequest {
    /// Checks everything that can be known without looking at the pod.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.format != PROTOCOL_FORMAT {
            return Err(RequestError::Format { found: self.format });
        }
        match &self.fault {
            AgentFault::Partition(partition) => partition.check(),
            AgentFault::Pause(pause) => check_duration(pause.duration_milliseconds),
            AgentFault::Wipe(wipe) => wipe.check(),
            AgentFault::Kill | AgentFault::CheckHeal(_) => Ok(()),
        }
    }
}

impl PartitionFault {
    fn check(&self) -> Result<(), RequestError> {
        check_duration(self.duration_milliseconds)?;
        if self.peers.is_empty() {
            return Err(RequestError::NoPeers);
        }
        for peer in &self.peers {
            if self.uncut.iter().any(|uncut| uncut.ip() == peer.ip()) {
                return Err(RequestError::CutAndUncut { address: *peer.ip() });
            }
            if !self.ports.is_empty() && !self.ports.contains(&peer.port()) {
                return Err(RequestError::ProofPortOpen { peer: *peer });
            }
        }
        Ok(())
    }
}

impl WipeFault {
    fn check(&self) -> Result<(), RequestError> {
        use std::path::Component;
        let mut components = self.path.components();
        let absolute = matches!(components.next(), Some(Component::RootDir));
        let names: Vec<_> = components.collect();
        let plain = names.iter().all(|component| matches!(component, Component::Normal(_)));
        if absolute && plain && !names.is_empty() {
            Ok(())
        } else {
            Err(RequestError::WipePath { path: self.path.clone() })
        }
    }
}

fn check_duration(found: u64) -> Result<(), RequestError> {
    if (SHORTEST_DURATION_MILLISECONDS..=LONGEST_DURATION_MILLISECONDS).contains(&found) {
        Ok(())
    } else {
        Err(RequestError::Duration { found })
    }
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
            Self::Wipe(WipeFault { then_kill: false, .. }) => {
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
            Self::CheckHeal(_) => "check-heal",
        }
    }

    /// How long the fault lasts once it is in force. Zero for faults that are over as soon as they are done.
    pub fn duration(&self) -> Duration {
        match self {
            Self::Partition(partition) => Duration::from_millis(partition.duration_milliseconds),
            Self::Pause(pause) => Duration::from_millis(pause.duration_milliseconds),
            Self::Kill | Self::Wipe(_) | Self::CheckHeal(_) => Duration::ZERO,
        }
    }

    /// Whether the agent's log may end without a last `finished` line, because the fault kills the agent's own pid
    /// namespace.
    pub fn kills_the_agent(&self) -> bool {
        match self {
            Self::Kill => true,
            Self::Wipe(wipe) => wipe.then_kill,
            Self::Partition(_) | Self::Pause(_) | Self::CheckHeal(_) => false,
        }
    }
}

/// One line of the agent's standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofLine {
    /// Always [`PROTOCOL_FORMAT`].
    pub format: u32,
    /// Wall clock of the node when the line was written, in nanoseconds since 1970.
    pub at_unix_nanoseconds: u64,
    /// What was seen.
    pub event: ProofEvent,
}

/// What an agent has seen or done, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ProofEvent {
    /// The agent runs and has understood the request.
    Started {
        /// The fault in the agent's own words.
        fault: AgentFault,
        /// `/proc/sys/kernel/random/boot_id`: start times of processes are comparable within one boot only.
        boot_id: String,
    },
    /// Measured before anything was changed.
    Before {
        /// The state found.
        observation: Observation,
    },
    /// The fault is in force from here on. For `kill` this line is written while the process is held, immediately before
    /// it dies.
    Applied {
        /// When the kernel or the agent lifts the fault, in nanoseconds since 1970; absent for faults without an end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_at_unix_nanoseconds: Option<u64>,
    },
    /// Measured while the fault was in force; repeated.
    During {
        /// The state found.
        observation: Observation,
    },
    /// The fault's own timer has ended it; nothing was cleaned up yet.
    Expired {
        /// The state found.
        observation: Observation,
    },
    /// Measured after the fault and after its remains were removed.
    After {
        /// The state found.
        observation: Observation,
    },
    /// The last line of an agent that survives its fault.
    Finished,
    /// The agent could not do its work. Whatever it had changed ends by its own timer.
    Failed {
        /// What it was doing and why that failed.
        message: String,
    },
}

/// A measurement, by the kind of thing measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Observation {
    /// Reachability, and what the drop rules have counted.
    Network {
        /// One fresh dial to each peer of the fault.
        peers: Vec<Dial>,
        /// One fresh dial to each address that must stay reachable.
        uncut: Vec<Dial>,
        /// Packets dropped so far.
        dropped: DropCounters,
        /// Addresses that the kernel still cuts.
        cut_addresses: Vec<Ipv4Addr>,
    },
    /// The first process of the target container.
    Process {
        /// The process and its threads; absent when there is none.
        process: Option<ProcessState>,
    },
    /// A directory's content.
    Directory {
        /// Files, directories and links below it.
        entries: u64,
        /// Sum of the sizes of regular files.
        bytes: u64,
        /// Whether the process was stopped while this was counted.
        process_stopped: bool,
    },
}

/// One attempt to open a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dial {
    /// Where to.
    pub address: SocketAddrV4,
    /// How it ended.
    pub outcome: DialOutcome,
    /// How long it took.
    pub milliseconds: u64,
}

/// How a dial ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialOutcome {
    /// The connection was established.
    Connected,
    /// The other side's kernel answered that nobody listens: packets go both ways.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The network said that the address cannot be reached.
    Unreachable(String),
}

impl Dial {
    /// Whether packets went there and came back.
    pub fn path_works(&self) -> bool {
        match self.outcome {
            DialOutcome::Connected | DialOutcome::Refused => true,
            DialOutcome::TimedOut | DialOutcome::Unreachable(_) => false,
        }
    }
}

/// Packets dropped by a partition, by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropCounters {
    /// Packets that came from a peer.
    pub inbound_packets: u64,
    /// Packets that were to leave for a peer.
    pub outbound_packets: u64,
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessState {
    /// Identifier inside the target container's pid namespace.
    pub process_id: i32,
    /// Name of the program.
    pub command: String,
    /// When it was started, in clock ticks since the machine's boot: with the boot id this names the process for ever.
    pub start_time_ticks: u64,
    /// Threads by state letter (`S` sleeping, `R` running, `t` stopped by a tracer …).
    pub threads_by_state: std::collections::BTreeMap<char, u64>,
    /// Kernel functions in which the threads wait, where the kernel tells.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub threads_by_wait_channel: std::collections::BTreeMap<String, u64>,
}

impl ProcessState {
    /// Whether there are threads and each of them is stopped by a tracer.
    pub fn is_stopped(&self) -> bool {
        !self.threads_by_state.is_empty() && self.threads_by_state.keys().all(|state| *state == 't')
    }
}
