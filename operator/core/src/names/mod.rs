//! Every name that the operator forms or reads: objects, labels, annotations, ports, paths, etcd's IDs and URLs.
//! Nothing else in the crate spells one out. Never decides.

mod endpoint;
mod identity;
pub mod secrets;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use endpoint::{Endpoint, Scheme};
pub use identity::{ClusterIdentity, LONGEST_CLUSTER_NAME, Naming};
pub use secrets::{AuthorityKind, Pair};

/// Who writes, as Kubernetes' managed fields show it.
pub const FIELD_MANAGER: &str = "etcd-operator";

/// Port of etcd's client API.
pub const CLIENT_PORT: u16 = 2379;
/// Port on which members speak to each other.
pub const PEER_PORT: u16 = 2380;
/// The same by TLS: etcd serves its peers by one scheme a port, so a cluster that changes from one to the other needs two.
pub const TLS_PEER_PORT: u16 = 2382;
/// Port of etcd's metrics and health, and of the gate's report while it holds.
pub const METRICS_PORT: u16 = 2381;

/// Where a member's volume is mounted.
pub const VOLUME_PATH: &str = "/var/lib/etcd";
/// etcd's data directory, below the volume's root so that the stamp stands beside it.
pub const DATA_DIRECTORY: &str = "/var/lib/etcd/data";
/// The write-ahead log, inside the data directory.
pub const WAL_DIRECTORY: &str = "/var/lib/etcd/data/member/wal";
/// The disk stamp.
pub const STAMP_PATH: &str = "/var/lib/etcd/member.json";
/// The file that the gate locks, so that one process at a time uses the volume.
pub const LOCK_PATH: &str = "/var/lib/etcd/lock";
/// The emptyDir that the gate's binary, its markers and etcd's configuration live in.
pub const GATE_DIRECTORY: &str = "/gate";
/// The gate's binary, inside the etcd container.
pub const GATE_BINARY: &str = "/gate/etcd-operator";
/// The configuration that the gate writes for etcd.
pub const ETCD_CONFIGURATION_PATH: &str = "/gate/etcd.yaml";
/// The downward API volume.
pub const POD_INFO_DIRECTORY: &str = "/etc/pod-info";

/// Where a member's certificates and their keys are mounted.
pub const CERTIFICATES_DIRECTORY: &str = "/etc/etcd-tls";
/// The authorities of its peers, as the gate writes them for etcd.
pub const PEER_AUTHORITIES_PATH: &str = "/gate/peer-ca.crt";
/// The authorities of its clients.
pub const CLIENT_AUTHORITIES_PATH: &str = "/gate/client-ca.crt";

/// Name of the container that runs the gate and then etcd.
pub const ETCD_CONTAINER: &str = "etcd";
/// Name of the init container that copies the gate's binary.
pub const INSTALL_GATE_CONTAINER: &str = "install-gate";

/// The entry of a Secret with keys of age, called as the file that its own documentation makes.
pub const ENCRYPTION_KEY_ENTRY: &str = "key.txt";
/// The variable of the environment with the same text.
pub const ENCRYPTION_KEY_VARIABLE: &str = "BACKUP_ENCRYPTION_KEY";

/// Name of the container that takes a backup.
pub const BACKUP_CONTAINER: &str = "backup";
/// Name of the container that restores a member.
pub const RESTORE_CONTAINER: &str = "restore";
/// Where etcd's images have its programs.
pub const ETCD_PROGRAMS: &str = "/usr/local/bin";

/// The volume with the member's data, in its pod.
pub const DATA_VOLUME: &str = "data";
/// The volume with the gate's binary, in the member's pod.
pub const GATE_VOLUME: &str = "gate";
/// The volume by which the pod learns about itself.
pub const POD_INFO_VOLUME: &str = "pod-info";
/// The volume with the member's certificates.
pub const CERTIFICATES_VOLUME: &str = "certificates";
/// The volumes of a pod that are the operator's alone.
pub const OPERATORS_VOLUMES: [&str; 4] = [DATA_VOLUME, GATE_VOLUME, POD_INFO_VOLUME, CERTIFICATES_VOLUME];

/// The common name in the certificates of all members, by which they know each other.
pub const PEER_COMMON_NAME: &str = "etcd-peer";
/// The common name in the certificate for applications.
pub const CLIENT_COMMON_NAME: &str = "etcd-client";
/// The common name in the operator's own certificate.
pub const OPERATOR_COMMON_NAME: &str = "etcd-operator";

/// Annotation of a cluster object: rotate the authorities. Any word; another word asks again.
pub const ANNOTATION_ROTATE: &str = "etcd.operators.rs/rotate-authorities";
/// Annotation of a cluster object: what applications are ready for, which ends a wait of a rotation before its time
/// ([`crate::cluster::requests::ClientsReady`]).
pub const ANNOTATION_CLIENTS_READY: &str = "etcd.operators.rs/clients-ready";
/// Annotation of a Secret with an authority: the word that last asked for its rotation.
pub const ANNOTATION_ROTATION_ASKED: &str = "etcd.operators.rs/rotation-asked";
/// Annotation of a Secret with an authority: since when all members have trusted the next one.
pub const ANNOTATION_TRUSTED_SINCE: &str = "etcd.operators.rs/trusted-since";
/// Annotation of a member's pod: the certificate that it is to show, by its serial number.
pub const ANNOTATION_SHOWN: &str = "etcd.operators.rs/certificate";
/// Annotation of the Secret with the clients' authority: since when every member has served TLS and plain text, and which of them is to stay.
pub const ANNOTATION_BOTH_SINCE: &str = "etcd.operators.rs/both-since";
/// Annotation of the Secret with the clients' authority: for how long applications are waited for, in seconds. It counts when the spec says
/// nothing of TLS any more.
pub const ANNOTATION_TRUST_PERIOD: &str = "etcd.operators.rs/trust-period-seconds";
/// Annotation of a Secret with an authority: since when all members have shown certificates of it.
pub const ANNOTATION_SHOWN_SINCE: &str = "etcd.operators.rs/shown-since";

/// Whether a label or annotation is the operator's to set.
pub fn is_own_key(key: &str) -> bool {
    key.starts_with("etcd.operators.rs/") || key.starts_with("app.kubernetes.io/")
}

/// Label and prefix: the cluster that an object belongs to.
pub const LABEL_CLUSTER: &str = "etcd.operators.rs/cluster";
/// Label: the member that an object belongs to.
pub const LABEL_MEMBER: &str = "etcd.operators.rs/member";
/// Label of Jobs and their pods: the EtcdBackup that they are of.
pub const LABEL_BACKUP: &str = "etcd.operators.rs/backup";
/// Label of a CronJob, its Jobs, their pods and the EtcdBackups that were made of them: the EtcdBackupSchedule.
pub const LABEL_BACKUP_SCHEDULE: &str = "etcd.operators.rs/backup-schedule";
/// Label of Jobs of backups and their pods: the cluster. Another one than [`LABEL_CLUSTER`], because no member bears it.
pub const LABEL_BACKED_UP: &str = "etcd.operators.rs/backed-up-cluster";
/// Label of Jobs and their pods: the cluster whose first member they restore.
pub const LABEL_RESTORED: &str = "etcd.operators.rs/restored-cluster";
/// Annotation of Jobs of backups: where the backup is or will be, as JSON ([`crate::api::StoreSpec`]).
pub const ANNOTATION_STORE: &str = "etcd.operators.rs/store";
/// Kubernetes' own label of a Job's pods: its name.
pub const LABEL_JOB: &str = "batch.kubernetes.io/job-name";
/// Kubernetes' own label of a Job's pods: its UID.
pub const LABEL_CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
/// Annotation of a Job that restores: the UID of the claim that it restores onto.
pub const ANNOTATION_CLAIM_UID: &str = "etcd.operators.rs/claim-uid";
/// Label of an EtcdBackup that the operator asked for: the version that waits for it.
pub const LABEL_BEFORE_VERSION: &str = "etcd.operators.rs/before-version";
/// Label of pods: `voter` or `learner`. The client Service and the budget select voters.
pub const LABEL_ROLE: &str = "etcd.operators.rs/role";
/// Kubernetes' recommended label: what the application is.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Kubernetes' recommended label: which instance of the application.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Kubernetes' recommended label: who manages the object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

// Annotations of a claim are annotations of the StatefulSet where the member's data is in memory: see `cluster::world::Keeper`.

/// Annotation of a claim: a digest of what its member ran well before what it should run now.
pub const ANNOTATION_PREVIOUS_TARGET: &str = "etcd.operators.rs/previous-target";
/// Annotation of a live pod: the permit, as JSON ([`crate::gate::Permit`]).
pub const ANNOTATION_PERMIT: &str = "etcd.operators.rs/permit";
/// Annotation of a live pod: the fence epoch, a decimal number.
pub const ANNOTATION_FENCE_EPOCH: &str = "etcd.operators.rs/fence-epoch";
/// Annotation of a claim: the permit issued for this incarnation ([`crate::cluster::observed::IssuedPermit`]).
pub const ANNOTATION_PERMIT_ISSUED: &str = "etcd.operators.rs/permit-issued";
/// UID of the `EtcdCluster` object that an object was made for: an annotation of claims, a label of everything else but of
/// pods that are selected by name. It is the object's identity; a name is none, because it can be given again.
pub const CLUSTER_UID: &str = "etcd.operators.rs/cluster-uid";
/// Annotation of a claim: how its member came to be, as JSON ([`crate::cluster::world::Origin`]).
pub const ANNOTATION_ORIGIN: &str = "etcd.operators.rs/origin";
/// Annotation of a claim: the cluster's ID in hexadecimal. Its presence says that the cluster has formed.
pub const ANNOTATION_FORMED: &str = "etcd.operators.rs/formed";
/// Annotation of a claim: the member's ID in hexadecimal, written once etcd answered from this volume.
pub const ANNOTATION_MEMBER_ID: &str = "etcd.operators.rs/member-id";
/// Annotation of a claim: the etcd version that its member runs, for operators that know no [`ANNOTATION_TARGET`].
pub const ANNOTATION_VERSION: &str = "etcd.operators.rs/version";
/// Annotation of a claim: what its member should run, as JSON ([`crate::cluster::target::Target`]). Of a StatefulSet: the digest of the
/// target that its template was rendered from.
pub const ANNOTATION_TARGET: &str = "etcd.operators.rs/target";
/// Annotation of a StatefulSet that keeps its member's record: what the member should run, as JSON
/// ([`crate::cluster::target::Target`]). Its [`ANNOTATION_TARGET`] is that of its template.
pub const ANNOTATION_RECORDED_TARGET: &str = "etcd.operators.rs/recorded-target";
/// Annotation of a claim: size and class as the spec asked for them, as JSON ([`crate::cluster::world::VolumeRequest`]).
pub const ANNOTATION_STORAGE: &str = "etcd.operators.rs/storage";
/// Annotation of a claim: it is kept for a person to look at; the operator uses it no more. The value says why.
pub const ANNOTATION_SET_ASIDE: &str = "etcd.operators.rs/set-aside";
/// Annotation of a StatefulSet, a budget or a Service: a digest of what was rendered.
pub const ANNOTATION_FINGERPRINT: &str = "etcd.operators.rs/fingerprint";
/// Annotation of a StatefulSet: an earlier revision whose pods need no restart, because the template has since changed in nothing
/// that the member must follow.
pub const ANNOTATION_ACCEPTED_REVISION: &str = "etcd.operators.rs/accepted-revision";

/// Annotation of a claim: the oldest minor of etcd that the cluster ever ran, as `3.6`.
pub const ANNOTATION_OLDEST_LINE: &str = "etcd.operators.rs/oldest-line";
/// Annotation of a claim: the oldest minor of which entries may be in the member's log since its last snapshot, as `3.6`.
pub const ANNOTATION_LOG_LINE: &str = "etcd.operators.rs/log-line";
/// Annotation of a cluster object: restart all members in turn. Any word; another word asks again.
pub const ANNOTATION_RESTART: &str = "etcd.operators.rs/restart";
/// Annotation of a cluster object: replace this member.
pub const ANNOTATION_REPLACE: &str = "etcd.operators.rs/replace";
/// Annotation of a cluster object: move the leadership to this member.
pub const ANNOTATION_MOVE_LEADER: &str = "etcd.operators.rs/move-leader";
/// Annotation of a Service: the names of the annotations that the spec asked for, as a JSON list. One that the spec asks for no more
/// is taken away; those of others stay.
pub const ANNOTATION_APPLIED: &str = "etcd.operators.rs/applied-annotations";

/// How a member takes part; the value of [`LABEL_ROLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Votes and serves clients.
    Voter,
    /// Follows and has no vote.
    Learner,
}

impl Role {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Voter => "voter",
            Role::Learner => "learner",
        }
    }
}

/// The name of one member incarnation: the cluster's name, a hyphen and five letters. It names the StatefulSet and the
/// etcd member, and is never used again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberName(String);

impl MemberName {
    /// Letters after the hyphen.
    pub const SUFFIX_LENGTH: usize = 5;

    /// The name, if it is one of this cluster's members'.
    pub fn parse(cluster: &ClusterIdentity, text: &str) -> Option<MemberName> {
        let suffix = text.strip_prefix(cluster.name.as_str())?.strip_prefix('-')?;
        let is_letters =
            suffix.len() == Self::SUFFIX_LENGTH && suffix.bytes().all(|b| b.is_ascii_lowercase());
        is_letters.then(|| MemberName(text.to_owned()))
    }

    /// The name, if it is one that a member of any cluster could have.
    pub fn of_text(text: &str) -> Option<MemberName> {
        let (cluster, suffix) = text.rsplit_once('-')?;
        let is_suffix = suffix.len() == Self::SUFFIX_LENGTH && suffix.bytes().all(|b| b.is_ascii_lowercase());
        (is_suffix && !cluster.is_empty()).then(|| MemberName(text.to_owned()))
    }

    /// The member whose claim has this name.
    pub fn of_claim(cluster: &ClusterIdentity, claim: &str) -> Option<MemberName> {
        MemberName::parse(cluster, claim.strip_prefix("data-")?)
    }

    /// The member whose pod has this name.
    pub fn of_pod(cluster: &ClusterIdentity, pod: &str) -> Option<MemberName> {
        MemberName::parse(cluster, pod.strip_suffix("-0")?)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its only pod.
    pub fn pod(&self) -> String {
        format!("{}-0", self.0)
    }

    /// Its PersistentVolumeClaim.
    pub fn claim(&self) -> String {
        format!("data-{}", self.0)
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Declares an etcd ID: a 64-bit number that is written in hexadecimal, as etcd's own logs do.
macro_rules! etcd_id {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u64);

        impl $name {
            /// The ID that this hexadecimal text spells.
            pub fn parse(text: &str) -> Option<Self> {
                u64::from_str_radix(text, 16).ok().map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({:x})", stringify!($name), self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $name::parse(&text).ok_or_else(|| format!("{text:?} is no hexadecimal 64-bit number"))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

etcd_id!(
    /// A member's ID in etcd. A member that is added again always gets another one.
    MemberId
);
etcd_id!(
    /// A cluster's ID in etcd, fixed when it formed.
    ClusterId
);

/// Bytes as digests are written.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The identity of one permit; no two permits share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermitId(pub String);

impl fmt::Display for PermitId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Random bytes from the shell, fresh for each plan. Names and identifiers are derived from them, so that the same
/// bytes give the same plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entropy(pub [u8; 32]);

impl Entropy {
    /// A member name that `is_taken` denies.
    pub fn member_name(
        &self,
        cluster: &ClusterIdentity,
        is_taken: impl Fn(&MemberName) -> bool,
    ) -> MemberName {
        (0_u64..)
            .map(|draw| self.draw_member_name(cluster, draw))
            .find(|name| !is_taken(name))
            .expect("twelve million names are more than one cluster ever has")
    }

    fn draw_member_name(&self, cluster: &ClusterIdentity, draw: u64) -> MemberName {
        let suffix = self.letters("member", &draw.to_string(), MemberName::SUFFIX_LENGTH);
        MemberName(format!("{}-{suffix}", cluster.name))
    }

    /// Small letters for a name, at most as many as there are random bytes.
    pub fn letters(&self, purpose: &str, subject: &str, count: usize) -> String {
        let digest = self.derive(purpose, subject);
        digest.iter().take(count).map(|byte| char::from(b'a' + byte % 26)).collect()
    }

    /// The identity of the permit that this plan gives to a member.
    pub fn permit_id(&self, member: &MemberName) -> PermitId {
        let digest = self.derive("permit", member.as_str());
        PermitId(hexadecimal(&digest[..8]))
    }

    fn derive(&self, purpose: &str, subject: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(purpose.as_bytes());
        hasher.update([0]);
        hasher.update(subject.as_bytes());
        hasher.finalize().into()
    }
}
