//! A member's volume. Never owned by the cluster object: deleting the cluster must not delete the data.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::record;
use crate::cluster::target::Target;
use crate::cluster::world::{Origin, VolumeRequest};
use crate::names::{ANNOTATION_TARGET, ClusterIdentity, MemberName};

/// The claim of a member that does not exist yet, with the member's first record.
pub fn claim(
    cluster: &ClusterIdentity,
    member: &MemberName,
    origin: &Origin,
    target: &Target,
    volume: &VolumeRequest,
) -> PersistentVolumeClaim {
    let annotations = record::annotations(cluster, origin, (ANNOTATION_TARGET, target), volume);
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
