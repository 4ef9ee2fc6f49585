//! The Job of an `EtcdBackup`. Never looks at one.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::api::EtcdBackup;
use crate::backup::work::{Asked, Work};
use crate::names::LABEL_BACKUP;

/// What the object says of its work.
pub(super) fn asked(backup: &EtcdBackup) -> Asked<'_> {
    let spec = &backup.spec;
    Asked {
        store: spec.store.as_ref(),
        prove: spec.prove,
        user_secret: spec.user_secret.as_deref(),
        deadline_seconds: spec.deadline_seconds,
        resources: spec.resources.as_ref(),
    }
}

/// The name of the Job that deletes the backup. No name of an object makes one that is too long for a label.
pub fn deletion_name(backup: &EtcdBackup) -> String {
    format!("delete-{}", backup.uid().unwrap_or_default())
}

/// The Job that deletes the backup. The object waits for it, and it goes with the object.
pub(super) fn deletion_job(backup: &EtcdBackup, work: &Work) -> Job {
    let owner = backup.controller_owner_ref(&()).map(|owner| OwnerReference {
        // Who deletes in the foreground would have it deleted before it could do anything.
        block_owner_deletion: None,
        ..owner
    });
    let job = job(backup, work);
    let metadata = ObjectMeta {
        name: Some(deletion_name(backup)),
        owner_references: owner.map(|owner| vec![owner]),
        ..job.metadata
    };
    Job { metadata, ..job }
}

/// The Job. It has the name of the object and goes with it.
pub(super) fn job(backup: &EtcdBackup, work: &Work) -> Job {
    let name = backup.name_any();
    let of_backup = (LABEL_BACKUP.to_owned(), name.clone());
    let mut labels = work.labels();
    labels.extend([of_backup.clone()]);
    Job {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: backup.namespace(),
            labels: Some(labels),
            annotations: Some(work.annotations()),
            owner_references: backup.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(work.job([of_backup].into())),
        status: None,
    }
}
