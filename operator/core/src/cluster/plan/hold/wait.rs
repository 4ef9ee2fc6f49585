//! Holds that end by themselves. Never decides when.

use std::fmt;

use super::{HoldReason, list};
use crate::cluster::plan::Kind;
use crate::names::MemberName;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// The cluster object is being deleted; its volumes stay.
    BeingDeleted,
    /// The first members are starting.
    Forming {
        /// Members that may still come.
        waiting_for: Vec<MemberName>,
    },
    /// A member is silent, and is not taken for lost yet.
    SilentMember {
        /// The member.
        member: MemberName,
        /// Why it is not.
        message: String,
    },
    /// Objects of a removed member are still there.
    Cleanup {
        /// The member.
        member: MemberName,
    },
    /// A new member has not caught up.
    Learner {
        /// The learner.
        member: MemberName,
        /// How far it is.
        message: String,
    },
    /// A change of size waits until all members are well.
    Health {
        /// Who is not well.
        members: Vec<MemberName>,
        /// What waits.
        what: &'static str,
    },
    /// A pod is to be made anew, and that waits.
    Restart {
        /// The member.
        member: MemberName,
        /// For what.
        message: String,
    },
    /// A change of the spec waits for its turn to reach a member.
    Turn {
        /// The member.
        member: MemberName,
        /// For what.
        message: String,
    },
    /// A change of the spec reaches the next member once the last has proved itself.
    Soak {
        /// The member that was changed last.
        member: MemberName,
        /// How long it takes.
        message: String,
    },
    /// A voter is to be replaced, and its successor is not added yet.
    Replacement {
        /// The voter.
        member: MemberName,
        /// What it waits for.
        message: String,
    },
    /// A volume was asked to grow, and has not yet.
    Resize {
        /// The member.
        member: MemberName,
        /// How far it is.
        message: String,
    },
    /// The leadership is to move, and cannot yet.
    Leadership {
        /// The leader to be.
        member: MemberName,
        /// Why not.
        message: String,
    },
    /// The next minor of etcd waits for something that etcd does by itself.
    Upgrade {
        /// What.
        message: String,
    },
    /// The cluster is to be brought down to an earlier minor, and is not yet.
    Downgrade {
        /// What it waits for.
        message: String,
    },
    /// The first member is restored from a backup.
    Restore {
        /// How far it is.
        message: String,
    },
    /// An object that the cluster needs is being deleted, and is made anew once it is gone.
    Deletion {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A pod is still terminating.
    Pod {
        /// The member.
        member: MemberName,
    },
    /// The API server could not do something now.
    Server {
        /// What was to be done.
        what: String,
        /// What it said.
        message: String,
    },
}

impl Wait {
    pub(super) fn reason(&self) -> HoldReason {
        match self {
            Wait::BeingDeleted => HoldReason::BeingDeleted,
            Wait::Forming { .. } => HoldReason::Forming,
            Wait::SilentMember { .. } => HoldReason::WaitingForSilentMember,
            Wait::Cleanup { .. } => HoldReason::WaitingForCleanup,
            Wait::Learner { .. } => HoldReason::WaitingForLearner,
            Wait::Health { .. } => HoldReason::WaitingForHealth,
            Wait::Restart { .. } => HoldReason::WaitingToRestart,
            Wait::Turn { .. } => HoldReason::WaitingToUpdate,
            Wait::Soak { .. } => HoldReason::WaitingForSoak,
            Wait::Replacement { .. } => HoldReason::WaitingToReplace,
            Wait::Resize { .. } => HoldReason::WaitingForResize,
            Wait::Leadership { .. } => HoldReason::WaitingToMoveLeader,
            Wait::Upgrade { .. } => HoldReason::WaitingToUpgrade,
            Wait::Downgrade { .. } => HoldReason::WaitingForDowngrade,
            Wait::Restore { .. } => HoldReason::WaitingForRestore,
            Wait::Deletion { .. } => HoldReason::WaitingForDeletion,
            Wait::Pod { .. } => HoldReason::WaitingForPod,
            Wait::Server { .. } => HoldReason::WaitingForServer,
        }
    }

    pub(super) fn about(&self) -> Option<String> {
        match self {
            Wait::BeingDeleted
            | Wait::Forming { .. }
            | Wait::Health { .. }
            | Wait::Upgrade { .. }
            | Wait::Downgrade { .. }
            | Wait::Restore { .. } => None,
            Wait::SilentMember { member, .. }
            | Wait::Cleanup { member }
            | Wait::Learner { member, .. }
            | Wait::Restart { member, .. }
            | Wait::Turn { member, .. }
            | Wait::Soak { member, .. }
            | Wait::Replacement { member, .. }
            | Wait::Resize { member, .. }
            | Wait::Leadership { member, .. }
            | Wait::Pod { member } => Some(member.to_string()),
            Wait::Deletion { kind, name } => Some(format!("{} {name}", kind.as_str())),
            Wait::Server { what, .. } => Some(what.clone()),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::BeingDeleted => write!(formatter, "the cluster is being deleted; its volumes are kept"),
            Wait::Forming { waiting_for } => {
                write!(formatter, "waiting for the first members to form the cluster: {}", list(waiting_for))
            }
            Wait::SilentMember { member, message } => {
                write!(formatter, "{member} does not answer, but is not proven lost: {message}")
            }
            Wait::Cleanup { member } => {
                write!(formatter, "waiting until the objects of the removed member {member} are gone")
            }
            Wait::Learner { member, message } => {
                write!(formatter, "learner {member} is not promoted yet: {message}")
            }
            Wait::Health { members, what } => {
                write!(formatter, "{what} waits until these members are healthy: {}", list(members))
            }
            Wait::Restart { member, message } => {
                write!(formatter, "{member} runs from an outdated template, and its restart waits: {message}")
            }
            Wait::Turn { member, message } => {
                write!(formatter, "{member} does not run what the spec asks for yet: {message}")
            }
            Wait::Soak { member, message } => {
                write!(formatter, "the next member is changed once {member} has proved itself: {message}")
            }
            Wait::Replacement { member, message } => {
                write!(formatter, "{member} is replaced once all else is well: {message}")
            }
            Wait::Resize { member, message } => {
                write!(formatter, "the volume of {member} was asked to grow: {message}")
            }
            Wait::Leadership { member, message } => {
                write!(formatter, "the leadership does not move to {member} yet: {message}")
            }
            Wait::Upgrade { message } => formatter.write_str(message),
            Wait::Downgrade { message } => {
                write!(formatter, "no member runs the earlier minor yet: {message}")
            }
            Wait::Restore { message } => write!(formatter, "{message}"),
            Wait::Deletion { kind, name } => {
                write!(
                    formatter,
                    "{} {name} is being deleted, and is created again once it is gone",
                    kind.as_str()
                )
            }
            Wait::Pod { member } => write!(formatter, "waiting for the pod of {member}"),
            Wait::Server { what, message } => {
                write!(formatter, "{what}: the API server cannot do it now: {message}")
            }
        }
    }
}
