//! A member's volume. Never owned by the cluster object: deleting the cluster must not delete the data.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::cluster::target::Target;
use crate::cluster::world::{Origin, VolumeRequest};
use crate::names::{
    ANNOTATION_OLDEST_LINE, ANNOTATION_ORIGIN, ANNOTATION_STORAGE, ANNOTATION_TARGET, ANNOTATION_VERSION,
    CLUSTER_UID, ClusterIdentity, MemberName,
};

/// The claim of a member that does not exist yet. Its annotations are the member's first record: written before
/// anything else, so that a crash at any later moment finds whose volume it is.
pub fn claim(
    cluster: &ClusterIdentity,
    member: &MemberName,
    origin: &Origin,
    target: &Target,
    volume: &VolumeRequest,
) -> PersistentVolumeClaim {
    let annotations = [
        (CLUSTER_UID, cluster.uid.clone()),
        (ANNOTATION_ORIGIN, origin.to_annotation()),
        (ANNOTATION_VERSION, target.version.to_string()),
        (ANNOTATION_TARGET, target.to_annotation()),
        (ANNOTATION_STORAGE, volume.to_annotation()),
    ];
    let mut annotations: BTreeMap<String, String> =
        annotations.map(|(key, value)| (key.to_owned(), value)).into();
    if let Origin::First { .. } = origin {
        // Nothing ran before. Who is added has the history of the others.
        annotations.insert(ANNOTATION_OLDEST_LINE.to_owned(), target.version.line().to_string());
    }
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(member.claim()),
            namespace: Some(cluster.namespace.clone()),
            labels: Some(cluster.member_claim_labels(member)),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![volume.access_mode.as_str().to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(volume.size.clone()))].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: volume.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
