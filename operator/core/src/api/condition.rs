//! Condition types and their reasons as enums, so that no bare string travels. Never builds a condition.

use crate::explained::explained;

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
    /// The newest proved backup is young enough. Only where the spec says something of backups.
    BackedUp,
    /// Certificates and authorities are good for as long as they should be. Only where TLS is asked for or used.
    CertificatesValid,
}

impl ConditionType {
    /// All of them, in the order in which the status lists them.
    pub const ALL: [ConditionType; 6] = [
        ConditionType::Available,
        ConditionType::Ready,
        ConditionType::Progressing,
        ConditionType::Degraded,
        ConditionType::BackedUp,
        ConditionType::CertificatesValid,
    ];

    /// The word in `.status.conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionType::Available => "Available",
            ConditionType::Ready => "Ready",
            ConditionType::Progressing => "Progressing",
            ConditionType::Degraded => "Degraded",
            ConditionType::BackedUp => "BackedUp",
            ConditionType::CertificatesValid => "CertificatesValid",
        }
    }
}

explained! {
    /// Why a condition is what it is. What is held back brings its own reason, see [`crate::cluster::plan::HoldReason`].
    ConditionReason {
        Forming, Itself,
            "the first members have not formed a cluster yet",
            "if it lasts, read `holds` and `members[].message`";
        QuorumServes, Nobody,
            "a quorum answered a linearizable read",
            "nothing";
        QuorumLost, Person,
            "members answered, but no linearizable read succeeded",
            "bring back members until a majority runs; see [below](#quorumunknown)";
        NoMemberRuns, Person,
            "no member is running",
            "read `members[].message`: it says what keeps each pod or container from starting";
        MembersUnreachable, Person,
            "the operator could not ask any member, which says nothing about the members",
            "look for a NetworkPolicy between the operator and port 2379 of the members, or for nodes that are down";
        ProbeTooOld, Itself,
            "the last answer is too old to describe the present",
            "nothing";
        AllMembersHealthy, Nobody,
            "every member is healthy",
            "nothing";
        MemberUnhealthy, Itself,
            "at least one member is not healthy",
            "if it lasts, read the message: it names each of them and why";
        SizeDiffers, Itself,
            "the number of voting members is not `size`",
            "if it lasts, read `holds`: something keeps the operator from adding or removing a member";
        VolumeEnding, Itself,
            "the volume of a member that still runs is being deleted, which cannot be undone",
            "nothing; a successor is added first, and then the member is removed";
        CertificatesGood, Nobody,
            "every certificate and authority is good, and none is overdue for renewal",
            "nothing";
        CertificateExpires, Person,
            "a certificate or an authority ends soon, or has ended, and has not been renewed in the time in which it should have been",
            "read `holds`: an authority is lost, or the operator may not write Secrets; or see whether nodes bring Secrets to their pods";
        CertificatesUnknown, Itself,
            "no certificate has been seen yet",
            "if it lasts, read `holds`";
        ObservationFailed, Person,
            "the cluster's objects could not be read for five seconds, which says nothing about the cluster",
            "read the message: the API server is down, or the operator lacks a permission";
        Changing, Itself,
            "the operator is changing something",
            "nothing; the message says what";
        AsSpecified, Nobody,
            "everything is as the spec says",
            "nothing";
    }
}
