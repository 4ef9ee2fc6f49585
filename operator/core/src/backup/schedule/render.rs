//! The CronJob of an `EtcdBackupSchedule`, and the `EtcdBackup` of one of its Jobs. Never looks at a live one.

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};

use crate::api::{DeletionPolicy, EtcdBackup, EtcdBackupSchedule, EtcdBackupSpec, RetentionSpec};
use crate::backup::retention::Retention;
use crate::backup::task::Origin;
use crate::backup::work::{Asked, Work};
use crate::names::LABEL_BACKUP_SCHEDULE;

/// Jobs that succeeded are kept so long that those of a night without an operator become EtcdBackups in the morning.
const SUCCEEDED_KEPT: i32 = 12;
/// Jobs that failed, with their logs.
const FAILED_KEPT: i32 = 5;

/// What the object says of its work.
pub(super) fn asked(schedule: &EtcdBackupSchedule) -> Asked<'_> {
    let spec = &schedule.spec;
    Asked {
        store: spec.store.as_ref(),
        prove: spec.prove,
        user_secret: spec.user_secret.as_deref(),
        deadline_seconds: spec.deadline_seconds,
        resources: spec.resources.as_ref(),
    }
}

/// Whose its backups are, and which of them are kept.
pub(super) fn origin(schedule: &EtcdBackupSchedule) -> Origin {
    Origin {
        schedule: format!("{}/{}", schedule.namespace().unwrap_or_default(), schedule.name_any()),
        retention: schedule.spec.retention.as_ref().map(retention).unwrap_or_default(),
        time_zone: schedule.spec.time_zone.clone(),
    }
}

fn retention(spec: &RetentionSpec) -> Retention {
    // Destructured without `..`, so that a new rule cannot be forgotten here.
    let RetentionSpec { last, within_seconds, hourly, daily, weekly, monthly, yearly } = spec;
    Retention {
        last: *last,
        within: within_seconds.map(SignedDuration::from_secs),
        hourly: *hourly,
        daily: *daily,
        weekly: *weekly,
        monthly: *monthly,
        yearly: *yearly,
    }
}

/// The CronJob. It has the name of the object and goes with it; Jobs that run are ended then.
pub(super) fn cron_job(schedule: &EtcdBackupSchedule, work: &Work) -> CronJob {
    let name = schedule.name_any();
    let of_schedule = (LABEL_BACKUP_SCHEDULE.to_owned(), name.clone());
    let mut labels = work.labels();
    labels.extend([of_schedule.clone()]);
    let spec = &schedule.spec;
    CronJob {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: schedule.namespace(),
            labels: Some(labels.clone()),
            owner_references: schedule.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(CronJobSpec {
            schedule: spec.schedule.clone(),
            time_zone: Some(spec.time_zone.clone()),
            suspend: Some(spec.suspend),
            concurrency_policy: Some(spec.concurrency_policy.as_str().to_owned()),
            starting_deadline_seconds: Some(spec.starting_deadline_seconds),
            successful_jobs_history_limit: Some(SUCCEEDED_KEPT),
            failed_jobs_history_limit: Some(FAILED_KEPT),
            job_template: JobTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(work.annotations()),
                    ..ObjectMeta::default()
                }),
                spec: Some(work.job([of_schedule].into())),
            },
        }),
        status: None,
    }
}

/// The object that stands for a backup which the clock has started. It outlives the schedule, as the backup does.
pub(super) fn backup(schedule: &EtcdBackupSchedule, job: &str) -> EtcdBackup {
    let spec = &schedule.spec;
    let mut backup = EtcdBackup::new(
        job,
        EtcdBackupSpec {
            cluster: spec.cluster.clone(),
            store: spec.store.clone(),
            prove: spec.prove,
            user_secret: spec.user_secret.clone(),
            // Its retention deletes what it keeps no more.
            deletion_policy: DeletionPolicy::Retain,
            deadline_seconds: spec.deadline_seconds,
            resources: spec.resources.clone(),
        },
    );
    backup.metadata.namespace = schedule.namespace();
    backup.metadata.labels = Some([(LABEL_BACKUP_SCHEDULE.to_owned(), schedule.name_any())].into());
    backup
}
