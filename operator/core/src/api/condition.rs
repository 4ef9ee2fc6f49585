//! Condition types and their reasons as enums, so that no bare string travels. Never builds a condition.

/// The kinds of condition in an `EtcdCluster`'s status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// A quorum answered a linearizable read just now: reads and writes are served.
    Available,
    /// All members are healthy, of the wanted number, and nothing is left to do for this generation.
    Ready,
    /// The operator is changing something, or would and says why it does not.
    Progressing,
    /// Fewer losses can be borne than the size promises.
    Degraded,
}

impl ConditionType {
    /// All of them, in the order in which the status lists them.
    pub const ALL: [ConditionType; 4] =
        [ConditionType::Available, ConditionType::Ready, ConditionType::Progressing, ConditionType::Degraded];

    /// The word in `.status.conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionType::Available => "Available",
            ConditionType::Ready => "Ready",
            ConditionType::Progressing => "Progressing",
            ConditionType::Degraded => "Degraded",
        }
    }
}

/// Why a condition is what it is. A held action brings its own reason, see [`crate::plan::Hold::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionReason {
    /// The first members have not formed a cluster yet.
    Forming,
    /// A quorum answered a linearizable read.
    QuorumServes,
    /// Members answered, but no linearizable read went through.
    QuorumLost,
    /// No member runs.
    NoMemberRuns,
    /// The members could not be asked: this says nothing about them.
    MembersUnreachable,
    /// What was seen is too old to speak of the present.
    ProbeTooOld,
    /// Every member is healthy.
    AllMembersHealthy,
    /// At least one member is not healthy.
    MemberUnhealthy,
    /// The number of voters is not the size.
    SizeDiffers,
    /// The volume of a member that still runs is being deleted, which cannot be undone.
    VolumeEnding,
    /// The cluster's objects could not be read: this says nothing about them.
    ObservationFailed,
    /// Something is being changed.
    Changing,
    /// All is as the spec says.
    AsSpecified,
}

impl ConditionReason {
    /// The word in `.status.conditions[].reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionReason::Forming => "Forming",
            ConditionReason::QuorumServes => "QuorumServes",
            ConditionReason::QuorumLost => "QuorumLost",
            ConditionReason::NoMemberRuns => "NoMemberRuns",
            ConditionReason::MembersUnreachable => "MembersUnreachable",
            ConditionReason::ProbeTooOld => "ProbeTooOld",
            ConditionReason::AllMembersHealthy => "AllMembersHealthy",
            ConditionReason::MemberUnhealthy => "MemberUnhealthy",
            ConditionReason::SizeDiffers => "SizeDiffers",
            ConditionReason::VolumeEnding => "VolumeEnding",
            ConditionReason::ObservationFailed => "ObservationFailed",
            ConditionReason::Changing => "Changing",
            ConditionReason::AsSpecified => "AsSpecified",
        }
    }
}
