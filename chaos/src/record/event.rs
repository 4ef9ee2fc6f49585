//! `events.jsonl`: what the harness did and saw, in the order it happened. Plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{KubernetesEvent, PodSample, Proof, StatusSample, TargetedPod};
use crate::history::{Elapsed, UnixNanoseconds, Writer};
use crate::scenario::FaultName;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventLine {
    /// The harness's wall clock.
    pub at: UnixNanoseconds,
    /// What happened.
    pub event: Event,
}

/// Something that the harness did or saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// The first line of the file.
    Opened {
        /// Always [`super::EVENTS_FORMAT`].
        format: String,
    },
    /// A part of the run begins.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// A fault waits for its fact.
    FaultWaiting {
        /// Which fault.
        fault: FaultName,
    },
    /// The fact that a fault waits for was seen.
    FaultTriggered {
        /// Which fault.
        fault: FaultName,
        /// What was seen, for people.
        seen: String,
    },
    /// The fact that a fault waits for was not seen in time: the fault is not injected.
    FaultNotTriggered {
        /// Which fault.
        fault: FaultName,
    },
    /// The fault was not injected: its targets are not there, or the quorum would not survive it now.
    FaultRefused {
        /// Which fault.
        fault: FaultName,
        /// Why.
        reason: String,
    },
    /// The targets are chosen; the next thing that happens is the fault.
    FaultInjecting {
        /// Which fault.
        fault: FaultName,
        /// In whom. Empty for a fault of the cluster as a whole.
        targets: Vec<TargetedPod>,
    },
    /// The fault is in force from now on at the latest.
    FaultInjected {
        /// Which fault.
        fault: FaultName,
    },
    /// Something about a fault was measured.
    FaultProof {
        /// Which fault.
        fault: FaultName,
        /// The pod that it was measured in, as it was named when it became a target; none for the cluster as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pod: Option<String>,
        /// What was measured.
        proof: Proof,
    },
    /// The fault is over from now on: what it held up is let go. For a fault that is over once it happened this
    /// follows its injection at once. Recovery is measured from here.
    FaultHealed {
        /// Which fault.
        fault: FaultName,
    },
    /// Injecting, measuring or healing did not work.
    FaultFailed {
        /// Which fault.
        fault: FaultName,
        /// What the harness was doing, and the chain of causes.
        error: String,
    },
    /// The `EtcdCluster` as the API server showed it.
    Status(StatusSample),
    /// An Event of Kubernetes about the subject or what belongs to it.
    Kubernetes(KubernetesEvent),
    /// A pod of the subject or of the operator as the API server showed it.
    Pod(PodSample),
    /// Another process's clock was read.
    Clock(ClockReading),
    /// Anything else that a reader of the record should know.
    Note {
        /// One sentence.
        text: String,
    },
    /// The user asked to stop.
    Interrupted,
    /// The last line of the file.
    Closed {
        /// How many lines stand before this one, the first included: a gap in the file shows.
        lines: u64,
    },
}

impl Event {
    /// The fault that it is about, if it is about one.
    pub fn fault(&self) -> Option<&FaultName> {
        match self {
            Event::FaultWaiting { fault }
            | Event::FaultTriggered { fault, .. }
            | Event::FaultNotTriggered { fault }
            | Event::FaultRefused { fault, .. }
            | Event::FaultInjecting { fault, .. }
            | Event::FaultInjected { fault }
            | Event::FaultProof { fault, .. }
            | Event::FaultHealed { fault }
            | Event::FaultFailed { fault, .. } => Some(fault),
            Event::Opened { .. }
            | Event::Phase { .. }
            | Event::Status(_)
            | Event::Kubernetes(_)
            | Event::Pod(_)
            | Event::Clock(_)
            | Event::Note { .. }
            | Event::Interrupted
            | Event::Closed { .. } => None,
        }
    }
}

/// One look at the clock of a process that writes a history. Its answer was made at some moment between question and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockReading {
    /// Whose.
    pub writer: Writer,
    /// When it was asked, by the harness's clock.
    pub asked: UnixNanoseconds,
    /// When its answer was there, by the harness's clock.
    pub answered: UnixNanoseconds,
    /// What the clock of its history showed.
    pub elapsed: Elapsed,
    /// What its wall clock showed at the same moment.
    pub wall: UnixNanoseconds,
}

/// The parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The Kubernetes cluster, the operator and the images are made ready.
    Prepare,
    /// The subject is created and becomes ready.
    Bootstrap,
    /// Load without faults.
    WarmUp,
    /// The faults.
    Faults,
    /// Waiting until the subject is whole again, still under load.
    Recovery,
    /// Load after recovery.
    CoolDown,
    /// Clients have stopped; the committed log and the hashes are read.
    FinalRead,
    /// Everything of the run is removed.
    CleanUp,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Phase::Prepare => "prepare",
            Phase::Bootstrap => "bootstrap",
            Phase::WarmUp => "warm-up",
            Phase::Faults => "faults",
            Phase::Recovery => "recovery",
            Phase::CoolDown => "cool-down",
            Phase::FinalRead => "final read",
            Phase::CleanUp => "clean-up",
        })
    }
}
