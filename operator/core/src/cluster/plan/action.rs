//! One change to the world, fully specified: the executor has nothing left to choose. Its `Display` is the line in
//! goldens, logs and Events. Executing an old action is harmless, because each names what it was planned on. Never
//! decides.

use std::fmt;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde_json::Value;

use crate::api::{BootstrapRecord, EtcdBackup};
use crate::cluster::desired::Line;
use crate::cluster::observed::AlarmKind;
use crate::names::{ClusterId, MemberId, MemberName};
use crate::tls::written::SecretWrite;

/// What an action is about. Actions about the same are carried out in order, and the first that fails ends them: what follows
/// rests on it. What does not depend on each other goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// The choice of the first members.
    Bootstrap,
    /// One Service.
    Service(String),
    /// The disruption budget.
    Budget,
    /// That one member's objects come and go, and its permit: each of these rests on the one before it.
    Member(MemberName),
    /// What is recorded on one member's claim.
    Record(MemberName),
    /// The size of one member's volume.
    Volume(MemberName),
    /// The template of one member's pods.
    Template(MemberName),
    /// One member's live pod: its labels, and its restart.
    Pod(MemberName),
    /// Who is a member, with the objects that a new one needs first.
    Membership,
    /// Alarms that removed members left behind.
    Alarms,
    /// The minor that the cluster counts as.
    Version,
    /// The backup before another version.
    Backup,
    /// One Secret with certificates.
    Certificates(String),
}

/// An action of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What it is about.
    pub concern: Concern,
    /// The change.
    pub action: Action,
}

impl fmt::Display for Planned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.fmt(formatter)
    }
}

/// One change.
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
    /// Write a Secret with certificates and keys, which are made as they are written.
    WriteSecret(Box<SecretWrite>),
    /// Delete an object.
    Delete(Delete),
    /// Delete a pod that serves, through the eviction API, so that its disruption budget counts: a drain at the same moment is not
    /// joined. What the budget refuses now is tried again later.
    Evict(Evict),
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
    /// Change where the peers of a member reach it. The list is read again first.
    UpdatePeerUrl {
        /// The member.
        member: MemberName,
        /// Its ID.
        id: MemberId,
        /// Its peer URL to be.
        peer_url: String,
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
    /// Tell etcd to bring the cluster down to an earlier minor, or that it need not any more.
    Downgrade(DowngradeRequest),
    /// Disarm an alarm: of a member that was removed, or one whose cause is gone.
    DisarmAlarm {
        /// The member that it was raised for.
        member_id: MemberId,
        /// The alarm.
        alarm: AlarmKind,
    },
}

/// What etcd is told about an earlier minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DowngradeRequest {
    /// Bring the cluster down to it, if that is possible: etcd is asked to check first.
    Enable(Line),
    /// It is not wanted any more.
    Cancel,
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
    /// A backup before another version.
    Backup(EtcdBackup),
    /// What restores the first member.
    Job(Job),
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
    /// The operator's own.
    EtcdBackup,
    /// `batch/v1`
    Job,
    /// `v1`
    Secret,
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
            Kind::EtcdBackup => "EtcdBackup",
            Kind::Job => "Job",
            Kind::Secret => "Secret",
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

impl PatchOperation {
    /// Where it acts.
    pub fn path(&self) -> &String {
        match self {
            PatchOperation::Test { path, .. }
            | PatchOperation::Add { path, .. }
            | PatchOperation::Remove { path } => path,
        }
    }
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
    /// Takes a permit that was spent off the pod.
    TakePermit,
    /// Records on a claim what its member should run from now on.
    SetTarget {
        /// What is different in it.
        because: String,
    },
    /// Records that a volume has been restored, before anything starts on it.
    Restored {
        /// From what.
        from: String,
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
    /// Asks for more of a volume, and records it.
    Grow {
        /// How much it was asked to hold.
        from: String,
        /// How much it is to hold.
        to: String,
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

/// An eviction, with the UID of the pod as its precondition.
#[derive(Clone, Debug, PartialEq)]
pub struct Evict {
    /// The pod.
    pub target: Target,
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
            Action::Evict(_) => "evict",
            Action::AddLearner { .. } => "add-learner",
            Action::PromoteMember { .. } => "promote-member",
            Action::UpdatePeerUrl { .. } => "update-peer-url",
            Action::WriteSecret(_) => "write-secret",
            Action::RemoveMember { .. } => "remove-member",
            Action::MoveLeader { .. } => "move-leader",
            Action::Downgrade(_) => "downgrade",
            Action::DisarmAlarm { .. } => "disarm-alarm",
        }
    }

    /// Whether it changes etcd's membership. A plan holds at most one such action.
    pub fn changes_membership(&self) -> bool {
        match self {
            Action::AddLearner { .. }
            | Action::PromoteMember { .. }
            | Action::UpdatePeerUrl { .. }
            | Action::RemoveMember { .. } => true,
            Action::RecordBootstrap { .. }
            | Action::Create(_)
            | Action::Patch(_)
            | Action::WriteSecret(_)
            | Action::Delete(_)
            | Action::Evict(_)
            | Action::MoveLeader { .. }
            | Action::Downgrade(_)
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
            Object::Backup(_) => Kind::EtcdBackup,
            Object::Job(_) => Kind::Job,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let metadata = match self {
            Object::StatefulSet(object) => &object.metadata,
            Object::Claim(object) => &object.metadata,
            Object::Service(object) => &object.metadata,
            Object::Backup(object) => &object.metadata,
            Object::Job(object) => &object.metadata,
            Object::DisruptionBudget(object) => &object.metadata,
        };
        metadata.name.as_deref().unwrap_or_default()
    }
}
