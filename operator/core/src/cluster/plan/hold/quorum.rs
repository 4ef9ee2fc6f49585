//! Holds about members and their quorum that want a person. Never decides.

use std::fmt;

use super::{HoldReason, list};
use crate::gate::GateHoldReason;
use crate::names::{ClusterId, MemberName};

/// What is not done to the membership, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuorumHold {
    /// No linearizable member list: nothing that could cost data is done.
    Unknown {
        /// What was tried.
        message: String,
    },
    /// Those who answer, or what is recorded, belong to different clusters.
    ClusterIdMismatch {
        /// What the member list says.
        listed: ClusterId,
        /// Who says otherwise, and what.
        others: Vec<String>,
    },
    /// Somebody added a member that is not ours.
    UnknownMember {
        /// Its ID and peer URLs.
        description: String,
    },
    /// A member is to be replaced or removed, and removing it would break quorum.
    AtRisk {
        /// The member.
        member: MemberName,
        /// The votes.
        message: String,
    },
    /// More than one gate refuses to start. That has one common cause, and replacing members would hide it.
    SeveralGatesRefuse {
        /// The members.
        members: Vec<MemberName>,
    },
    /// A gate refuses, and the reason is none that a replacement would cure without losing somebody's data.
    GateRefuses {
        /// The member.
        member: MemberName,
        /// The gate's reason.
        reason: GateHoldReason,
    },
    /// Successors of a silent member went silent too, one after the other: another one would not help.
    ReplacementsFail {
        /// The member.
        member: MemberName,
        /// How many.
        attempts: usize,
    },
    /// etcd has raised an alarm.
    Alarm {
        /// The member that raised it.
        member: MemberName,
        /// What it says.
        alarm: &'static str,
    },
    /// Members' data is not the same, and nobody can tell whose is right.
    DataDiffers {
        /// What is known.
        message: String,
    },
    /// etcd asks for credentials that the operator does not have.
    AuthenticationEnabled,
}

impl QuorumHold {
    pub(super) fn reason(&self) -> HoldReason {
        match self {
            QuorumHold::Unknown { .. } => HoldReason::QuorumUnknown,
            QuorumHold::ClusterIdMismatch { .. } => HoldReason::ClusterIdMismatch,
            QuorumHold::UnknownMember { .. } => HoldReason::UnknownMember,
            QuorumHold::AtRisk { .. } => HoldReason::QuorumAtRisk,
            QuorumHold::SeveralGatesRefuse { .. } => HoldReason::SeveralGatesRefuse,
            QuorumHold::GateRefuses { .. } => HoldReason::GateRefuses,
            QuorumHold::ReplacementsFail { .. } => HoldReason::ReplacementsFail,
            QuorumHold::Alarm { .. } => HoldReason::AlarmRaised,
            QuorumHold::DataDiffers { .. } => HoldReason::DataDiffers,
            QuorumHold::AuthenticationEnabled => HoldReason::AuthenticationEnabled,
        }
    }

    pub(super) fn about(&self) -> Option<String> {
        match self {
            QuorumHold::Unknown { .. }
            | QuorumHold::ClusterIdMismatch { .. }
            | QuorumHold::SeveralGatesRefuse { .. }
            | QuorumHold::DataDiffers { .. }
            | QuorumHold::AuthenticationEnabled => None,
            QuorumHold::UnknownMember { description } => Some(description.clone()),
            QuorumHold::AtRisk { member, .. }
            | QuorumHold::GateRefuses { member, .. }
            | QuorumHold::ReplacementsFail { member, .. }
            | QuorumHold::Alarm { member, .. } => Some(member.to_string()),
        }
    }
}

impl fmt::Display for QuorumHold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumHold::Unknown { message } => {
                write!(formatter, "no quorum answered, so nothing that could cost data is done: {message}")
            }
            QuorumHold::ClusterIdMismatch { listed, others } => {
                write!(formatter, "the member list is of cluster {listed}, but {}", others.join("; "))
            }
            QuorumHold::UnknownMember { description } => write!(
                formatter,
                "the member list holds a member that this operator did not add: {description}"
            ),
            QuorumHold::AtRisk { member, message } => {
                write!(
                    formatter,
                    "{member} is not removed, because removing it would break quorum: {message}"
                )
            }
            QuorumHold::SeveralGatesRefuse { members } => write!(
                formatter,
                "several gates refuse to start, so none of the members is replaced: {}",
                list(members)
            ),
            QuorumHold::GateRefuses { member, reason } => {
                write!(formatter, "the gate of {member} refuses to start etcd: {}", reason.as_str())
            }
            QuorumHold::ReplacementsFail { member, attempts } => write!(
                formatter,
                "{member} is silent and is not replaced, because {attempts} replacements before it have failed; their volumes \
                 are kept until one succeeds"
            ),
            QuorumHold::Alarm { member, alarm } => write!(
                formatter,
                "etcd has raised the alarm {alarm} for {member}; planned restarts wait until it is disarmed"
            ),
            QuorumHold::DataDiffers { message } => write!(
                formatter,
                "the members' data is not the same and no majority vouches for any, so nothing is changed or deleted: {message}"
            ),
            QuorumHold::AuthenticationEnabled => write!(
                formatter,
                "etcd's authentication is on and the operator has no credentials: members answer and refuse it, so the \
                 membership is not changed and no member is restarted"
            ),
        }
    }
}
