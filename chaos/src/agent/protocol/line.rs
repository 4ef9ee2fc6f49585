//! What an agent writes: one measurement or step a line. Only types; what makes a proof complete is said in `proof`.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::AgentFault;

/// One line of the agent's standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofLine {
    /// Always [`PROTOCOL_FORMAT`](super::PROTOCOL_FORMAT).
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
    /// A file's content.
    File {
        /// In how many places the text stands that is written over.
        places: u64,
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
