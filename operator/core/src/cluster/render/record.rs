//! A member's first record: on its claim, or on its StatefulSet where its data is in memory. Written when the object is made, so that
//! a crash at any later moment finds whose it is. Never compared with a live object.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;

use crate::cluster::target::Target;
use crate::cluster::world::{Origin, VolumeRequest};
use crate::names::{
    ANNOTATION_OLDEST_LINE, ANNOTATION_ORIGIN, ANNOTATION_RECORDED_TARGET, ANNOTATION_STORAGE,
    ANNOTATION_VERSION, CLUSTER_UID, ClusterIdentity,
};

/// The annotations of a first record. The target's name depends on the object.
pub(super) fn annotations(
    cluster: &ClusterIdentity,
    origin: &Origin,
    (target_key, target): (&str, &Target),
    volume: &VolumeRequest,
) -> BTreeMap<String, String> {
    let mut annotations: BTreeMap<String, String> = [
        (CLUSTER_UID, cluster.uid.clone()),
        (ANNOTATION_ORIGIN, origin.to_annotation()),
        (ANNOTATION_VERSION, target.version.to_string()),
        (target_key, target.to_annotation()),
        (ANNOTATION_STORAGE, volume.to_annotation()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Origin::First { .. } = origin {
        // Nothing ran before. Who is added has the history of the others.
        annotations.insert(ANNOTATION_OLDEST_LINE.to_owned(), target.version.line().to_string());
    }
    annotations
}

/// The StatefulSet of a member in memory that does not exist yet, with the member's first record.
pub fn with_record(
    stateful_set: StatefulSet,
    cluster: &ClusterIdentity,
    origin: &Origin,
    target: &Target,
    volume: &VolumeRequest,
) -> StatefulSet {
    let mut recorded = stateful_set;
    let record = annotations(cluster, origin, (ANNOTATION_RECORDED_TARGET, target), volume);
    recorded.metadata.annotations.get_or_insert_default().extend(record);
    recorded
}
