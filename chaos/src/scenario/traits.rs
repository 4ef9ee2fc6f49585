//! What each kind of fault is like: one row for each. Everything that treats kinds alike or differently asks here.

use super::{Ask, CertificateDamage, ClusterObject, EtcdVersion, Fault, Period};

/// What a fault is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Members, each with its pod.
    Members,
    /// The operator's pods.
    Operator,
    /// The cluster as a whole.
    Cluster,
}

/// What a kind of fault is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The word for it in scenario files.
    pub kind: &'static str,
    /// What it is aimed at.
    pub aim: Aim,
    /// How long it is kept up; nothing for a fault that is over once it happened.
    pub lasting: Option<Period>,
    /// Whether its targets stop serving, so that they count against the quorum.
    pub stops_members: bool,
    /// Whether a target's pod goes, and its address with it.
    pub ends_pods: bool,
    /// Whether it tells members by their addresses: one that is being restarted is about to have another one.
    pub by_address: bool,
    /// Whether its targets feel it by itself. Not so those that a request merely names: what becomes of them is the operator's work.
    pub hits_targets: bool,
    /// Whether a target's data is gone for good.
    pub destroys_data: bool,
    /// Whether a target's volume claim is taken away.
    pub takes_claims: bool,
    /// Whether the operator's processes end or stand still by it.
    pub stops_operator: bool,
    /// Whether it needs an operator of ours.
    pub needs_operator: bool,
    /// What it damages and the operator has to put back.
    pub repaired: Option<ClusterObject>,
}

/// A fault that hits members and is over once it happened.
const MEMBERS: Traits = Traits {
    kind: "",
    aim: Aim::Members,
    lasting: None,
    stops_members: true,
    ends_pods: false,
    by_address: false,
    hits_targets: true,
    destroys_data: false,
    takes_claims: false,
    stops_operator: false,
    needs_operator: false,
    repaired: None,
};
/// A change of what is declared, or of the operator itself.
const OURS: Traits = Traits { aim: Aim::Cluster, stops_members: false, needs_operator: true, ..MEMBERS };

impl Fault {
    /// What this fault is like.
    pub fn traits(&self) -> Traits {
        match *self {
            Fault::PodKill { .. } => Traits { kind: "pod-kill", ends_pods: true, ..MEMBERS },
            Fault::ProcessKill => Traits { kind: "process-kill", ..MEMBERS },
            Fault::ProcessPause { lasting } => {
                Traits { kind: "process-pause", lasting: Some(lasting), ..MEMBERS }
            }
            Fault::DiskLost => Traits {
                kind: "disk-lost",
                ends_pods: true,
                destroys_data: true,
                takes_claims: true,
                ..MEMBERS
            },
            Fault::DirectoryWiped => Traits { kind: "directory-wiped", destroys_data: true, ..MEMBERS },
            Fault::Partition { lasting, .. } => {
                Traits { kind: "partition", lasting: Some(lasting), by_address: true, ..MEMBERS }
            }
            // The operator stands still meanwhile, and a target restarts to make the corruption felt.
            Fault::Corrupt { object, lasting } => {
                Traits { kind: "corrupt", lasting: Some(lasting), stops_operator: true, ..of_object(object) }
            }
            // The operator stands still meanwhile. What is deleted is felt only by a pod that starts.
            Fault::Certificate { damage, lasting } => Traits {
                kind: "certificate",
                aim: Aim::Members,
                lasting: Some(lasting),
                stops_members: true,
                ends_pods: damage == CertificateDamage::Deleted,
                stops_operator: true,
                ..OURS
            },
            Fault::DeleteObject { object } => {
                let ends_pods = object == ClusterObject::StatefulSet;
                Traits { kind: "delete-object", ends_pods, ..of_object(object) }
            }
            Fault::Intrude { object } => {
                Traits { kind: "intrude", stops_members: false, ..of_object(object) }
            }
            Fault::Resize { .. } => Traits { kind: "resize", ..OURS },
            Fault::Roll => Traits { kind: "roll", ..OURS },
            Fault::Upgrade { .. } => Traits { kind: "upgrade", ..OURS },
            Fault::Change { lasting, .. } => Traits { kind: "change", lasting, ..OURS },
            Fault::Request { ask } => {
                let aim = match ask {
                    Ask::Restart | Ask::RotateAuthorities => Aim::Cluster,
                    Ask::Replace | Ask::MoveLeader => Aim::Members,
                };
                Traits { kind: "request", aim, hits_targets: false, ..OURS }
            }
            Fault::Backup => Traits { kind: "backup", ..OURS },
            Fault::OperatorKill => {
                Traits { kind: "operator-kill", aim: Aim::Operator, stops_operator: true, ..OURS }
            }
            Fault::OperatorPause { lasting } => Traits {
                kind: "operator-pause",
                aim: Aim::Operator,
                lasting: Some(lasting),
                stops_operator: true,
                ..OURS
            },
            Fault::VolumeDeletionStuck { lasting } => Traits {
                kind: "volume-deletion-stuck",
                aim: Aim::Members,
                lasting: Some(lasting),
                takes_claims: true,
                ..OURS
            },
        }
    }

    /// The version of etcd that it declares.
    pub fn version(&self) -> Option<&EtcdVersion> {
        match self {
            Fault::Upgrade { version } => Some(version),
            _ => None,
        }
    }

    /// The word for this kind in scenario files.
    pub fn kind(&self) -> &'static str {
        self.traits().kind
    }

    /// How long the fault is kept up; nothing for a fault that is over once it happened.
    pub fn lasting(&self) -> Option<Period> {
        self.traits().lasting
    }

    /// Whether the targets stop serving, so that they count against the quorum.
    pub fn stops_members(&self) -> bool {
        self.traits().stops_members
    }

    /// Whether a target's data is gone for good.
    pub fn destroys_data(&self) -> bool {
        self.traits().destroys_data
    }
}

fn of_object(object: ClusterObject) -> Traits {
    let of_member = object.belongs_to_member();
    let aim = if of_member { Aim::Members } else { Aim::Cluster };
    Traits { aim, stops_members: of_member, repaired: Some(object), ..OURS }
}
