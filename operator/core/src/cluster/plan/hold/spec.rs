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
    /// No single step leads from what the members run to the wanted version.
    UpgradeRefused {
        /// Why not, and which way there is.
        message: String,
    },
    /// The backup before another version failed.
    NoBackup {
        /// Which, and why.
        message: String,
    },
    /// The backup that the cluster is to begin with could not be restored.
    RestoreFailed {
        /// Why.
        message: String,
    },
    /// Volumes cannot be made smaller.
    VolumesDoNotShrink {
        /// What there is.
        from: String,
        /// What is wanted.
        to: String,
    },
    /// etcd would stop accepting writes at once.
    QuotaTooSmall {
        /// The quota that is wanted.
        quota: String,
        /// The size of the largest database.
        database: String,
        /// The smallest quota that is accepted.
        smallest: String,
    },
    /// The image holds another version than the spec says.
    OtherVersionInImage {
        /// The member.
        member: MemberName,
        /// What it answers.
        runs: String,
        /// What it should run.
        wanted: String,
    },
    /// This build does not stop clusters.
    SuspendNotSupported,
    /// The first members end before they form a cluster.
    FormingFails {
        /// Attempts so far.
        attempts: i64,
        /// How one of them ended.
        message: String,
    },
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
            SpecHold::UpgradeRefused { .. } => HoldReason::UpgradeRefused,
            SpecHold::NoBackup { .. } => HoldReason::BackupFailed,
            SpecHold::RestoreFailed { .. } => HoldReason::RestoreFailed,
            SpecHold::VolumesDoNotShrink { .. } => HoldReason::VolumesDoNotShrink,
            SpecHold::QuotaTooSmall { .. } => HoldReason::QuotaTooSmall,
            SpecHold::OtherVersionInImage { .. } => HoldReason::OtherVersionInImage,
            SpecHold::SuspendNotSupported => HoldReason::SuspendNotSupported,
            SpecHold::FormingFails { .. } => HoldReason::FormingFails,
            SpecHold::RolloutStopped { .. } => HoldReason::RolloutStopped,
        }
    }

    pub(super) fn about(&self) -> Option<String> {
        match self {
            SpecHold::Invalid { .. }
            | SpecHold::UpgradeRefused { .. }
            | SpecHold::NoBackup { .. }
            | SpecHold::RestoreFailed { .. }
            | SpecHold::VolumesDoNotShrink { .. }
            | SpecHold::QuotaTooSmall { .. }
            | SpecHold::FormingFails { .. }
            | SpecHold::SuspendNotSupported => None,
            SpecHold::RolloutStopped { member, .. } | SpecHold::OtherVersionInImage { member, .. } => {
                Some(member.to_string())
            }
        }
    }
}

impl fmt::Display for SpecHold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecHold::Invalid { message } => write!(formatter, "the spec cannot be carried out: {message}"),
            SpecHold::UpgradeRefused { message } => {
                write!(formatter, "the version stays as it is: {message}")
            }
            SpecHold::NoBackup { message } => write!(
                formatter,
                "the version stays as it is, because it is not changed without a backup: the EtcdBackup {message}; delete that and another \
                 one is taken"
            ),
            SpecHold::RestoreFailed { message } => {
                write!(
                    formatter,
                    "the cluster does not begin, because its backup could not be restored: {message}"
                )
            }
            SpecHold::VolumesDoNotShrink { from, to } => {
                write!(formatter, "volumes cannot be made smaller: they stay at {from}, {to} is not applied")
            }
            SpecHold::QuotaTooSmall { quota, database, smallest } => write!(
                formatter,
                "spec.etcd.quotaBackendBytes of {quota} is not applied: the database holds {database}, so it must be {smallest} at least"
            ),
            SpecHold::OtherVersionInImage { member, runs, wanted } => write!(
                formatter,
                "the image of {member} holds etcd {runs}, and the spec says {wanted}: correct spec.version, or the tag or digest of \
                 spec.image"
            ),
            SpecHold::SuspendNotSupported => {
                write!(formatter, "this build does not suspend clusters: the members keep running")
            }
            SpecHold::FormingFails { attempts, message } => write!(
                formatter,
                "no cluster has formed after {attempts} attempts, and the next one waits; {message}"
            ),
            SpecHold::RolloutStopped { member, message } => {
                write!(formatter, "the change of the spec goes no further, because of {member}: {message}")
            }
        }
    }
}
