//! The status of an `EtcdCluster`: what the operator tells its users. Never reads or decides.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator saw in its last pass, and what it remembers. Everything here can be rebuilt from disks, from
/// etcd and from the annotations of the volumes' claims.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdClusterStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the cluster has ever had a quorum. Once true it stays true, and no member starts a new cluster.
    pub formed: bool,
    /// The cluster's ID, in hexadecimal, from the moment that it formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The etcd version that the members run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How far a change of the version is: `2 of 3 on 3.6.16`. Absent while every member runs the spec's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<String>,
    /// The name of the leader, if a leader was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Members in etcd's member list, learners included.
    pub size: i32,
    /// The selector of the members' pods, for `kubectl scale` and autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Voting members that answered the last probe as healthy.
    pub ready_members: i32,
    /// Members that run what the spec asks for.
    pub updated_members: i32,
    /// etcd's own limit of its database in each member, the smallest if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_quota: Option<String>,
    /// The members, sorted by name.
    pub members: Vec<MemberStatus>,
    /// The first members and their token, frozen until the cluster has formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapRecord>,
    /// The newest backup of this very cluster that was proved, where the spec says something of backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupSummary>,
    /// TLS, where the spec asks for it or members still use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsStatus>,
    /// What the operator would do, and does not, with its reasons.
    pub holds: Vec<HoldStatus>,
    /// What annotations asked for and has been carried out: it is done again only when they say something else.
    #[serde(skip_serializing_if = "Acknowledged::is_empty")]
    pub acknowledged: Acknowledged,
    /// Available, Ready, Progressing and Degraded; BackedUp, where the spec says something of backups; and CertificatesValid, where it asks
    /// for TLS.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What annotations asked for and has been carried out, each as its annotation says it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Acknowledged {
    /// `etcd.operators.rs/restart`: every member has been restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// `etcd.operators.rs/replace`: the member is no member any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// `etcd.operators.rs/move-leader`: the member led, or is no voter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub move_leader: Option<String>,
    /// `etcd.operators.rs/rotate-authorities`: both authorities are others, and those before are trusted no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_authorities: Option<String>,
    /// `etcd.operators.rs/clients-ready`: nothing waits for that any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients_ready: Option<String>,
}

impl Acknowledged {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Acknowledged::default()
    }
}

/// How far members are with TLS, and until when its certificates are good.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsStatus {
    /// Members that serve TLS alone.
    pub members_on_tls_alone: i32,
    /// When the first of the certificates ends that are in use. They are renewed long before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates_expire: Option<Time>,
    /// When the authority of members ends. It is rotated long before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_authority_expires: Option<Time>,
    /// When the authority of clients ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_authority_expires: Option<Time>,
}

/// A backup that was proved.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BackupSummary {
    /// The EtcdBackup.
    pub name: String,
    /// Its name in the store.
    pub backup: String,
    /// The last revision in it.
    pub revision: i64,
    /// When it was asked for. Every write that was acknowledged before is in it.
    pub asked_for_at: Time,
}

/// One member.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStatus {
    /// Its name, never used again after it is gone.
    pub name: String,
    /// Its ID in etcd, in hexadecimal, once it is in the member list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The version that it reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it leads.
    pub leader: bool,
    /// Whether it is a learner, which has no vote yet.
    pub learner: bool,
    /// What the last probe found.
    pub health: MemberHealth,
    /// Why it is not healthy, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when it has not answered. Absent while it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Time>,
    /// Since when it has been healthy without interruption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub well_since: Option<Time>,
    /// A digest of what it runs, once it has been healthy with that for ten times the soak, and for ten minutes at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_target: Option<String>,
    /// How often its container has restarted in its current pod.
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: i32,
    /// Size of its database, rounded up, so that it changes rarely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_size: Option<String>,
    /// What its next planned restart brings, because a newer operator renders it differently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// What a probe found of a member.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberHealth {
    /// It answered, knows a leader, and reports no error.
    Healthy,
    /// It answered that it is not healthy, or Kubernetes says that it does not run.
    Unhealthy,
    /// Nobody could be asked, or the answer is too old.
    #[default]
    Unknown,
}

/// The first members of a cluster, chosen once for each attempt to form it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapRecord {
    /// Counts attempts from 1. A later one is made only if the earlier never formed and never can.
    pub attempt: i64,
    /// etcd's initial cluster token: the cluster object's UID and the attempt.
    pub token: String,
    /// Names of the members, sorted.
    pub members: Vec<String>,
    /// A digest of what says which backup their data comes from, if from any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<String>,
}

/// Something that the operator holds back.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HoldStatus {
    /// The reason, one CamelCase word.
    pub reason: String,
    /// The member or object that it is about, unless it is the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What is held back and what would end the wait.
    pub message: String,
}
