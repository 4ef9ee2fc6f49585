//! One change to the world, fully specified: the executor has nothing left to choose. Its `Display` is the line in
//! goldens, logs and Events. Executing an old action is harmless, because each names what it was planned on. Never
//! decides.

use std::fmt;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde_json::Value;

use crate::api::BootstrapRecord;
use crate::names::{ClusterId, MemberId, MemberName};
use crate::observed::AlarmKind;

/// One change. The executor carries out a plan's actions in order and stops at the first that fails.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the list of the first members into the status (merge patch of the status subresource), on the condition
    /// that the cluster object still has this resourceVersion. The next plan sees it.
    RecordBootstrap {
        /// The record.
        record: BootstrapRecord,
        /// The precondition.
        resource_version: String,
    },
    /// Create an object. `AlreadyExists` is a failure: the next plan looks at what is there.
    Create(Box<Object>),
    /// Change an object by a JSON patch. Its first operations test what the patch was planned on.
    Patch(Patch),
    /// Delete an object.
    Delete(Delete),
    /// Add a learner to etcd. Re-read the list first, and do nothing if it has changed.
    AddLearner {
        /// The member to be.
        member: MemberName,
        /// Its peer URL.
        peer_url: String,
        /// What the change was planned on.
        planned_on: PlannedOn,
    },
    /// Promote a learner.
    PromoteMember {
        /// The learner.
        member: MemberName,
        /// Its ID.
        id: MemberId,
        /// What the change was planned on.
        planned_on: PlannedOn,
    },
    /// Remove a member from etcd.
    RemoveMember {
        /// The member.
        member: MemberName,
        /// Its ID.
        id: MemberId,
        /// Why, for people.
        because: String,
        /// What the change was planned on.
        planned_on: PlannedOn,
    },
    /// Move the leadership. The request goes to `from`.
    MoveLeader {
        /// The leader.
        from: MemberName,
        /// The leader's ID.
        from_id: MemberId,
        /// The leader to be.
        to: MemberName,
        /// Its ID.
        to_id: MemberId,
        /// What the change was planned on.
        planned_on: PlannedOn,
    },
    /// Disarm the alarm that a member left behind when it was removed.
    DisarmAlarm {
        /// The member that is no more.
        member_id: MemberId,
        /// The alarm.
        alarm: AlarmKind,
    },
}

/// What a change of membership was planned on. The executor reads the list again, linearizably, just before the call,
/// and refuses if either differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOn {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// IDs of all members, sorted.
    pub members: Vec<MemberId>,
}

/// An object to create.
#[expect(clippy::large_enum_variant, reason = "it is always boxed")]
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A member's StatefulSet.
    StatefulSet(StatefulSet),
    /// A member's volume.
    Claim(PersistentVolumeClaim),
    /// A Service.
    Service(Service),
    /// The disruption budget.
    DisruptionBudget(PodDisruptionBudget),
}

/// The kinds of object that the operator changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `apps/v1`
    StatefulSet,
    /// `v1`
    PersistentVolumeClaim,
    /// `v1`
    Pod,
    /// `v1`
    Service,
    /// `policy/v1`
    PodDisruptionBudget,
}

impl Kind {
    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::StatefulSet => "StatefulSet",
            Kind::PersistentVolumeClaim => "PersistentVolumeClaim",
            Kind::Pod => "Pod",
            Kind::Service => "Service",
            Kind::PodDisruptionBudget => "PodDisruptionBudget",
        }
    }
}

/// One live object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: the precondition of every change, so that a successor of the same name is never hit.
    pub uid: String,
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The object.
    pub target: Target,
    /// The operations, tests first. Send them as `application/json-patch+json`; a failed test (422) is a conflict.
    pub operations: Vec<PatchOperation>,
    /// What for.
    pub purpose: PatchPurpose,
}

/// One operation of RFC 6902; serialises as the RFC writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum PatchOperation {
    /// The value at the path must be this.
    Test {
        /// A JSON pointer.
        path: String,
        /// The value.
        value: Value,
    },
    /// Put the value there, whatever was there before.
    Add {
        /// A JSON pointer.
        path: String,
        /// The value.
        value: Value,
    },
    /// Take away what is there.
    Remove {
        /// A JSON pointer.
        path: String,
    },
}

/// What a patch is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchPurpose {
    /// Puts a changed object back as rendered; names the fields.
    Restore {
        /// The fields, as JSON pointers.
        fields: Vec<String>,
    },
    /// Follows a change of the spec or of the member's role; names the fields.
    Follow {
        /// The fields, as JSON pointers.
        fields: Vec<String>,
    },
    /// Records on a claim that a permit is about to be given.
    RecordPermit {
        /// The permit.
        permit: String,
        /// The pod.
        pod_uid: String,
    },
    /// Gives a recorded permit to a pod.
    GivePermit {
        /// The permit.
        permit: String,
    },
    /// Records facts on a claim: that the cluster formed, the member's ID; names them.
    RecordFacts {
        /// The annotations with their values.
        facts: Vec<String>,
    },
    /// Labels a live pod with its role.
    LabelRole {
        /// The role.
        role: &'static str,
    },
    /// Sets a volume aside for a person to look at.
    SetAside {
        /// Why.
        because: String,
    },
}

/// A deletion, with the UID of the target as its precondition.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// The object.
    pub target: Target,
    /// The resourceVersion that must still be current, for deletions that depend on more than the object's identity.
    pub resource_version: Option<String>,
    /// Overrides the pod's own grace period. Zero forces, and is planned only for members that are removed.
    pub grace_period_seconds: Option<i64>,
    /// Why.
    pub because: String,
}

impl Action {
    /// One word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::RecordBootstrap { .. } => "record-bootstrap",
            Action::Create(_) => "create",
            Action::Patch(_) => "patch",
            Action::Delete(_) => "delete",
            Action::AddLearner { .. } => "add-learner",
            Action::PromoteMember { .. } => "promote-member",
            Action::RemoveMember { .. } => "remove-member",
            Action::MoveLeader { .. } => "move-leader",
            Action::DisarmAlarm { .. } => "disarm-alarm",
        }
    }

    /// Whether it changes etcd's membership. A plan holds at most one such action.
    pub fn changes_membership(&self) -> bool {
        match self {
            Action::AddLearner { .. } | Action::PromoteMember { .. } | Action::RemoveMember { .. } => true,
            Action::RecordBootstrap { .. }
            | Action::Create(_)
            | Action::Patch(_)
            | Action::Delete(_)
            | Action::MoveLeader { .. }
            | Action::DisarmAlarm { .. } => false,
        }
    }
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Object::StatefulSet(_) => Kind::StatefulSet,
            Object::Claim(_) => Kind::PersistentVolumeClaim,
            Object::Service(_) => Kind::Service,
            Object::DisruptionBudget(_) => Kind::PodDisruptionBudget,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let metadata = match self {
            Object::StatefulSet(object) => &object.metadata,
            Object::Claim(object) => &object.metadata,
            Object::Service(object) => &object.metadata,
            Object::DisruptionBudget(object) => &object.metadata,
        };
        metadata.name.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::RecordBootstrap { record, .. } => {
                let members = record.members.join(", ");
                write!(formatter, "record first members {members}, attempt {}", record.attempt)
            }
            Action::Create(object) => {
                write!(formatter, "create {} {}", object.kind().as_str(), object.name())
            }
            Action::Patch(patch) => write!(formatter, "{patch}"),
            Action::Delete(delete) => write!(formatter, "{delete}"),
            Action::AddLearner { member, peer_url, .. } => {
                write!(formatter, "add learner {member} at {peer_url}")
            }
            Action::PromoteMember { member, id, .. } => write!(formatter, "promote learner {member} ({id})"),
            Action::RemoveMember { member, id, because, .. } => {
                write!(formatter, "remove member {member} ({id}): {because}")
            }
            Action::MoveLeader { from, to, .. } => write!(formatter, "move leadership from {from} to {to}"),
            Action::DisarmAlarm { member_id, alarm } => {
                write!(formatter, "disarm alarm {} of removed member {member_id}", alarm.as_str())
            }
        }
    }
}

impl fmt::Display for Patch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = format!("{} {}", self.target.kind.as_str(), self.target.name);
        match &self.purpose {
            PatchPurpose::Restore { fields } => write!(formatter, "restore {object}: {}", fields.join(", ")),
            PatchPurpose::Follow { fields } => write!(formatter, "update {object}: {}", fields.join(", ")),
            PatchPurpose::RecordPermit { permit, pod_uid } => {
                write!(formatter, "record on {object} permit {permit} for pod {pod_uid}")
            }
            PatchPurpose::GivePermit { permit } => write!(formatter, "give {object} permit {permit}"),
            PatchPurpose::RecordFacts { facts } => {
                write!(formatter, "record on {object} {}", facts.join(", "))
            }
            PatchPurpose::LabelRole { role } => write!(formatter, "label {object} as {role}"),
            PatchPurpose::SetAside { because } => write!(formatter, "set {object} aside: {because}"),
        }
    }
}

impl fmt::Display for Delete {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let force = if self.grace_period_seconds == Some(0) { "force-delete" } else { "delete" };
        let object = format!("{} {}", self.target.kind.as_str(), self.target.name);
        write!(formatter, "{force} {object}: {}", self.because)
    }
}
