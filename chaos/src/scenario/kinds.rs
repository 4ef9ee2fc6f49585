//! What each kind of fault knows: its fields, its objects, whom it can hit. Tables, exhaustively matched.

use super::raw::{RawEvent, RawKind};
use super::{ClusterObject, Condition, Fault, Peers, Subject, Target};

/// What a kind of fault is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aims {
    Members,
    Operator,
    Cluster,
}

/// What a fault is aimed at.
pub(super) fn aims_of(fault: &Fault) -> Aims {
    match fault {
        Fault::PodKill { .. }
        | Fault::ProcessKill
        | Fault::ProcessPause { .. }
        | Fault::DiskLost
        | Fault::DirectoryWiped
        | Fault::Partition { .. }
        | Fault::VolumeDeletionStuck { .. } => Aims::Members,
        Fault::Corrupt { object, .. } | Fault::DeleteObject { object } | Fault::Intrude { object } => {
            if object.belongs_to_member() {
                Aims::Members
            } else {
                Aims::Cluster
            }
        }
        Fault::Resize { .. } => Aims::Cluster,
        Fault::OperatorKill | Fault::OperatorPause { .. } => Aims::Operator,
    }
}

/// Why a target cannot be hit, if so.
pub(super) fn impossible(fault: &Fault, aims: Aims, target: &Target, subject: &Subject) -> Option<String> {
    let kind = fault.kind();
    let fits = match target {
        Target::Operator => aims == Aims::Operator,
        Target::Cluster => aims == Aims::Cluster,
        Target::Leader
        | Target::Follower
        | Target::Member
        | Target::Minority
        | Target::All
        | Target::SameAs(_) => aims == Aims::Members,
    };
    if !fits {
        return Some(match aims {
            Aims::Members => {
                format!("`{kind}` hits members: write leader, follower, member, minority or all")
            }
            Aims::Operator => format!("`{kind}` hits the operator: leave `target` out"),
            Aims::Cluster => format!("this `{kind}` hits the cluster as a whole: leave `target` out"),
        });
    }
    let size = subject.size();
    if size.members() == 1 && matches!(target, Target::Follower | Target::Minority) {
        return Some(format!("a cluster of one member has no {target}"));
    }
    let Fault::Partition { peers, .. } = fault else { return None };
    if size.members() == 1 {
        return Some("a cluster of one member has no peers to be cut off from".to_owned());
    }
    match (peers, target) {
        (Peers::All | Peers::Majority, Target::All) => {
            Some("nobody would be left to be cut off from".to_owned())
        }
        (Peers::Leader, Target::Leader | Target::All) => {
            Some("the leader cannot be cut off from itself".to_owned())
        }
        _ => None,
    }
}

/// The fact behind a word of `when.event:`.
pub(super) fn event_of(event: RawEvent) -> Condition {
    match event {
        RawEvent::MemberRemoved => Condition::MemberRemoved,
        RawEvent::MemberAdded => Condition::MemberAdded,
        RawEvent::LearnerAdded => Condition::LearnerAdded,
        RawEvent::LeaderChanged => Condition::LeaderChanged,
        RawEvent::Healthy => Condition::Healthy,
    }
}

/// The fields that a kind has beyond those of all faults.
pub(super) fn fields_of(kind: RawKind) -> &'static [&'static str] {
    match kind {
        RawKind::PodKill => &["grace"],
        RawKind::ProcessKill | RawKind::DiskLost | RawKind::DirectoryWiped | RawKind::OperatorKill => &[],
        RawKind::ProcessPause | RawKind::OperatorPause | RawKind::VolumeDeletionStuck => &["for"],
        RawKind::Partition => &["for", "direction", "peers"],
        RawKind::Corrupt => &["for", "object"],
        RawKind::DeleteObject | RawKind::Intrude => &["object"],
        RawKind::Resize => &["size"],
    }
}

/// The objects that a kind can be done to.
pub(super) fn objects_of(kind: RawKind) -> &'static [ClusterObject] {
    match kind {
        RawKind::Corrupt => &[
            ClusterObject::StatefulSetTemplate,
            ClusterObject::StatefulSetScale,
            ClusterObject::ServiceSelector,
            ClusterObject::DisruptionBudget,
            ClusterObject::ClusterRecord,
        ],
        RawKind::DeleteObject => &[
            ClusterObject::StatefulSet,
            ClusterObject::ClientService,
            ClusterObject::PeerService,
            ClusterObject::DisruptionBudget,
        ],
        RawKind::Intrude => &[
            ClusterObject::StatefulSetTemplate,
            ClusterObject::ServiceSelector,
            ClusterObject::ClientService,
            ClusterObject::DisruptionBudget,
        ],
        RawKind::PodKill
        | RawKind::ProcessKill
        | RawKind::ProcessPause
        | RawKind::DiskLost
        | RawKind::DirectoryWiped
        | RawKind::Partition
        | RawKind::Resize
        | RawKind::OperatorKill
        | RawKind::OperatorPause
        | RawKind::VolumeDeletionStuck => &[],
    }
}

/// The word for a kind in scenario files.
pub(super) fn word(kind: RawKind) -> &'static str {
    match kind {
        RawKind::PodKill => "pod-kill",
        RawKind::ProcessKill => "process-kill",
        RawKind::ProcessPause => "process-pause",
        RawKind::DiskLost => "disk-lost",
        RawKind::DirectoryWiped => "directory-wiped",
        RawKind::Partition => "partition",
        RawKind::Corrupt => "corrupt",
        RawKind::DeleteObject => "delete-object",
        RawKind::Intrude => "intrude",
        RawKind::Resize => "resize",
        RawKind::OperatorKill => "operator-kill",
        RawKind::OperatorPause => "operator-pause",
        RawKind::VolumeDeletionStuck => "volume-deletion-stuck",
    }
}
