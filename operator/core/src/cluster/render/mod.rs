//! The objects as they should be, and the comparison with those that are. A rendering is a function of the cluster's identity, the
//! member's own target and its role: it knows nothing of the world, so that what somebody else added never looks intended.

mod budget;
mod claim;
pub mod compare;
mod etcd_configuration;
mod pod;
pub mod quantity;
mod record;
mod service;
mod stateful_set;

pub use budget::disruption_budget;
pub use claim::claim;
pub use etcd_configuration::etcd_configuration;
pub use record::with_record;
pub use service::{client_service, peers_service};
pub use stateful_set::stateful_set;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::api;
use crate::cluster::target::Target;
use crate::names::{ClusterIdentity, hexadecimal};

/// What a member's objects are rendered from, besides its name and its role.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// Whose.
    pub cluster: &'a ClusterIdentity,
    /// What the member should run.
    pub target: &'a Target,
    /// The image that the gate is copied from.
    pub operator_image: &'a str,
    /// How much memory holds the data; a claim holds it if `None`.
    pub memory: Option<&'a str>,
}

/// The reference that makes an object go with its cluster. Claims bear none: volumes outlive the cluster.
pub(crate) fn owner(cluster: &ClusterIdentity) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/{}", api::GROUP, api::VERSION),
        kind: api::KIND.to_owned(),
        name: cluster.name.clone(),
        uid: cluster.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Metadata of an object of the cluster as a whole.
fn cluster_metadata(cluster: &ClusterIdentity, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(cluster.namespace.clone()),
        labels: Some(cluster.labels()),
        owner_references: Some(vec![owner(cluster)]),
        ..ObjectMeta::default()
    }
}

/// A digest of what was rendered, or of what it is rendered from; amounts count as amounts. On a live object it tells a change of ours
/// (the digest there is an old one) from a change by somebody else (the digest is ours, the content is not).
pub fn fingerprint(spec: &impl Serialize) -> String {
    let value = serde_json::to_value(spec).expect("what is rendered, and what from, is plain data");
    let digest = Sha256::digest(compare::normalised(&value).to_string());
    hexadecimal(&digest[..8])
}
