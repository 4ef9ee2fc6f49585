//! What may be said about each kind of fault: its word, its fields, its objects, whom it can hit. Tables, exhaustively matched.

use super::raw::{RawEvent, RawKind};
use super::{Aim, Ask, CertificateDamage, ClusterObject, Condition, Fault, Peers, Subject, Target};

/// Why a target cannot be hit, if so.
pub(super) fn impossible(fault: &Fault, aim: Aim, target: &Target, subject: &Subject) -> Option<String> {
    let kind = fault.kind();
    let fits = match target {
        Target::Operator => aim == Aim::Operator,
        Target::Cluster => aim == Aim::Cluster,
        Target::Leader
        | Target::Follower
        | Target::Member
        | Target::Minority
        | Target::All
        | Target::SameAs(_) => aim == Aim::Members,
    };
    if !fits {
        return Some(match aim {
            Aim::Members => {
                format!("`{kind}` hits members: write leader, follower, member, minority or all")
            }
            Aim::Operator => format!("`{kind}` hits the operator: leave `target` out"),
            Aim::Cluster => format!("this `{kind}` hits the cluster as a whole: leave `target` out"),
        });
    }
    let size = subject.size();
    if size.members() == 1 && matches!(target, Target::Follower | Target::Minority) {
        return Some(format!("a cluster of one member has no {target}"));
    }
    match fault {
        Fault::Request { ask } if aim == Aim::Members => return misnamed(*ask, target),
        Fault::Certificate { .. } if !is_one_member(target) => return Some(ONE_CERTIFICATE.to_owned()),
        Fault::Certificate { damage: CertificateDamage::Swapped, .. } if size.members() == 1 => {
            return Some("a cluster of one member has no other certificates to be swapped".to_owned());
        }
        _ => {}
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

/// Why certificates of so many members are not damaged at once.
pub(super) const ONE_CERTIFICATE: &str =
    "the certificates of one member are damaged at a time: write `target: leader`, `follower` or `member`";

/// Why a request cannot name such a target, if so.
fn misnamed(ask: Ask, target: &Target) -> Option<String> {
    if !is_one_member(target) {
        return Some("a request names one member: write leader, follower or member".to_owned());
    }
    (ask == Ask::MoveLeader && *target != Target::Follower)
        .then(|| "leadership moves to another member: write follower".to_owned())
}

fn is_one_member(target: &Target) -> bool {
    match target {
        Target::Leader | Target::Follower | Target::Member => true,
        Target::Minority | Target::All | Target::SameAs(_) | Target::Operator | Target::Cluster => false,
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

/// What a kind is called, and what may be said about it.
pub(super) struct Grammar {
    /// The word for it.
    pub(super) word: &'static str,
    /// The fields that it has beyond those of all faults.
    pub(super) fields: &'static [&'static str],
    /// The objects that it can be done to.
    pub(super) objects: &'static [ClusterObject],
}

const fn plain(word: &'static str, fields: &'static [&'static str]) -> Grammar {
    Grammar { word, fields, objects: &[] }
}

/// The grammar of each kind.
pub(super) fn grammar(kind: RawKind) -> Grammar {
    match kind {
        RawKind::PodKill => plain("pod-kill", &["grace"]),
        RawKind::ProcessKill => plain("process-kill", &[]),
        RawKind::ProcessPause => plain("process-pause", &["for"]),
        RawKind::DiskLost => plain("disk-lost", &[]),
        RawKind::DirectoryWiped => plain("directory-wiped", &[]),
        RawKind::Partition => plain("partition", &["for", "direction", "peers"]),
        RawKind::Corrupt => Grammar {
            word: "corrupt",
            fields: &["for", "object"],
            objects: &[
                ClusterObject::StatefulSetTemplate,
                ClusterObject::StatefulSetScale,
                ClusterObject::ServiceSelector,
                ClusterObject::DisruptionBudget,
                ClusterObject::ClusterRecord,
            ],
        },
        RawKind::Certificate => plain("certificate", &["for", "damage"]),
        RawKind::DeleteObject => Grammar {
            word: "delete-object",
            fields: &["object"],
            objects: &[
                ClusterObject::StatefulSet,
                ClusterObject::ClientService,
                ClusterObject::PeerService,
                ClusterObject::DisruptionBudget,
            ],
        },
        RawKind::Intrude => Grammar {
            word: "intrude",
            fields: &["object"],
            objects: &[
                ClusterObject::StatefulSetTemplate,
                ClusterObject::ServiceSelector,
                ClusterObject::ClientService,
                ClusterObject::DisruptionBudget,
            ],
        },
        RawKind::Resize => plain("resize", &["size"]),
        RawKind::Roll => plain("roll", &[]),
        RawKind::Upgrade => plain("upgrade", &["version"]),
        RawKind::Change => plain("change", &["for", "spec", "effect"]),
        RawKind::Request => plain("request", &["ask"]),
        RawKind::Backup => plain("backup", &[]),
        RawKind::OperatorKill => plain("operator-kill", &[]),
        RawKind::OperatorPause => plain("operator-pause", &["for"]),
        RawKind::VolumeDeletionStuck => plain("volume-deletion-stuck", &["for"]),
    }
}
