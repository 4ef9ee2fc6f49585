//! What the shell saw of one cluster: plain data. Nothing here fetches, and nothing here judges.
//!
//! The shell promises:
//! - Objects come from live reads (never from a cache) made for this plan: all that bear the cluster's label, and
//!   besides, by name, every object that [`required_by_name`] lists. So an object that is not here does not exist; a
//!   label that somebody took away does not make a volume look lost.
//! - If any of these reads failed there is no `Observed` and no plan.
//! - `probes` has an entry for each pod in `pods` that is the cluster's own ([`crate::cluster::world::Ownership`]) and has an address,
//!   keyed by the pod's UID. Nobody else's pod is asked: its answer would be another cluster's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::{Deserialize, Serialize};

use crate::api::{EtcdBackup, EtcdCluster};
use crate::cluster::desired::Line;
use crate::gate::GateReport;
use crate::names::{
    AuthorityKind, ClusterId, ClusterIdentity, Entropy, MemberId, MemberName, Naming, PermitId,
};
use crate::tls::facts::{CertificateFacts, MemberHandshakes, SecretFacts};

/// Everything that a plan depends on, besides the spec.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When the observation was complete.
    pub as_of: Timestamp,
    /// Fresh random bytes.
    pub entropy: Entropy,
    /// What the operator itself was told at its start.
    pub settings: Settings,
    /// The cluster object, with its status.
    pub cluster: EtcdCluster,
    /// StatefulSets.
    pub stateful_sets: Vec<StatefulSet>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// PersistentVolumeClaims.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Services.
    pub services: Vec<Service>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// What each pod answered, by the pod's UID.
    pub probes: BTreeMap<String, Probe>,
    /// The member list, linearizable or not at all.
    pub member_list: MemberList,
    /// What the data of voters is, all at one revision; of nobody unless it may differ
    /// ([`crate::cluster::world::World::may_data_differ`]).
    pub hashes: BTreeMap<MemberId, DataHash>,
    /// For how long each silent member has been seen to be silent, by looks that followed closely on each other.
    pub silence: BTreeMap<MemberName, SignedDuration>,
    /// Where volumes are bound to, as far as that had to be asked.
    pub places: Places,
    /// UIDs of objects whose changes somebody undoes each time.
    pub undone: BTreeSet<String>,
    /// The EtcdBackups that are of this cluster by name.
    pub backups: Backups,
    /// What a restore depends on.
    pub restore: Restoring,
    /// Secrets with certificates, and what members show and accept.
    pub tls: TlsSeen,
    /// What Kubernetes' own Events say of objects that do not come up: the last warning of each, by kind and name.
    pub warnings: BTreeMap<(WarnedKind, String), String>,
}

/// The nodes that volumes are bound to. Asked only for members that are silent and whose pod never started.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Places {
    /// Nobody had to be asked.
    #[default]
    NotAsked,
    /// This operator may not read nodes or volumes: it is installed for one namespace.
    NotAllowed,
    /// By the name of the claim: for how long all nodes that its volume is bound to have been seen to be gone or not ready.
    /// A claim that is not listed can be used somewhere.
    CutOff(BTreeMap<String, SignedDuration>),
}

/// EtcdBackups. Nothing that keeps a cluster alive depends on them, so that one look is made without them if they cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Backups {
    /// The spec says nothing of backups.
    #[default]
    NotAsked,
    /// They could not be read.
    Unknown(String),
    /// All that there are.
    Known(Vec<EtcdBackup>),
}

/// What a restore depends on; nothing of it is read unless the spec asks for one and the cluster is not known to have formed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restoring {
    /// The EtcdBackup that the spec names, if it exists.
    pub backup: Option<EtcdBackup>,
    /// Jobs that restore members of a cluster of this name.
    pub jobs: Vec<Job>,
    /// Their pods.
    pub pods: Vec<Pod>,
}

/// What was seen of TLS. Nothing of it is read unless the spec asks for TLS or a member uses it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsSeen {
    /// Whether anything was read: without it, that a Secret is not here says nothing.
    pub is_read: bool,
    /// The Secrets that exist, by name: those of the cluster and of its members ([`secrets_by_name`]).
    pub secrets: BTreeMap<String, SecretFacts>,
    /// Every authority that a member was started with, or that stands in a Secret.
    pub authorities: Vec<CertificateFacts>,
    /// Handshakes with members whose pods serve TLS, by the pod's UID.
    pub handshakes: BTreeMap<String, MemberHandshakes>,
}

/// The Secrets that are looked up, each by its name: the operator never lists any.
pub fn secrets_by_name(cluster: &ClusterIdentity, members: &BTreeSet<MemberName>) -> BTreeSet<String> {
    let of_cluster = AuthorityKind::ALL.map(|kind| cluster.authority_secret(kind)).into_iter();
    let for_clients = [cluster.client_secret(), cluster.operator_secret()];
    of_cluster.chain(for_clients).chain(members.iter().map(MemberName::certificates)).collect()
}

/// Kinds of objects whose Events are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarnedKind {
    /// A member's StatefulSet, whose pod cannot be made.
    StatefulSet,
    /// A member's pod.
    Pod,
    /// A member's claim.
    Claim,
}

impl WarnedKind {
    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            WarnedKind::StatefulSet => "StatefulSet",
            WarnedKind::Pod => "Pod",
            WarnedKind::Claim => "PersistentVolumeClaim",
        }
    }
}

/// What the operator itself was told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The operator's own image, from which the gate is copied into each member's pod.
    pub operator_image: String,
    /// How long a member may be silent before it is replaced without other evidence.
    pub silence_grace: SignedDuration,
}

impl Settings {
    /// A node that restarts, or a partition that somebody is working on, is over within this time; a replacement copies
    /// the whole database and is not undone.
    pub const DEFAULT_SILENCE_GRACE: SignedDuration = SignedDuration::from_mins(5);
}

/// What one pod answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// When the answer came, or the wait for it ended.
    pub at: Timestamp,
    /// The answer.
    pub answer: Answer,
}

/// Who answered, if anyone.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// etcd, on the client port (maintenance Status).
    Etcd(EtcdAnswer),
    /// The gate, on the metrics port.
    Gate(GateReport),
    /// etcd, which asks for credentials that the operator does not have, because authentication is on. Who it is and how far it is
    /// it does not say; whether a quorum stands behind it, the read tells.
    Refused(LinearizableRead),
    /// Nobody; the text says what was tried and how it failed.
    Silent(String),
}

/// etcd's answer to a Status request to one member.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdAnswer {
    /// The cluster that it says it belongs to.
    pub cluster_id: ClusterId,
    /// Who it says it is.
    pub member_id: MemberId,
    /// The version of its binary.
    pub version: String,
    /// The member that it takes for the leader; `None` if it knows none.
    pub leader: Option<MemberId>,
    /// Its raft term.
    pub raft_term: u64,
    /// The last entry in its log.
    pub raft_index: u64,
    /// The last entry that it applied.
    pub raft_applied_index: u64,
    /// The revision of its data.
    pub revision: i64,
    /// Size of its database in bytes.
    pub database_size: i64,
    /// Whether it says that it is a learner.
    pub is_learner: bool,
    /// The minor that its database is written for; etcd 3.5 does not say.
    pub storage_line: Option<Line>,
    /// The minor that the cluster is being brought down to, if it is; etcd 3.5 does not say.
    pub downgrade: Option<Line>,
    /// IDs of all members as it knows them itself, sorted; `None` if it did not say. It may lag.
    pub members: Option<Vec<MemberId>>,
    /// Errors that it reports, for example an alarm.
    pub errors: Vec<String>,
    /// Whether it serves: a Status needs neither a quorum nor an up-to-date log.
    pub read: LinearizableRead,
}

/// What came of a linearizable read through one member. It succeeds only when a quorum stands behind it and the member has
/// applied everything committed before it, so a member that is cut off, or lags behind, fails it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinearizableRead {
    /// It succeeded.
    Served,
    /// The member refused it, because authentication is on and the operator has no credentials. etcd asks for them only after
    /// the quorum has confirmed the read, so the member and a quorum behind it are well.
    Refused(String),
    /// It failed; says how.
    Failed(String),
    /// None was tried. A learner serves none.
    NotTried,
}

/// etcd's hash of all keys and values up to a revision (HashKV). Two members have the same data only if all three are the same;
/// they have not if only the hashes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataHash {
    /// Up to this revision.
    pub revision: i64,
    /// What was before this revision has been compacted away, and is not in the hash.
    pub compact_revision: i64,
    /// The hash.
    pub hash: u32,
}

/// The member list.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberList {
    /// Read behind a linearizable read on the same endpoint, so that a quorum stood behind it.
    Known(KnownMembers),
    /// Not read; the text says what was tried and how it failed.
    Unknown(String),
}

/// A member list and the alarms beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownMembers {
    /// When it was read.
    pub at: Timestamp,
    /// The cluster that answered.
    pub cluster_id: ClusterId,
    /// The members.
    pub members: Vec<ListedMember>,
    /// Alarms raised and not disarmed.
    pub alarms: Vec<Alarm>,
}

/// One entry of the member list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMember {
    /// Its ID.
    pub id: MemberId,
    /// Its name; empty if it was added and never started.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it started for the first time and published them.
    pub client_urls: Vec<String>,
    /// Whether it is a learner.
    pub is_learner: bool,
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The member that raised it.
    pub member_id: MemberId,
    /// What it says.
    pub kind: AlarmKind,
}

/// etcd's alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The database has reached its quota.
    NoSpace,
    /// The member's data differs from the others'.
    Corrupt,
}

impl AlarmKind {
    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::NoSpace => "NOSPACE",
            AlarmKind::Corrupt => "CORRUPT",
        }
    }
}

/// The record of a permit on a claim, written before the permit is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedPermit {
    /// The permit.
    pub id: PermitId,
    /// The pod that it was issued to.
    pub pod_uid: String,
    /// Whether it is known to have been spent. From then on it is never given again, whatever the pod's own marks say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spent: bool,
}

/// Names of objects that the shell must look up one by one if the list by label did not bring them, so that absence
/// can be told from a lost label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredByName {
    /// PersistentVolumeClaims.
    pub claims: BTreeSet<String>,
    /// StatefulSets.
    pub stateful_sets: BTreeSet<String>,
    /// Pods.
    pub pods: BTreeSet<String>,
    /// Services.
    pub services: BTreeSet<String>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: BTreeSet<String>,
}

/// What must be looked up by name. `names` are all member names that the shell has come across: from the objects that
/// bear the label, from the status (members and bootstrap record) and from the member list.
pub fn required_by_name(cluster: &ClusterIdentity, names: &BTreeSet<MemberName>) -> RequiredByName {
    RequiredByName {
        claims: names.iter().map(MemberName::claim).collect(),
        stateful_sets: names.iter().map(|name| name.as_str().to_owned()).collect(),
        pods: names.iter().map(MemberName::pod).collect(),
        services: Naming::ALL
            .map(|naming| cluster.with_naming(naming).peers_service())
            .into_iter()
            .chain([cluster.client_service()])
            .collect(),
        disruption_budgets: [cluster.disruption_budget()].into(),
    }
}
