//! Holds about the spec and about what it asks for. Never decides.

use std::fmt;

use super::HoldReason;
use crate::names::MemberName;

/// What of the spec is not carried out, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecHold {
    /// The spec cannot be carried out.
    Invalid {
        /// Which field, and what is wrong with it.
        message: String,
    },
    /// This build does not change the version of a running cluster.
    UpgradeNotSupported {
        /// The running version.
        from: String,
        /// The wanted version.
        to: String,
    },
    /// This build does not change volumes.
    StorageChangeNotSupported {
        /// What there is.
        from: String,
        /// What is wanted.
        to: String,
    },
    /// This build does not stop clusters.
    SuspendNotSupported,
    /// A changed member's container was restarted, so the change reaches no other member.
    RolloutStopped {
        /// The member.
        member: MemberName,
        /// How its container ended, and what makes the rollout go on.
        message: String,
    },
}

impl SpecHold {
    pub(super) fn reason(&self) -> HoldReason {
        match self {
            SpecHold::Invalid { .. } => HoldReason::InvalidSpec,
            SpecHold::UpgradeNotSupported { .. } => HoldReason::UpgradeNotSupported,
            SpecHold::StorageChangeNotSupported { .. } => HoldReason::StorageChangeNotSupported,
            SpecHold::SuspendNotSupported => HoldReason::SuspendNotSupported,
            SpecHold::RolloutStopped { .. } => HoldReason::RolloutStopped,
        }
    }

    pub(super) fn about(&self) -> Option<String> {
        match self {
            SpecHold::Invalid { .. }
            | SpecHold::UpgradeNotSupported { .. }
            | SpecHold::StorageChangeNotSupported { .. }
            | SpecHold::SuspendNotSupported => None,
            SpecHold::RolloutStopped { member, .. } => Some(member.to_string()),
        }
    }
}

impl fmt::Display for SpecHold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecHold::Invalid { message } => write!(formatter, "the spec cannot be carried out: {message}"),
            SpecHold::UpgradeNotSupported { from, to } => write!(
                formatter,
                "this build does not change the version of a running cluster: it stays at {from}, {to} is not applied"
            ),
            SpecHold::StorageChangeNotSupported { from, to } => {
                write!(
                    formatter,
                    "this build does not change volumes: they stay at {from}, {to} is not applied"
                )
            }
            SpecHold::SuspendNotSupported => {
                write!(formatter, "this build does not suspend clusters: the members keep running")
            }
            SpecHold::RolloutStopped { member, message } => {
                write!(formatter, "the change of the spec goes no further, because of {member}: {message}")
            }
        }
    }
}
