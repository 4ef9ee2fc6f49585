//! What the operator would do and does not, with a type for each reason. A hold is a result like an action is: it
//! reaches the user in the status, in a condition and in an Event. Never decides.

use std::fmt;

use crate::gate::GateHoldReason;
use crate::names::{ClusterId, MemberName};

/// One thing that is held back, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// The cluster object is being deleted; its volumes stay.
    BeingDeleted,
    /// The spec cannot be carried out.
    InvalidSpec {
        /// Which field, and what is wrong with it.
        message: String,
    },
    /// The first members are starting.
    Forming {
        /// Members that may still come.
        waiting_for: Vec<MemberName>,
    },
    /// No linearizable member list: nothing that could cost data is done.
    QuorumUnknown {
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
    /// A member is to be replaced or removed, and the others could not bear it.
    QuorumAtRisk {
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
    /// A volume holds data, and nothing proves that it is a removed member's of this cluster.
    VolumeConflict {
        /// The claim.
        claim: String,
        /// What is known.
        message: String,
    },
    /// A member is silent, and the time after which it is replaced has not passed.
    WaitingForSilentMember {
        /// The member.
        member: MemberName,
    },
    /// Objects of a removed member are still there.
    WaitingForCleanup {
        /// The member.
        member: MemberName,
    },
    /// A new member has not caught up.
    WaitingForLearner {
        /// The learner.
        member: MemberName,
        /// How far it is.
        message: String,
    },
    /// A change of size waits until all members are well.
    WaitingForHealth {
        /// Who is not well.
        members: Vec<MemberName>,
        /// What waits.
        what: &'static str,
    },
    /// A pod was made from a template that has since been put back, and its restart waits.
    WaitingToRestart {
        /// The member.
        member: MemberName,
        /// For what.
        message: String,
    },
    /// A pod still ends.
    WaitingForPod {
        /// The member.
        member: MemberName,
    },
    /// This build does not change the version of a running cluster.
    UpgradeNotSupported {
        /// The running version.
        from: String,
        /// The wanted version.
        to: String,
    },
    /// This build does not change the size of a volume.
    StorageChangeNotSupported {
        /// What there is.
        from: String,
        /// What is wanted.
        to: String,
    },
    /// This build does not stop clusters.
    SuspendNotSupported,
}

impl Hold {
    /// One CamelCase word: the reason in conditions, in `.status.holds` and of Events.
    pub fn reason(&self) -> &'static str {
        match self {
            Hold::BeingDeleted => "BeingDeleted",
            Hold::InvalidSpec { .. } => "InvalidSpec",
            Hold::Forming { .. } => "Forming",
            Hold::QuorumUnknown { .. } => "QuorumUnknown",
            Hold::ClusterIdMismatch { .. } => "ClusterIdMismatch",
            Hold::UnknownMember { .. } => "UnknownMember",
            Hold::QuorumAtRisk { .. } => "QuorumAtRisk",
            Hold::SeveralGatesRefuse { .. } => "SeveralGatesRefuse",
            Hold::GateRefuses { .. } => "GateRefuses",
            Hold::VolumeConflict { .. } => "VolumeConflict",
            Hold::WaitingForSilentMember { .. } => "WaitingForSilentMember",
            Hold::WaitingForCleanup { .. } => "WaitingForCleanup",
            Hold::WaitingForLearner { .. } => "WaitingForLearner",
            Hold::WaitingForHealth { .. } => "WaitingForHealth",
            Hold::WaitingToRestart { .. } => "WaitingToRestart",
            Hold::WaitingForPod { .. } => "WaitingForPod",
            Hold::UpgradeNotSupported { .. } => "UpgradeNotSupported",
            Hold::StorageChangeNotSupported { .. } => "StorageChangeNotSupported",
            Hold::SuspendNotSupported => "SuspendNotSupported",
        }
    }

    /// Whether it ends by itself as members start and catch up. Others want a person, and their Events are warnings.
    pub fn is_a_wait(&self) -> bool {
        match self {
            Hold::BeingDeleted
            | Hold::Forming { .. }
            | Hold::WaitingForSilentMember { .. }
            | Hold::WaitingForCleanup { .. }
            | Hold::WaitingForLearner { .. }
            | Hold::WaitingForHealth { .. }
            | Hold::WaitingToRestart { .. }
            | Hold::WaitingForPod { .. } => true,
            Hold::InvalidSpec { .. }
            | Hold::QuorumUnknown { .. }
            | Hold::ClusterIdMismatch { .. }
            | Hold::UnknownMember { .. }
            | Hold::QuorumAtRisk { .. }
            | Hold::SeveralGatesRefuse { .. }
            | Hold::GateRefuses { .. }
            | Hold::VolumeConflict { .. }
            | Hold::UpgradeNotSupported { .. }
            | Hold::StorageChangeNotSupported { .. }
            | Hold::SuspendNotSupported => false,
        }
    }
}

fn list(members: &[MemberName]) -> String {
    members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::BeingDeleted => write!(formatter, "the cluster is being deleted; its volumes are kept"),
            Hold::InvalidSpec { message } => write!(formatter, "the spec cannot be carried out: {message}"),
            Hold::Forming { waiting_for } => {
                write!(formatter, "waiting for the first members to form the cluster: {}", list(waiting_for))
            }
            Hold::QuorumUnknown { message } => {
                write!(formatter, "no quorum answered, so nothing that could cost data is done: {message}")
            }
            Hold::ClusterIdMismatch { listed, others } => {
                write!(formatter, "the member list is of cluster {listed}, but {}", others.join("; "))
            }
            Hold::UnknownMember { description } => {
                write!(
                    formatter,
                    "the member list holds a member that this operator did not add: {description}"
                )
            }
            Hold::QuorumAtRisk { member, message } => {
                write!(formatter, "{member} is not removed, because the others could not bear it: {message}")
            }
            Hold::SeveralGatesRefuse { members } => {
                write!(
                    formatter,
                    "several gates refuse to start, so none of the members is replaced: {}",
                    list(members)
                )
            }
            Hold::GateRefuses { member, reason } => {
                write!(formatter, "the gate of {member} refuses to start etcd: {}", reason.as_str())
            }
            Hold::VolumeConflict { claim, message } => {
                write!(formatter, "volume {claim} is neither used nor deleted: {message}")
            }
            Hold::WaitingForSilentMember { member } => {
                write!(
                    formatter,
                    "{member} does not answer and gives no proof of loss; it is given time to return"
                )
            }
            Hold::WaitingForCleanup { member } => {
                write!(formatter, "waiting until the objects of the removed member {member} are gone")
            }
            Hold::WaitingForLearner { member, message } => {
                write!(formatter, "learner {member} is not promoted yet: {message}")
            }
            Hold::WaitingForHealth { members, what } => {
                write!(formatter, "{what} waits until these members are healthy: {}", list(members))
            }
            Hold::WaitingToRestart { member, message } => {
                write!(formatter, "{member} runs from an outdated template, and its restart waits: {message}")
            }
            Hold::WaitingForPod { member } => write!(formatter, "waiting for the pod of {member}"),
            Hold::UpgradeNotSupported { from, to } => write!(
                formatter,
                "this build does not change the version of a running cluster: it stays at {from}, {to} is not applied"
            ),
            Hold::StorageChangeNotSupported { from, to } => {
                write!(
                    formatter,
                    "this build does not resize volumes: they stay at {from}, {to} is not applied"
                )
            }
            Hold::SuspendNotSupported => {
                write!(formatter, "this build does not suspend clusters: the members keep running")
            }
        }
    }
}
