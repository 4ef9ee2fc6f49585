//! The catalogue of faults as data: what can be broken, in whom, and when. Never how: that is the runner's.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CertificateDamage, ClusterSize, EtcdVersion, FaultName, Period};

/// What is broken. One variant for each kind of a scenario file, with the parameters that this kind has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// The pod is deleted.
    PodKill {
        /// The grace period of the deletion; zero is the crash.
        grace: Period,
    },
    /// The container's first process gets SIGKILL; the pod stays.
    ProcessKill,
    /// Every thread of the container's first process is stopped for a while.
    ProcessPause {
        /// How long.
        #[serde(rename = "for")]
        lasting: Period,
    },
    /// The volume claim and the pod are deleted.
    DiskLost,
    /// The data directory is emptied and the process killed; the pod stays.
    DirectoryWiped,
    /// The member's packets to and from peers are dropped for a while.
    Partition {
        /// Which packets.
        direction: Direction,
        /// From whom the target is cut off.
        peers: Peers,
        /// How long.
        #[serde(rename = "for")]
        lasting: Period,
    },
    /// An object of the cluster is changed for the worse while the operator is paused and is made to be felt.
    Corrupt {
        /// Which object.
        object: ClusterObject,
        /// How long the operator stays paused.
        #[serde(rename = "for")]
        lasting: Period,
    },
    /// A member's certificates are damaged while the operator is paused, and the damage is shown to whoever connects.
    Certificate {
        /// How.
        damage: CertificateDamage,
        /// How long the operator stays paused.
        #[serde(rename = "for")]
        lasting: Period,
    },
    /// An object of the cluster is deleted.
    DeleteObject {
        /// Which object.
        object: ClusterObject,
    },
    /// Somebody else adds something to an object of the cluster.
    Intrude {
        /// Which object.
        object: ClusterObject,
    },
    /// The cluster's declared size is changed.
    Resize {
        /// The new size.
        size: ClusterSize,
    },
    /// What is declared is changed so that every member must restart: the operator does that, one after the other.
    Roll,
    /// Another version of etcd is declared, later or earlier: the operator brings the members to it, one after the other.
    Upgrade {
        /// The new version.
        version: EtcdVersion,
    },
    /// The spec of the `EtcdCluster` is changed by a merge patch.
    Change {
        /// The patch of the spec.
        spec: Map<String, Value>,
        /// What becomes of the members by it.
        effect: ChangeEffect,
        /// How long a change that cannot be carried out stands before it is taken back; nothing for all others.
        #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
        lasting: Option<Period>,
    },
    /// An annotation on the `EtcdCluster` asks the operator for one thing.
    Request {
        /// For what.
        ask: Ask,
    },
    /// A backup is asked for; once it is proved, another cluster begins with it and is read.
    Backup,
    /// The operator's process gets SIGKILL.
    OperatorKill,
    /// The operator's process is stopped for a while.
    OperatorPause {
        /// How long.
        #[serde(rename = "for")]
        lasting: Period,
    },
    /// A finalizer of the harness holds the target's volume claim, so that its deletion stays unfinished for a while.
    VolumeDeletionStuck {
        /// How long.
        #[serde(rename = "for")]
        lasting: Period,
    },
}

/// What a change of the spec does to the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeEffect {
    /// Every member comes to run in another pod.
    Restarted,
    /// The same, as often as the way to what is declared takes: until the status says that all is as declared.
    CarriedOut,
    /// Another member takes the place of every member: first added, then the old one removed.
    Replaced,
    /// Nothing: no pod is made anew, no member replaced.
    None,
    /// It cannot be carried out: one member at most is tried, and all is as before once it is taken back.
    Refused,
}

impl fmt::Display for ChangeEffect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ChangeEffect::Restarted => "restarted",
            ChangeEffect::CarriedOut => "carried-out",
            ChangeEffect::Replaced => "replaced",
            ChangeEffect::None => "none",
            ChangeEffect::Refused => "refused",
        })
    }
}

/// What the operator is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// That every member restarts.
    Restart,
    /// That another member takes the target's place.
    Replace,
    /// That the target leads.
    MoveLeader,
    /// That the authorities of its certificates are others.
    RotateAuthorities,
}

impl Ask {
    /// The annotation that asks for it.
    pub fn annotation(self) -> &'static str {
        match self {
            Ask::Restart => "etcd.operators.rs/restart",
            Ask::Replace => "etcd.operators.rs/replace",
            Ask::MoveLeader => "etcd.operators.rs/move-leader",
            Ask::RotateAuthorities => "etcd.operators.rs/rotate-authorities",
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Ask::Restart => "restart",
            Ask::Replace => "replace",
            Ask::MoveLeader => "move-leader",
            Ask::RotateAuthorities => "rotate-authorities",
        })
    }
}

/// Which packets a partition drops, seen from the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both ways.
    Both,
    /// Only those to the target.
    Inbound,
    /// Only those from the target.
    Outbound,
}

/// From whom a partition cuts its target off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peers {
    /// From every member that is not a target itself.
    All,
    /// From so many members that the target and whom it still reaches are no quorum.
    Majority,
    /// From the leader only.
    Leader,
}

/// An object that the operator keeps for a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterObject {
    /// The pod template of the target's StatefulSet.
    StatefulSetTemplate,
    /// The replica count of the target's StatefulSet.
    StatefulSetScale,
    /// The target's StatefulSet as a whole.
    StatefulSet,
    /// The selector of the client Service.
    ServiceSelector,
    /// The client Service as a whole.
    ClientService,
    /// The headless Service of the peers.
    PeerService,
    /// The PodDisruptionBudget.
    DisruptionBudget,
    /// What the operator latched about the cluster in the status of the EtcdCluster.
    ClusterRecord,
}

impl ClusterObject {
    /// Whether there is one for each member, so that the fault has a member as its target.
    pub fn belongs_to_member(self) -> bool {
        match self {
            ClusterObject::StatefulSetTemplate
            | ClusterObject::StatefulSetScale
            | ClusterObject::StatefulSet => true,
            ClusterObject::ServiceSelector
            | ClusterObject::ClientService
            | ClusterObject::PeerService
            | ClusterObject::DisruptionBudget
            | ClusterObject::ClusterRecord => false,
        }
    }
}

impl fmt::Display for ClusterObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ClusterObject::StatefulSetTemplate => "stateful-set-template",
            ClusterObject::StatefulSetScale => "stateful-set-scale",
            ClusterObject::StatefulSet => "stateful-set",
            ClusterObject::ServiceSelector => "service-selector",
            ClusterObject::ClientService => "client-service",
            ClusterObject::PeerService => "peer-service",
            ClusterObject::DisruptionBudget => "disruption-budget",
            ClusterObject::ClusterRecord => "cluster-record",
        })
    }
}

/// In whom something is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", content = "fault", rename_all = "kebab-case")]
pub enum Target {
    /// The member that leads when the fault is injected.
    Leader,
    /// One voter that does not lead, chosen by the seed.
    Follower,
    /// One voter, chosen by the seed.
    Member,
    /// As many voters as can be spared, chosen by the seed.
    Minority,
    /// Every member.
    All,
    /// The members that an earlier fault hit.
    SameAs(FaultName),
    /// The operator.
    Operator,
    /// The cluster as a whole.
    Cluster,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Leader => formatter.write_str("leader"),
            Target::Follower => formatter.write_str("follower"),
            Target::Member => formatter.write_str("member"),
            Target::Minority => formatter.write_str("minority"),
            Target::All => formatter.write_str("all members"),
            Target::SameAs(fault) => write!(formatter, "the targets of {fault}"),
            Target::Operator => formatter.write_str("operator"),
            Target::Cluster => formatter.write_str("cluster"),
        }
    }
}

/// A fact that a fault waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Condition {
    /// A member left the member list.
    MemberRemoved,
    /// A member joined the member list, as voter or learner.
    MemberAdded,
    /// A learner joined the member list.
    LearnerAdded,
    /// Another member leads than before.
    LeaderChanged,
    /// The member list has so many voters.
    Members {
        /// How many.
        count: u8,
    },
    /// Every declared member is a voter, answers a linearizable read, and none other is there.
    Healthy,
    /// An earlier fault is healed.
    FaultEnded {
        /// Which.
        fault: FaultName,
    },
    /// An earlier fault is injected.
    FaultInjected {
        /// Which.
        fault: FaultName,
    },
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::MemberRemoved => formatter.write_str("a member is removed"),
            Condition::MemberAdded => formatter.write_str("a member is added"),
            Condition::LearnerAdded => formatter.write_str("a learner is added"),
            Condition::LeaderChanged => formatter.write_str("the leader changes"),
            Condition::Members { count } => write!(formatter, "there are {count} voters"),
            Condition::Healthy => formatter.write_str("all members are healthy"),
            Condition::FaultEnded { fault } => write!(formatter, "{fault} has ended"),
            Condition::FaultInjected { fault } => write!(formatter, "{fault} is injected"),
        }
    }
}
