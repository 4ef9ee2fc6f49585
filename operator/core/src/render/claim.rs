//! A member's volume. Never owned by the cluster object: deleting the cluster must not delete the data.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Common;
use crate::names::{ANNOTATION_CLUSTER_UID, ANNOTATION_ORIGIN, ANNOTATION_VERSION, MemberName};
use crate::world::Origin;

/// The claim of a member that does not exist yet. Its annotations are the member's first record: written before
/// anything else, so that a crash at any later moment finds whose volume it is.
pub fn claim(common: &Common<'_>, member: &MemberName, origin: &Origin) -> PersistentVolumeClaim {
    let desired = common.desired;
    let annotations = [
        (ANNOTATION_CLUSTER_UID, desired.cluster.uid.clone()),
        (ANNOTATION_ORIGIN, origin.to_annotation()),
        (ANNOTATION_VERSION, common.version.to_string()),
    ];
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(member.claim()),
            namespace: Some(desired.cluster.namespace.clone()),
            labels: Some(desired.cluster.member_labels(member)),
            annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value)).into()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), desired.storage_size.clone())].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: desired.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
