//! What was measured about a fault: that it took effect, and that it is over. Never what was merely asked for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CertificateEntry, ConditionSample, Handshake};
use crate::history::{CommittedEvent, MemberId, Revision};
use crate::scenario::{ClusterObject, ClusterSize, EtcdVersion};

/// A pod that a fault is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetedPod {
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The member's name (its incarnation); none for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The member's identity in etcd, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The volume claim that it used, for faults that take it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectIdentity>,
    /// What it was at that moment.
    pub role: TargetRole,
}

/// What a target was when it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetRole {
    /// The leader.
    Leader,
    /// A voter that does not lead.
    Follower,
    /// A learner.
    Learner,
    /// The operator.
    Operator,
}

impl fmt::Display for TargetRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            TargetRole::Leader => "leader",
            TargetRole::Follower => "follower",
            TargetRole::Learner => "learner",
            TargetRole::Operator => "operator",
        })
    }
}

/// An object of Kubernetes: its name may be used again, its uid never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectIdentity {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// A container's process: each start has an identity of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessIdentity {
    /// `containerStatuses[].containerID`.
    pub container_id: String,
    /// `containerStatuses[].state.running.startedAt`, as the API server wrote it.
    pub started_at: String,
    /// `containerStatuses[].restartCount`.
    pub restart_count: u32,
}

/// One attempt to open a fresh connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dial {
    /// Whom.
    pub peer: String,
    /// Whether it was opened.
    pub connected: bool,
}

/// Something that was measured about a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "measured", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Proof {
    /// In one and the same pod another process runs.
    ProcessReplaced {
        /// Before the fault.
        before: ProcessIdentity,
        /// After it.
        after: ProcessIdentity,
    },
    /// Another pod is there.
    PodReplaced {
        /// Before the fault.
        before: ObjectIdentity,
        /// After it.
        after: ObjectIdentity,
    },
    /// Another volume claim is there: its uid is new, its name usually too.
    VolumeReplaced {
        /// The claim that was lost.
        before: ObjectIdentity,
        /// The claim of the member's replacement.
        after: ObjectIdentity,
    },
    /// The data directory was seen empty before the process started again.
    DirectoryEmptied {
        /// The directory.
        path: String,
        /// How many entries it had.
        entries_before: u64,
        /// How many it has.
        entries_after: u64,
    },
    /// Threads of the process were stopped.
    Stopped {
        /// How many were seen stopped.
        stopped: u32,
        /// How many there were.
        threads: u32,
    },
    /// All threads run again.
    Resumed {
        /// How many still stand.
        stopped: u32,
    },
    /// Packets were dropped and fresh connections tried while the partition stood.
    PartitionFelt {
        /// How many packets the kernel counted as dropped.
        dropped_packets: u64,
        /// Of them, those on their way into the pod; not known in records of the format before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inbound_packets: Option<u64>,
        /// Of them, those on their way out of it; not known in records of the format before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outbound_packets: Option<u64>,
        /// To peers that are cut off.
        cut: Vec<Dial>,
        /// To addresses that are not.
        uncut: Vec<Dial>,
    },
    /// Fresh connections were tried after the partition.
    PartitionOver {
        /// To those that had been cut off.
        dials: Vec<Dial>,
    },
    /// The object was seen changed for the worse, or with the addition.
    ObjectChanged {
        /// Which object.
        object: ClusterObject,
        /// Its identity.
        identity: ObjectIdentity,
        /// Where it was seen so.
        resource_version: String,
        /// The field.
        field: String,
        /// What it held before.
        before: String,
        /// What it was seen to hold.
        after: String,
    },
    /// The corruption was felt while it stood.
    CorruptionFelt {
        /// What was observed, such as a member that restarted, or a Service without endpoints.
        observation: String,
    },
    /// The object was seen as it should be again.
    ObjectRepaired {
        /// Which object.
        object: ClusterObject,
        /// Its identity.
        identity: ObjectIdentity,
        /// Where it was seen so.
        resource_version: String,
        /// The field.
        field: String,
        /// What it holds.
        value: String,
        /// Who wrote it, by `metadata.managedFields`.
        manager: String,
    },
    /// The object was deleted.
    ObjectDeleted {
        /// Which object.
        object: ClusterObject,
        /// What was deleted.
        identity: ObjectIdentity,
    },
    /// The object is there again.
    ObjectRecreated {
        /// Which object.
        object: ClusterObject,
        /// What is there now.
        identity: ObjectIdentity,
        /// Who created it, by `metadata.managedFields`.
        manager: String,
    },
    /// The object was watched for as long as its repair may take, and was not put back.
    ObjectStillBroken {
        /// Which object.
        object: ClusterObject,
        /// What was changed or deleted.
        identity: ObjectIdentity,
        /// How long it was watched, in milliseconds.
        watched_milliseconds: u64,
    },
    /// A member's Secret was seen with other certificates than before, or deleted.
    CertificateDamaged {
        /// The Secret.
        secret: ObjectIdentity,
        /// Where it was seen so; for a deleted one, where it was seen for the last time.
        resource_version: String,
        /// What it held before.
        before: Vec<CertificateEntry>,
        /// What it was seen to hold.
        after: Vec<CertificateEntry>,
    },
    /// The member's ports showed the damage to whoever connected.
    CertificateFelt {
        /// Handshakes before it.
        before: Vec<Handshake>,
        /// Handshakes while it stood.
        during: Vec<Handshake>,
    },
    /// A pod could not start without the member's Secret.
    StartHindered {
        /// The pod.
        pod: ObjectIdentity,
        /// What the kubelet says of it.
        note: String,
    },
    /// The member's Secret was seen with good certificates again, and its ports show them.
    CertificateRepaired {
        /// The Secret.
        secret: ObjectIdentity,
        /// Where it was seen so.
        resource_version: String,
        /// Who wrote it, by `metadata.managedFields`.
        manager: String,
        /// What it holds.
        certificates: Vec<CertificateEntry>,
        /// Handshakes after it.
        handshakes: Vec<Handshake>,
    },
    /// The member's Secret was watched for as long as its repair may take, and its ports did not come to show good certificates.
    CertificateStillBroken {
        /// The Secret that was damaged.
        secret: ObjectIdentity,
        /// How long it was watched, in milliseconds.
        watched_milliseconds: u64,
    },
    /// The declared size was changed.
    SizeDeclared {
        /// Before.
        from: ClusterSize,
        /// After.
        to: ClusterSize,
        /// Where.
        resource_version: String,
    },
    /// A linearizable member list had as many voters as declared.
    SizeReached {
        /// So many.
        voters: u64,
    },
    /// What is declared was changed so that every member must restart.
    RestartDeclared {
        /// `metadata.generation` after it.
        generation: i64,
        /// Where.
        resource_version: String,
    },
    /// Every member runs in another pod than before.
    RestartsSeen {
        /// So many.
        members: u64,
    },
    /// Another version of etcd was declared.
    VersionDeclared {
        /// The version that was declared before.
        from: EtcdVersion,
        /// The new one.
        to: EtcdVersion,
        /// `metadata.generation` after it.
        generation: i64,
        /// Where.
        resource_version: String,
    },
    /// The cluster is whole and Ready, and every member answers with the declared version; those that ran another one do so in another
    /// pod.
    VersionReached {
        /// The version.
        version: EtcdVersion,
        /// So many members.
        members: u64,
    },
    /// Before the members had come to the declared version, another one was declared.
    VersionSuperseded {
        /// The version that is declared instead.
        by: EtcdVersion,
    },
    /// The spec was changed.
    ChangeDeclared {
        /// `metadata.generation` before it.
        before: i64,
        /// `metadata.generation` after it.
        generation: i64,
        /// Where.
        resource_version: String,
    },
    /// The operator has looked at the changed spec, and the status says Ready.
    ChangeObserved {
        /// `status.observedGeneration`.
        generation: i64,
    },
    /// The status says, to the end, why the changed spec is not carried out.
    ChangeRefused {
        /// `status.observedGeneration`.
        generation: i64,
        /// The condition that says so.
        condition: ConditionSample,
    },
    /// The spec was put back as it was before the change.
    ChangeTakenBack {
        /// `metadata.generation` after it.
        generation: i64,
        /// Where.
        resource_version: String,
    },
    /// After the change was taken back the same members are there as before it, all well, and the status says Ready.
    MembersAsBefore {
        /// Their identities.
        members: Vec<MemberId>,
    },
    /// The cluster is whole, and other members have taken the place of some.
    MembersReplaced {
        /// The identities of those that left.
        before: Vec<MemberId>,
        /// The identities of those that came.
        after: Vec<MemberId>,
    },
    /// The operator was asked for something.
    RequestMade {
        /// The annotation that asks for it.
        annotation: String,
        /// Its value.
        value: String,
        /// Where.
        resource_version: String,
    },
    /// The operator's status acknowledges the request: it says that it is done.
    RequestDone {
        /// Where it was seen so.
        resource_version: String,
    },
    /// A backup of the cluster was asked for.
    BackupAsked {
        /// The EtcdBackup.
        identity: ObjectIdentity,
    },
    /// Its status says that the backup is in the store and was proved.
    BackupStored {
        /// The backup's name in the store.
        backup: String,
        /// The last revision in it.
        revision: Revision,
    },
    /// Another cluster began with it, and has this below the load's prefix.
    BackupRestored {
        /// The revision of its store when it was read.
        revision: Revision,
        /// The load's keys as they are there: what the last change of each was.
        entries: Vec<CommittedEvent>,
    },
    /// The members name another leader.
    LeadershipMoved {
        /// The identity of the new leader.
        to: MemberId,
    },
    /// The claim was seen with a deletion time and still there.
    VolumeHeld {
        /// The claim.
        claim: ObjectIdentity,
    },
    /// The claim is gone after its finalizer was taken off.
    VolumeReleased {
        /// The claim.
        claim: ObjectIdentity,
    },
}

impl Proof {
    /// What is recorded when a repair was waited for in vain.
    #[must_use]
    pub fn still_broken(object: ClusterObject, identity: ObjectIdentity, watched: Duration) -> Proof {
        Proof::ObjectStillBroken { object, identity, watched_milliseconds: milliseconds(watched) }
    }

    /// The same for certificates.
    #[must_use]
    pub fn certificate_still_broken(secret: ObjectIdentity, watched: Duration) -> Proof {
        Proof::CertificateStillBroken { secret, watched_milliseconds: milliseconds(watched) }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
