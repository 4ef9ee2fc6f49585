//! What the gate reads, writes and answers. Formats carry a version; unknown fields are ignored, so that a gate
//! installed by an earlier operator understands a later one. Never decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::etcd_options::EtcdOptions;
use crate::names::{ClusterId, ClusterIdentity, MemberId, MemberName, PermitId, Scheme};
use crate::tls::{MemberTls, Serves};

/// The gate's only argument, one JSON object, the same at every start of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateConfiguration {
    /// [`super::FORMAT`] of the build that wrote it.
    pub format: u32,
    /// The oldest format whose readers may act on this, see [`super::FORMAT`].
    #[serde(default = "oldest_reader", skip_serializing_if = "is_first")]
    pub oldest_reader: u32,
    /// The `EtcdCluster` that the member belongs to.
    pub cluster: ClusterIdentity,
    /// The member that this pod is.
    pub member: MemberName,
    /// The etcd version in the image, because configuration keys differ between minors.
    pub etcd_version: String,
    /// How large etcd's database may grow; without it, etcd's own default holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_backend_bytes: Option<u64>,
    /// etcd's other options.
    #[serde(default, skip_serializing_if = "EtcdOptions::is_default")]
    pub options: EtcdOptions,
    /// How etcd uses TLS; plain text alone if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<MemberTls>,
}

impl GateConfiguration {
    /// The scheme by which the member's peers are told to reach it: TLS only where that is all it serves, as long as the list says nothing
    /// else. A member that is in the list already is reached as the list says.
    pub fn peer_scheme(&self) -> Scheme {
        match self.tls.as_ref().map(|tls| tls.serves) {
            None | Some(Serves::Both) => Scheme::Http,
            Some(Serves::TlsAlone) => Scheme::Https,
        }
    }

    /// The URL of its own that follows from [`Self::peer_scheme`].
    pub fn own_peer_url(&self) -> String {
        self.cluster.peer_url(self.peer_scheme(), &self.member)
    }
}

/// On which addresses of its pod etcd listens: the shell finds out what the kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenFamily {
    /// All of IPv6 and, through the same sockets, IPv4.
    DualStack,
    /// All of IPv4, because the pod has no IPv6.
    Ipv4,
    /// These of IPv6, because the pod has no IPv4, not even on loopback: Go, in which etcd is written, then takes all
    /// addresses of IPv6 for all addresses of IPv4 (`net`, internetAddrList and favoriteAddrFamily).
    Ipv6(Vec<Ipv6Addr>),
}

/// `member.json` beside the data directory: whose disk this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// [`super::FORMAT`] of the build that wrote it.
    pub format: u32,
    /// The oldest format whose readers may act on this, see [`super::FORMAT`].
    #[serde(default = "oldest_reader", skip_serializing_if = "is_first")]
    pub oldest_reader: u32,
    /// UID of the `EtcdCluster`.
    pub cluster_uid: String,
    /// etcd's cluster ID, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<ClusterId>,
    /// The member.
    pub member: MemberName,
    /// etcd's member ID, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The initial cluster token that the data directory was made with.
    pub token: String,
    /// How often etcd had been started on this disk when the stamp was written. Starts count on in a file of their own
    /// ([`BootCounterState`]), because a full disk takes no new stamp.
    pub boot_counter: u64,
    /// Starts are refused while the pod's fence epoch is above this.
    #[serde(default)]
    pub fence_epoch: u64,
    /// Fields of a later format: kept as they are, because this gate may not be the last to read the stamp.
    #[serde(flatten)]
    pub later: BTreeMap<String, serde_json::Value>,
}

impl Stamp {
    /// Of a disk onto which a member was restored from a backup, and on which nothing has started yet; nothing if no member has such a name.
    /// What it was restored from is kept with it, for whoever asks later.
    pub fn of_restored(
        cluster_uid: &str,
        member: &str,
        token: &str,
        from: BTreeMap<String, serde_json::Value>,
    ) -> Option<Stamp> {
        Some(Stamp {
            format: super::FORMAT,
            oldest_reader: super::OLDEST_READER,
            cluster_uid: cluster_uid.to_owned(),
            cluster_id: None,
            member: MemberName::of_text(member)?,
            member_id: None,
            token: token.to_owned(),
            boot_counter: 0,
            fence_epoch: 0,
            later: from,
        })
    }
}

/// Documents of the first format do not name their oldest reader.
fn oldest_reader() -> u32 {
    1
}

fn is_first(oldest_reader: &u32) -> bool {
    *oldest_reader == 1
}

/// Leave to start etcd once on an empty disk. Annotation of one live pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit {
    /// [`super::FORMAT`] of the build that wrote it.
    pub format: u32,
    /// The oldest format whose readers may act on this, see [`super::FORMAT`].
    #[serde(default = "oldest_reader", skip_serializing_if = "is_first")]
    pub oldest_reader: u32,
    /// Its identity, recorded on the claim before it is given.
    pub id: PermitId,
    /// The only pod that may spend it.
    pub pod_uid: String,
    /// UID of the `EtcdCluster`.
    pub cluster_uid: String,
    /// etcd's cluster ID; absent before the cluster formed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<ClusterId>,
    /// The member.
    pub member: MemberName,
    /// etcd's member ID; absent before the cluster formed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// etcd's initial cluster token.
    pub token: String,
    /// Whether a cluster is formed or joined.
    pub state: ClusterState,
    /// Every member that etcd must know at its first start, this one included.
    pub initial_cluster: Vec<InitialMember>,
    /// The fence epoch that the stamp gets.
    #[serde(default)]
    pub fence_epoch: u64,
}

/// etcd's `initial-cluster-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// Forms a cluster from the list. Never used once the cluster has formed.
    New,
    /// Joins, or restarts in, a cluster that is there.
    Existing,
}

/// One entry of etcd's `initial-cluster`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitialMember {
    /// The member.
    pub name: MemberName,
    /// Where its peers reach it.
    pub peer_url: String,
}

/// What the shell found on the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskState {
    /// The stamp.
    pub stamp: StampState,
    /// The boot counter's file.
    pub boot_counter: BootCounterState,
    /// The data directory.
    pub data: DataState,
}

impl DiskState {
    /// How often etcd was started on this disk, as far as anything on it says. The file alone is behind if it could not
    /// be written once, the stamp alone is behind always.
    pub fn boot_counter(&self) -> u64 {
        let in_stamp = match &self.stamp {
            StampState::Present(stamp) => stamp.boot_counter,
            StampState::Absent | StampState::Unreadable(_) => 0,
        };
        let in_file = match &self.boot_counter {
            BootCounterState::Number(number) => *number,
            BootCounterState::Absent | BootCounterState::Unreadable(_) => 0,
        };
        in_stamp.max(in_file)
    }
}

/// The stamp as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StampState {
    /// There is no such file.
    Absent,
    /// It is there and has the shape of a stamp, of whatever format number.
    Present(Stamp),
    /// It is there and cannot be read; says why.
    Unreadable(String),
}

/// The boot counter's file, as it was found. A number that goes back shows an old copy of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootCounterState {
    /// There is no such file: gates before this one counted in the stamp.
    Absent,
    /// It is there and holds a number.
    Number(u64),
    /// It is there and holds none; says why. Counts as absent: no start depends on the counter.
    Unreadable(String),
}

/// The data directory as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataState {
    /// Absent, or without any file below it.
    Empty,
    /// Files, but no segment of a write-ahead log.
    WithoutLog,
    /// At least one segment (`*.wal`) of a write-ahead log, with the identity in its first record if it could be read.
    Log(Option<LogIdentity>),
}

/// The metadata record at the head of etcd's write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// etcd's cluster ID.
    pub cluster_id: ClusterId,
    /// etcd's member ID.
    pub member_id: MemberId,
}

/// The permit annotation as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermitReading {
    /// The pod has no such annotation.
    Absent,
    /// A permit, not necessarily for this pod.
    Given(Permit),
    /// The annotation is no permit; says why. Counts as none.
    Malformed(String),
}

/// Everything that the decision depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateInputs {
    /// The gate's argument.
    pub configuration: GateConfiguration,
    /// UID of the pod that the gate runs in.
    pub pod_uid: String,
    /// The volume.
    pub disk: DiskState,
    /// The permit.
    pub permit: PermitReading,
    /// The pod's fence epoch; 0 if the annotation is absent. An annotation that is no number counts as `u64::MAX`.
    pub fence_epoch: u64,
    /// Permits that this pod has spent (markers in the emptyDir).
    pub spent: BTreeSet<PermitId>,
}

/// What the gate must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateDecision {
    /// In this order: write and sync the stamp, write the boot counter, mark the permit spent and sync, write the
    /// configuration, exec etcd.
    Start(Box<Start>),
    /// Do not start. Report, and look again when the annotations change. Delete nothing.
    Hold(GateHoldReason),
}

/// How etcd starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The stamp, for the disk if [`Self::write_stamp`] says so. Its boot counter goes to the counter's own file at
    /// every start; that write failing stops none.
    pub stamp: Stamp,
    /// Whether the stamp is written, before anything else.
    pub write_stamp: StampWrite,
    /// The permit to mark as spent before etcd runs.
    pub spend: Option<PermitId>,
    /// What etcd is told of its cluster; render it with [`crate::cluster::render::etcd_configuration`].
    pub initial: InitialCluster,
}

/// Whether a start writes the stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampWrite {
    /// It must be on the disk before etcd starts: nothing there says yet whose disk this is.
    Required,
    /// It says more than the one on the disk, which is true all the same: a disk that takes no write stops no restart.
    Wanted,
    /// The one on the disk says it all.
    Unneeded,
}

/// etcd's `initial-*` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialCluster {
    /// Forms or joins.
    pub state: ClusterState,
    /// The token.
    pub token: String,
    /// The members.
    pub members: Vec<InitialMember>,
}

/// Why the gate does not start etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateHoldReason {
    /// There is no log, and no permit to start without one.
    Lost,
    /// There is data, and it is not known to be this member's.
    Foreign,
    /// The pod is fenced off by a recovery.
    Fenced,
}

impl GateHoldReason {
    /// The word in the report and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            GateHoldReason::Lost => "lost",
            GateHoldReason::Foreign => "foreign",
            GateHoldReason::Fenced => "fenced",
        }
    }
}

/// What the gate answers to `GET /gate` while it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateReport {
    /// Always [`super::FORMAT`].
    pub format: u32,
    /// Always `holding`: a gate that started etcd is etcd, and answers no more.
    pub state: GateState,
    /// Why.
    pub reason: GateHoldReason,
    /// UID of the pod, so that an answer is never taken for another pod's.
    pub pod_uid: String,
    /// The stamp on the disk, if one could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// [`DiskState::boot_counter`].
    #[serde(default)]
    pub boot_counter: u64,
    /// Permits that this pod has spent. One of them beside the reason `lost` says: the disk was empty, was started on,
    /// and is empty again.
    #[serde(default)]
    pub spent_permits: Vec<PermitId>,
}

/// The state in a [`GateReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateState {
    /// etcd does not run.
    Holding,
}
