//! What to do for claims and volumes. Pure: what was seen goes in, steps come out; a step done twice does no harm.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;

use super::PROVISIONER;

/// Set by Kubernetes on a claim that an external provisioner is to serve, once a pod that uses it has been given a node
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#volume-kubernetes-io-storage-provisioner>).
pub(super) const WANTED_FROM: &str = "volume.kubernetes.io/storage-provisioner";
/// Says whose a volume is.
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const STORAGE: &str = "storage";

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Make a directory and a volume for this claim.
    Provision(Arc<PersistentVolumeClaim>),
    /// Write down that this volume is as big as its claim asks.
    GrowVolume { volume: String, size: Quantity },
    /// Tell the claim how big its volume is.
    TellClaim { namespace: String, claim: String, size: Quantity },
    /// Remove the directory, then the volume.
    Delete { volume: String, uid: Option<String> },
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Provision(claim) => write!(formatter, "provisioning for {}", claim.name_any()),
            Step::GrowVolume { volume, size } => write!(formatter, "growing {volume} to {}", size.0),
            Step::TellClaim { claim, size, .. } => {
                write!(formatter, "telling {claim} that it has {}", size.0)
            }
            Step::Delete { volume, .. } => write!(formatter, "deleting {volume}"),
        }
    }
}

/// Everything that there is to do.
pub(super) fn plan(claims: &[Arc<PersistentVolumeClaim>], volumes: &[Arc<PersistentVolume>]) -> Vec<Step> {
    let ours: BTreeMap<String, &Arc<PersistentVolume>> = volumes
        .iter()
        .filter(|volume| volume.annotations().get(PROVISIONED_BY).is_some_and(|by| by == PROVISIONER))
        .map(|volume| (volume.name_any(), volume))
        .collect();
    let of_claims = claims.iter().filter_map(|claim| for_claim(claim, &ours));
    let of_volumes = ours.values().filter_map(|volume| delete(volume));
    of_claims.chain(of_volumes).collect()
}

/// The name of the volume that is made for a claim.
pub(super) fn volume_name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.metadata.uid.as_deref().unwrap_or_default())
}

/// What a claim asks for.
pub(super) fn requested(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get(STORAGE)
}

fn for_claim(
    claim: &Arc<PersistentVolumeClaim>,
    ours: &BTreeMap<String, &Arc<PersistentVolume>>,
) -> Option<Step> {
    let bound_to = claim.spec.as_ref()?.volume_name.as_deref().filter(|name| !name.is_empty());
    match bound_to {
        Some(volume) => grow(claim, ours.get(volume)?),
        None => {
            let wanted = claim.annotations().get(WANTED_FROM).is_some_and(|from| from == PROVISIONER);
            let ending = claim.metadata.deletion_timestamp.is_some();
            let made = ours.contains_key(&volume_name(claim));
            (wanted && !ending && !made).then(|| Step::Provision(claim.clone()))
        }
    }
}

/// The API server lets a claim only grow, and writes equal amounts alike, so another text is a bigger size.
fn grow(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Step> {
    let wanted = requested(claim)?;
    let has = volume.spec.as_ref()?.capacity.as_ref()?.get(STORAGE)?;
    if has != wanted {
        return Some(Step::GrowVolume { volume: volume.name_any(), size: wanted.clone() });
    }
    // A claim that is not bound yet is told by whoever binds it.
    let status = claim.status.as_ref().filter(|status| status.phase.as_deref() == Some("Bound"))?;
    let told = status.capacity.as_ref()?.get(STORAGE)?;
    let namespace = claim.namespace().unwrap_or_default();
    (told != has).then(|| Step::TellClaim { namespace, claim: claim.name_any(), size: has.clone() })
}

fn delete(volume: &PersistentVolume) -> Option<Step> {
    let released = volume.status.as_ref()?.phase.as_deref() == Some("Released");
    let policy = volume.spec.as_ref()?.persistent_volume_reclaim_policy.as_deref();
    let ending = volume.metadata.deletion_timestamp.is_some();
    let uid = volume.metadata.uid.clone();
    (released && !ending && policy == Some("Delete")).then(|| Step::Delete { volume: volume.name_any(), uid })
}
