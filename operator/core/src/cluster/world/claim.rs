//! What the annotations of a claim, or of a StatefulSet, record of its member. They may have been changed by anybody, so nothing here fails:
//! what cannot be read counts as the safer of the things that it could have been.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::identity;
use super::keeper::{Keeper, memory_of_template};
use crate::api::{AccessMode, StorageMedium};
use crate::cluster::desired::{EtcdVersion, Line};
use crate::cluster::observed::IssuedPermit;
use crate::cluster::render::quantity;
use crate::cluster::target::Target;
use crate::names::{
    ANNOTATION_FORMED, ANNOTATION_LOG_LINE, ANNOTATION_MEMBER_ID, ANNOTATION_OLDEST_LINE, ANNOTATION_ORIGIN,
    ANNOTATION_PERMIT_ISSUED, ANNOTATION_PREVIOUS_TARGET, ANNOTATION_SET_ASIDE, ANNOTATION_STORAGE,
    ANNOTATION_VERSION, CLUSTER_UID, ClusterId, ClusterIdentity, MemberId, Naming,
};

/// How a member came to be; on its claim from the claim's first moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Origin {
    /// One of the first members. Repeats the record in the status, so that it survives that.
    First {
        /// The attempt.
        attempt: i64,
        /// etcd's token.
        token: String,
        /// All first members of the attempt.
        members: Vec<String>,
        /// A digest of what says which backup its data comes from, if from any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restore: Option<String>,
        /// How the cluster's names are formed.
        #[serde(default)]
        naming: Naming,
    },
    /// Added to a cluster that had formed.
    Added {
        /// etcd's token.
        token: String,
        /// How the cluster's names are formed.
        #[serde(default)]
        naming: Naming,
    },
}

impl Origin {
    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).expect("an origin is plain data")
    }

    /// etcd's token.
    pub fn token(&self) -> &str {
        match self {
            Origin::First { token, .. } | Origin::Added { token, .. } => token,
        }
    }

    /// How the cluster's names were formed when the member came to be.
    pub fn naming(&self) -> Naming {
        match self {
            Origin::First { naming, .. } | Origin::Added { naming, .. } => *naming,
        }
    }

    /// The attempt to form the cluster that it belongs to, if to any.
    pub fn attempt(&self) -> Option<i64> {
        match self {
            Origin::First { attempt, .. } => Some(*attempt),
            Origin::Added { .. } => None,
        }
    }
}

/// Whether a permit was issued for an incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// None was.
    Never,
    /// This one.
    To(IssuedPermit),
    /// Something is recorded that cannot be read: counts as issued to a pod that is gone.
    Unreadable,
}

impl Issued {
    /// The pod that it was issued to, if that is known.
    pub fn pod_uid(&self) -> Option<&str> {
        match self {
            Issued::To(permit) => Some(permit.pod_uid.as_str()),
            Issued::Never | Issued::Unreadable => None,
        }
    }
}

/// A volume as the spec asked for it when its claim was made. The claim itself does not tell: the API server writes the default
/// class into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRequest {
    /// How much it holds.
    pub size: String,
    /// The StorageClass; the cluster's default class if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// Who may mount it.
    #[serde(default, skip_serializing_if = "AccessMode::is_default")]
    pub access_mode: AccessMode,
    /// What it is kept in.
    #[serde(default, skip_serializing_if = "StorageMedium::is_default")]
    pub medium: StorageMedium,
}

impl VolumeRequest {
    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).expect("a request is plain data")
    }

    /// Whether two requests ask for the same, amounts compared as amounts.
    pub fn is_same_as(&self, other: &VolumeRequest) -> bool {
        quantity::same(&self.size, &other.size) && self.is_of_same_kind_as(other)
    }

    /// Whether two requests differ at most in what a volume can change: what is of another kind never becomes the other. The size of
    /// memory is fixed with its pod.
    pub fn is_of_same_kind_as(&self, other: &VolumeRequest) -> bool {
        let is_size_fixed = self.medium == StorageMedium::Memory;
        self.medium == other.medium
            && self.storage_class_name == other.storage_class_name
            && self.access_mode == other.access_mode
            && (!is_size_fixed || quantity::same(&self.size, &other.size))
    }

    /// What a StatefulSet records of the memory that its member's data is in, or else shows; none if it shows a claim.
    pub(super) fn of_stateful_set(live: &StatefulSet) -> Option<VolumeRequest> {
        let recorded = recorded_volume(&live.metadata);
        recorded.filter(|volume| volume.medium == StorageMedium::Memory).or_else(|| {
            let limit = memory_of_template(live)?.size_limit.as_ref();
            Some(VolumeRequest {
                size: limit.map(|limit| limit.0.clone()).unwrap_or_default(),
                storage_class_name: None,
                access_mode: AccessMode::default(),
                medium: StorageMedium::Memory,
            })
        })
    }

    /// What a claim shows that bears no such record.
    fn of_spec(claim: &PersistentVolumeClaim) -> Option<VolumeRequest> {
        let spec = claim.spec.as_ref()?;
        let size = spec.resources.as_ref()?.requests.as_ref()?.get("storage")?.0.clone();
        let modes = spec.access_modes.as_deref().unwrap_or_default();
        let is_of_one_pod = modes.iter().any(|mode| mode == AccessMode::ReadWriteOncePod.as_str());
        let access_mode =
            if is_of_one_pod { AccessMode::ReadWriteOncePod } else { AccessMode::ReadWriteOnce };
        let (storage_class_name, medium) = (spec.storage_class_name.clone(), StorageMedium::Disk);
        Some(VolumeRequest { size, storage_class_name, access_mode, medium })
    }
}

/// What the annotations of a claim, or of the StatefulSet of a member in memory, say.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimFacts {
    /// The cluster object that the claim was made for.
    pub cluster_uid: Option<String>,
    /// How its member came to be.
    pub origin: Option<Origin>,
    /// The permit.
    pub issued: Issued,
    /// The cluster's ID, once formed.
    pub formed: Option<ClusterId>,
    /// The member's ID, once etcd answered from the volume.
    pub member_id: Option<MemberId>,
    /// The version that the member runs.
    pub version: Option<EtcdVersion>,
    /// What the member should run.
    pub target: Option<Target>,
    /// The oldest minor that the cluster ever ran, if that is known.
    pub oldest_line: Option<Line>,
    /// The oldest minor of which entries may be in the member's log since its last snapshot, if that is known.
    pub log_line: Option<Line>,
    /// A digest of what the member ran well before that.
    pub previous_target: Option<String>,
    /// The volume as it was asked for; what the claim shows if that is not recorded.
    pub volume: Option<VolumeRequest>,
    /// Whether that is recorded.
    pub is_volume_recorded: bool,
    /// Whether the volume is kept for a person to look at.
    pub set_aside: bool,
}

fn recorded_volume(metadata: &ObjectMeta) -> Option<VolumeRequest> {
    let text = metadata.annotations.as_ref()?.get(ANNOTATION_STORAGE)?;
    serde_json::from_str(text).ok()
}

impl ClaimFacts {
    /// Reads the annotations.
    pub fn read(keeper: Keeper<'_>) -> ClaimFacts {
        let metadata = keeper.metadata();
        let text = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
        let (cluster_uid, shown) = match keeper {
            Keeper::Claim(claim) => (text(CLUSTER_UID), VolumeRequest::of_spec(claim)),
            // Who owns it is kept by the API server.
            Keeper::StatefulSet(live) => (
                identity::named_uid(&live.metadata).or_else(|| text(CLUSTER_UID)),
                VolumeRequest::of_stateful_set(live),
            ),
        };
        let recorded = recorded_volume(metadata);
        ClaimFacts {
            cluster_uid: cluster_uid.map(str::to_owned),
            origin: text(ANNOTATION_ORIGIN).and_then(|json| serde_json::from_str(json).ok()),
            issued: match text(ANNOTATION_PERMIT_ISSUED).map(serde_json::from_str) {
                None => Issued::Never,
                Some(Ok(permit)) => Issued::To(permit),
                Some(Err(_)) => Issued::Unreadable,
            },
            formed: text(ANNOTATION_FORMED).and_then(ClusterId::parse),
            member_id: text(ANNOTATION_MEMBER_ID).and_then(MemberId::parse),
            version: text(ANNOTATION_VERSION).and_then(EtcdVersion::parse),
            target: text(keeper.target_key()).and_then(|json| serde_json::from_str(json).ok()),
            oldest_line: text(ANNOTATION_OLDEST_LINE).and_then(Line::parse),
            log_line: text(ANNOTATION_LOG_LINE).and_then(Line::parse),
            previous_target: text(ANNOTATION_PREVIOUS_TARGET).map(str::to_owned),
            is_volume_recorded: recorded.is_some(),
            volume: recorded.or(shown),
            set_aside: text(ANNOTATION_SET_ASIDE).is_some(),
        }
    }

    /// Whether the volume may hold data: a permit was issued for it, or a member was seen to run from it.
    pub fn may_hold_data(&self) -> bool {
        !self.is_unused() || self.formed.is_some()
    }

    /// Whether nothing can have been written to the volume: no permit was issued for it, and no member was seen to run from it.
    pub fn is_unused(&self) -> bool {
        self.issued == Issued::Never && self.member_id.is_none()
    }

    /// Whether the claim was made for this cluster object, and not for an earlier one of the same name.
    pub fn is_of(&self, cluster: &ClusterIdentity) -> bool {
        self.cluster_uid.as_deref() == Some(cluster.uid.as_str())
    }
}
