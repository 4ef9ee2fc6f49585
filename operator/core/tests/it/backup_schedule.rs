//! What is decided about an `EtcdBackupSchedule`: its CronJob, and the objects of the backups that this has taken.

use std::path::Path;

use etcd_operator_core::api::{BackupPhase, EtcdBackup, EtcdBackupSchedule, EtcdBackupStatus};
use etcd_operator_core::backup::schedule::observed::Observed;
use etcd_operator_core::backup::schedule::{Action, plan, status};
use etcd_operator_core::names::LABEL_BACKUP_SCHEDULE;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use super::backup_run::cluster;
use super::check_golden;

fn schedule(more: &Value) -> EtcdBackupSchedule {
    let mut spec = json!({ "cluster": "example", "schedule": "17 * * * *" });
    for (field, value) in more.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdBackupSchedule",
        "metadata": { "name": "hourly", "namespace": "test", "uid": "schedule-uid", "generation": 1 },
        "spec": spec,
    }))
    .expect("a schedule")
}

fn observed(more: &Value) -> Observed {
    Observed {
        as_of: "2026-11-30T13:40:00Z".parse().expect("a moment"),
        operator_image: "registry.example.com/etcd-operator:v0.1.0".to_owned(),
        schedule: schedule(more),
        cluster: Some(cluster()),
        cron_job: None,
        jobs: Vec::new(),
        backups: Vec::new(),
    }
}

/// The CronJob that the plan makes.
fn cron_job(observed: &Observed) -> CronJob {
    match plan(observed).actions.into_iter().next() {
        Some(Action::CreateCronJob(cron_job)) => *cron_job,
        other => panic!("no CronJob: {other:?}"),
    }
}

/// The same, once the CronJob is there.
fn running(more: &Value) -> Observed {
    let mut observed = observed(more);
    let mut live = cron_job(&observed);
    live.metadata.uid = Some("cron-uid".to_owned());
    live.metadata.resource_version = Some("7".to_owned());
    observed.cron_job = Some(live);
    observed
}

fn job(name: &str) -> Job {
    serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { LABEL_BACKUP_SCHEDULE: "hourly" }, "ownerReferences": [
            { "apiVersion": "batch/v1", "kind": "CronJob", "name": "hourly", "uid": "cron-uid", "controller": true },
        ] },
    }))
    .expect("a Job")
}

/// The object of a backup that is over.
fn backup(name: &str, minute: u32, phase: BackupPhase, deleted: &[&str]) -> EtcdBackup {
    let mut backup: EtcdBackup = serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdBackup",
        "metadata": { "name": name, "namespace": "test", "uid": format!("{name}-uid"),
            "creationTimestamp": format!("2026-11-30T13:{minute:02}:00Z"), "labels": { LABEL_BACKUP_SCHEDULE: "hourly" } },
        "spec": { "cluster": "example" },
    }))
    .expect("a backup");
    let failed: Condition = serde_json::from_value(json!({
        "type": "Failed", "status": "True", "reason": "AttemptsFailed", "message": "the store is full",
        "lastTransitionTime": "2026-11-30T13:00:00Z",
    }))
    .expect("a condition");
    backup.status = Some(EtcdBackupStatus {
        phase,
        cluster_id: Some("cdf81819".to_owned()),
        backup: (phase == BackupPhase::Succeeded).then(|| format!("stored-{name}")),
        deleted: deleted.iter().map(|name| format!("stored-{name}")).collect(),
        conditions: vec![failed],
        ..EtcdBackupStatus::default()
    });
    backup
}

/// What is done, in short.
fn done(observed: &Observed) -> Vec<String> {
    let told = |action: Action| match action {
        Action::CreateCronJob(_) => "create the CronJob".to_owned(),
        Action::SetCronJob { fields, .. } => format!("set {}", fields.join(" ")),
        Action::CreateBackup(backup) => format!("create {}", backup.metadata.name.unwrap_or_default()),
        Action::DeleteBackup { name, uid: _ } => format!("delete {name}"),
    };
    plan(observed).actions.into_iter().map(told).collect()
}

fn ready(observed: &Observed) -> (String, String) {
    let status = status(observed, &plan(observed));
    (status.conditions[0].status.clone(), status.conditions[0].reason.clone())
}

#[test]
fn the_cron_job_is_as_in_its_golden() {
    let every = json!({
        "timeZone": "Europe/Berlin", "concurrencyPolicy": "Replace", "startingDeadlineSeconds": 600,
        "retention": { "last": 3, "withinSeconds": 86400, "hourly": 4, "daily": 5, "weekly": 6, "monthly": 7, "yearly": 8 },
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render/backup-cron-job.json");
    check_golden(
        &path,
        &(serde_json::to_string_pretty(&cron_job(&observed(&every))).expect("plain data") + "\n"),
    );
}

#[test]
fn a_cron_job_that_is_as_it_should_be_is_left_alone_and_one_that_is_not_is_put_right() {
    let mut observed = running(&json!({}));
    assert_eq!((done(&observed), ready(&observed)), (vec![], ("True".into(), "Scheduled".into())));
    let spec = observed.cron_job.as_mut().and_then(|live| live.spec.as_mut()).expect("a spec");
    spec.suspend = Some(true);
    assert_eq!(done(&observed), ["set /spec/suspend"]);
    let newer = observed.cluster.as_mut().and_then(|cluster| cluster.status.as_mut()).expect("a status");
    newer.version = Some("3.7.3".to_owned());
    newer.members.clear();
    assert_eq!(
        done(&observed),
        ["set /spec/jobTemplate/spec/template/spec/containers/0/image /spec/suspend"]
    );
}

#[test]
fn somebody_elses_cron_job_is_left_alone_and_its_jobs_are_no_backups() {
    let mut observed = running(&json!({}));
    observed.jobs = vec![job("hourly-1")];
    let live = observed.cron_job.as_mut().expect("it is there");
    live.metadata.owner_references = None;
    live.metadata.uid = Some("another".to_owned());
    assert_eq!((done(&observed), ready(&observed)), (vec![], ("False".into(), "NameTaken".into())));
}

#[test]
fn each_job_becomes_an_object_once_and_not_again_when_somebody_has_deleted_that() {
    let mut observed = running(&json!({ "prove": false }));
    observed.jobs = vec![job("hourly-1"), job("hourly-2")];
    observed.backups = vec![backup("hourly-1", 1, BackupPhase::Succeeded, &[])];
    assert_eq!(done(&observed), ["create hourly-2"]);
    let Action::CreateBackup(made) = plan(&observed).actions.remove(0) else { panic!("a backup") };
    assert_eq!(
        made.metadata.labels.and_then(|labels| labels.get(LABEL_BACKUP_SCHEDULE).cloned()).as_deref(),
        Some("hourly")
    );
    assert!(!made.spec.prove && made.metadata.owner_references.is_none());

    observed.schedule.status = Some(status(&observed, &plan(&observed)));
    observed.backups.clear();
    assert_eq!(done(&observed), ["create hourly-2"], "the first was known, and is deleted now");
    observed.jobs.clear();
    assert_eq!(
        status(&observed, &plan(&observed)).recorded_jobs,
        Vec::<String>::new(),
        "nothing is kept of Jobs that are gone"
    );
}

#[test]
fn a_job_with_a_name_that_no_object_may_have_is_passed_over() {
    let mut observed = running(&json!({}));
    observed.jobs = vec![job("pre.upgrade"), job("-x"), job(&"x".repeat(64))];
    assert_eq!(done(&observed), Vec::<String>::new());
}

#[test]
fn the_object_of_a_backup_that_a_later_one_has_deleted_goes_and_no_other_one() {
    let mut observed = running(&json!({}));
    let mut of_another_cluster = backup("c", 1, BackupPhase::Succeeded, &[]);
    of_another_cluster.status.as_mut().expect("a status").cluster_id = Some("77".to_owned());
    observed.backups = vec![
        backup("a", 1, BackupPhase::Succeeded, &[]),
        backup("b", 2, BackupPhase::Succeeded, &[]),
        of_another_cluster,
        backup("d", 3, BackupPhase::Succeeded, &["a", "c"]),
    ];
    assert_eq!(done(&observed), ["delete a"]);
}

#[test]
fn the_objects_of_failed_backups_do_not_pile_up_and_the_last_failure_is_said() {
    let mut observed = running(&json!({}));
    observed.backups =
        (1..=8).map(|minute| backup(&format!("f{minute}"), minute, BackupPhase::Failed, &[])).collect();
    assert_eq!(done(&observed), ["delete f3", "delete f2", "delete f1"]);
    let told = status(&observed, &plan(&observed));
    assert_eq!(told.conditions[0].message, "f8 failed: the store is full");
    observed.backups.push(backup("g", 9, BackupPhase::Succeeded, &[]));
    assert_eq!(ready(&observed).1, "Scheduled");
}

#[test]
fn a_schedule_whose_cluster_is_gone_says_so_and_leaves_its_cron_job() {
    let mut observed = running(&json!({}));
    observed.cluster = None;
    assert_eq!((done(&observed), ready(&observed).1.as_str()), (vec![], "ClusterMissing"));
    observed.cron_job = None;
    assert_eq!(done(&observed), Vec::<String>::new());
}

#[test]
fn a_suspended_schedule_says_so_and_suspends_its_cron_job() {
    let observed = running(&json!({ "suspend": true }));
    assert_eq!(observed.cron_job.as_ref().and_then(|live| live.spec.as_ref()?.suspend), Some(true));
    assert_eq!(ready(&observed), ("False".into(), "Suspended".into()));
}
