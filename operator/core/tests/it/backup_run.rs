//! What is decided about an `EtcdBackup`: when its Job is started, and what is told of what became of it.

use std::path::Path;

use etcd_operator_core::api::{BackupPhase, EtcdBackup, EtcdBackupStatus, EtcdCluster};
use etcd_operator_core::backup::outcome::Outcome;
use etcd_operator_core::backup::run::observed::Observed;
use etcd_operator_core::backup::run::{Action, Course, Plan, plan, status};
use etcd_operator_core::names::LABEL_BACKUP_SCHEDULE;
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::check_golden;

pub(crate) const NOW: &str = "2026-11-30T13:40:00Z";

/// A cluster that has formed, with backups on a volume.
pub(crate) fn cluster() -> EtcdCluster {
    serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdCluster",
        "metadata": { "name": "example", "namespace": "test", "uid": "cluster-uid" },
        "spec": {
            "version": "3.6.16",
            "backup": { "store": { "volume": { "claimName": "etcd-backups", "folder": "prod" } } },
        },
        "status": { "formed": true, "clusterId": "cdf81819", "version": "3.6.16",
            "members": [{ "name": "example-aaaaa", "version": "3.6.16" }] },
    }))
    .expect("a cluster")
}

fn backup(spec: &Value) -> EtcdBackup {
    serde_json::from_value(json!({
        "apiVersion": "etcd.operators.rs/v1beta1", "kind": "EtcdBackup",
        "metadata": { "name": "now", "namespace": "test", "uid": "backup-uid", "generation": 1 },
        "spec": spec,
    }))
    .expect("a backup")
}

fn observed(spec: &Value) -> Observed {
    Observed {
        as_of: NOW.parse().expect("a moment"),
        operator_image: "registry.example.com/etcd-operator:v0.1.0".to_owned(),
        backup: backup(spec),
        cluster: Some(cluster()),
        job: None,
        pods: Vec::new(),
        deletion_job: None,
        deletion_pods: Vec::new(),
    }
}

pub(crate) fn plain() -> Observed {
    observed(&json!({ "cluster": "example" }))
}

/// The Job that the plan makes.
pub(crate) fn job(observed: &Observed) -> Job {
    match plan(observed).action {
        Some(Action::CreateJob(job)) => *job,
        other => panic!("no Job but {other:?}: {:?}", plan(observed).course),
    }
}

/// The same, once the Job is there, in this state.
pub(crate) fn with_job(mut observed: Observed, status: &Value) -> Observed {
    let mut job = job(&observed);
    job.status = serde_json::from_value(status.clone()).expect("a status");
    observed.job = Some(job);
    observed
}

pub(crate) fn pod(phase: &str, created: &str, said: Option<&str>) -> Pod {
    let terminated = said.map(|said| json!({ "exitCode": 1, "reason": "Error", "message": said }));
    serde_json::from_value(json!({
        "metadata": { "name": "now-abcde", "creationTimestamp": created },
        "status": { "phase": phase, "containerStatuses": [
            { "name": "backup", "image": "", "imageID": "", "ready": false, "restartCount": 0,
              "state": { "terminated": terminated } },
        ] },
    }))
    .expect("a pod")
}

pub(crate) fn taken() -> String {
    let hash = json!({ "revision": 40, "compactRevision": 1, "hash": 7 });
    json!({ "taken": {
        "manifest": {
            "name": "20261130t133500z-abcde", "clusterId": "cdf81819", "memberId": "1", "etcdVersion": "3.6.16",
            "askedForAt": "2026-11-30T13:35:00Z", "storedAt": "2026-11-30T13:36:00Z", "authentication": false,
            "data": hash, "writtenBy": "etcd-operator 0.1.0",
            "snapshot": { "storedBytes": 2_000_000, "storedSha256": "", "bytes": 20_000_000, "databaseSha256": "" },
        },
        "proof": { "name": "20261130t133500z-abcde", "provedAt": "2026-11-30T13:37:00Z", "etcdVersion": "3.6.16",
            "revision": 48, "keys": 5, "data": hash, "writtenBy": "etcd-operator 0.1.0" },
    } })
    .to_string()
}

pub(crate) fn complete() -> Value {
    json!({ "conditions": [{ "type": "Complete", "status": "True", "lastTransitionTime": "2026-11-30T13:38:00Z" }] })
}

/// A node is gone, and the pod on it never ends: Kubernetes says what is certain, and not yet that it is over.
fn certain(kind: &str) -> Value {
    json!({ "conditions": [{ "type": kind, "status": "True", "message": "Job was active longer than specified deadline",
        "lastTransitionTime": NOW }] })
}

fn failed() -> Value {
    json!({ "conditions": [{ "type": "Failed", "status": "True", "message": "Job has reached the backoff limit" }] })
}

/// Phase, reason of Complete, and its message.
fn told(observed: &Observed) -> (BackupPhase, String, String) {
    let status = status(observed, &plan(observed));
    let complete =
        status.conditions.iter().find(|condition| condition.type_ == "Complete").expect("it is there");
    (status.phase, complete.reason.clone(), complete.message.clone())
}

pub(crate) fn golden(name: &str, observed: &Observed) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render").join(name);
    check_golden(&path, &(serde_json::to_string_pretty(&job(observed)).expect("plain data") + "\n"));
}

#[test]
fn the_job_of_a_backup_of_five_lines_is_as_in_its_golden() {
    golden("backup-job.json", &plain());
}

#[test]
fn the_job_of_a_backup_with_every_setting_is_as_in_its_golden() {
    let mut observed = observed(&json!({
        "cluster": "example", "prove": false, "userSecret": "etcd-root", "deadlineSeconds": 600,
        "resources": { "limits": { "memory": "1Gi" } },
        "store": {
            "s3": { "bucket": "backups", "folder": "etcd/prod", "endpoint": "https://minio:9000", "region": "eu-central-1",
                "pathStyle": true, "certificateAuthority": { "name": "minio-ca" } },
            "credentialsSecret": "minio", "serviceAccountName": "backups", "encryptionSecret": "backup-key",
        },
    }));
    let spec = &mut observed.cluster.as_mut().expect("it is there").spec;
    spec.pod = serde_json::from_value(json!({
        "user": "Platform", "nodeSelector": { "pool": "etcd" }, "tolerations": [{ "key": "etcd", "operator": "Exists" }],
        "annotations": { "sidecar.istio.io/inject": "false" },
    }))
    .expect("settings");
    spec.image.repository = "mirror.example.com/etcd".to_owned();
    spec.image.tag = Some("3.6.16-r2".to_owned());
    spec.image.pull_secrets = vec![serde_json::from_value(json!({ "name": "mirror" })).expect("a Secret")];
    golden("backup-job-all-settings.json", &observed);
}

#[test]
fn nothing_is_started_before_all_is_there_and_what_lacks_is_said() {
    let mut no_cluster = plain();
    no_cluster.cluster = None;
    let mut forming = plain();
    forming.cluster.as_mut().expect("it is there").status = None;
    let mut no_store = plain();
    no_store.cluster.as_mut().expect("it is there").spec.backup = None;
    let wrong = observed(&json!({ "cluster": "example", "store": {} }));
    let outside = observed(
        &json!({ "cluster": "example", "store": { "volume": { "claimName": "c", "folder": "a/../.." } } }),
    );
    for (observed, reason) in [
        (no_cluster, "ClusterMissing"),
        (forming, "ClusterForming"),
        (no_store, "StoreMissing"),
        (wrong, "SpecInvalid"),
        (outside, "SpecInvalid"),
    ] {
        assert_eq!(plan(&observed).action, None);
        let (phase, said, message) = told(&observed);
        assert_eq!((phase, said.as_str()), (BackupPhase::Pending, reason), "{message}");
    }
}

#[test]
fn tools_are_those_of_the_highest_version_that_a_member_runs() {
    let mut observed = plain();
    let status = observed.cluster.as_mut().and_then(|cluster| cluster.status.as_mut()).expect("it is there");
    status.members.push(
        serde_json::from_value(json!({ "name": "example-bbbbb", "version": "3.7.3" })).expect("a member"),
    );
    // The tag is that of the version in the spec, which others still run.
    observed.cluster.as_mut().expect("it is there").spec.image.tag = Some("3.6.16-r2".to_owned());
    let pod = job(&observed).spec.and_then(|spec| spec.template.spec).expect("a pod");
    assert_eq!(pod.containers[0].image.as_deref(), Some("quay.io/coreos/etcd:v3.7.3"));
}

#[test]
fn somebody_elses_job_is_not_touched_and_nothing_is_believed_of_it() {
    let mut observed = with_job(plain(), &complete());
    observed.pods = vec![pod("Succeeded", NOW, Some(&taken()))];
    let owners =
        observed.job.as_mut().and_then(|job| job.metadata.owner_references.as_mut()).expect("owners");
    owners[0].uid = "another".to_owned();
    assert_eq!(plan(&observed).action, None);
    assert_eq!(told(&observed).1, "NameTaken");
}

#[test]
fn a_job_that_runs_is_told_of_and_one_that_tries_again_says_why() {
    let starting = with_job(plain(), &json!({}));
    assert_eq!(told(&starting).1, "Starting");
    let mut running = starting.clone();
    running.pods = vec![pod("Running", NOW, None)];
    assert_eq!((told(&running).0, told(&running).1.as_str()), (BackupPhase::Running, "Running"));
    let said = Outcome::failed("a snapshot needs a user with etcd's role `root`").to_text();
    running.pods.push(pod("Failed", NOW, Some(&said)));
    let (phase, reason, message) = told(&running);
    assert_eq!((phase, reason.as_str()), (BackupPhase::Running, "TryingAgain"));
    assert!(message.contains("role `root`"), "{message}");
}

#[test]
fn a_backup_is_complete_and_proved_only_by_its_pods_own_words() {
    let mut observed = with_job(plain(), &complete());
    assert_eq!((told(&observed).0, told(&observed).1.as_str()), (BackupPhase::Failed, "ResultLost"));
    observed.pods = vec![pod("Succeeded", NOW, Some("all is well"))];
    assert_eq!(told(&observed).1, "ResultLost");
    observed.pods = vec![pod("Succeeded", NOW, Some(&taken()))];
    let status = status(&observed, &plan(&observed));
    assert_eq!((status.phase, status.revision, status.keys), (BackupPhase::Succeeded, Some(48), Some(5)));
    assert_eq!(status.backup.as_deref(), Some("20261130t133500z-abcde"));
    assert_eq!(status.size.as_deref(), Some("19 MiB"));
    assert_eq!(status.store.as_deref(), Some("PersistentVolumeClaim etcd-backups, folder prod"));
    assert_eq!(status.ended_at.map(|time| time.0.to_string()).as_deref(), Some("2026-11-30T13:38:00Z"));
    let proved = status.conditions.iter().find(|condition| condition.type_ == "Proved").expect("it is there");
    assert_eq!((proved.status.as_str(), proved.reason.as_str()), ("True", "Restored"));
}

#[test]
fn one_whose_job_was_given_up_after_the_backup_was_stored_is_complete() {
    // The pod had told it, and was then found to be over its time.
    let mut observed = with_job(plain(), &failed());
    observed.pods = vec![pod("Failed", NOW, Some(&taken()))];
    assert_eq!(told(&observed).0, BackupPhase::Succeeded);
}

#[test]
fn a_pod_on_a_lost_node_keeps_nobody_from_knowing_how_it_ended() {
    let mut observed = with_job(plain(), &certain("SuccessCriteriaMet"));
    observed.pods = vec![pod("Running", NOW, None), pod("Succeeded", NOW, Some(&taken()))];
    assert_eq!(told(&observed).0, BackupPhase::Succeeded);
    let mut observed = with_job(plain(), &certain("FailureTarget"));
    observed.pods = vec![pod("Running", NOW, None)];
    assert_eq!(told(&observed).0, BackupPhase::Running, "it may still say that it has taken it");
    observed.as_of += SignedDuration::from_mins(3);
    assert_eq!(told(&observed).0, BackupPhase::Failed);
}

#[test]
fn where_a_backup_is_follows_from_its_job_whatever_the_specs_say_by_now() {
    let mut observed = with_job(plain(), &complete());
    observed.pods = vec![pod("Succeeded", NOW, Some(&taken()))];
    observed.cluster.as_mut().expect("it is there").spec.backup = None;
    let status = status(&observed, &plan(&observed));
    assert_eq!(status.store.as_deref(), Some("PersistentVolumeClaim etcd-backups, folder prod"));
}

#[test]
fn one_that_was_given_up_says_the_last_attempts_words() {
    let mut observed = with_job(plain(), &failed());
    let pods = [
        ("2026-11-30T13:36:00Z", "first"),
        ("2026-11-30T13:39:00Z", "last"),
        ("2026-11-30T13:37:00Z", "second"),
    ];
    observed.pods =
        pods.map(|(created, said)| pod("Failed", created, Some(&Outcome::failed(said).to_text()))).into();
    let (phase, reason, message) = told(&observed);
    assert_eq!((phase, reason.as_str()), (BackupPhase::Failed, "AttemptsFailed"));
    assert_eq!(message, "last (Job has reached the backoff limit)");
    observed.pods = vec![pod("Failed", NOW, None)];
    assert!(told(&observed).2.contains("its pod failed"), "{}", told(&observed).2);
}

#[test]
fn one_that_is_over_stays_as_it_was_whatever_becomes_of_its_job() {
    let mut over = plain();
    over.backup.status = Some(EtcdBackupStatus {
        phase: BackupPhase::Succeeded,
        revision: Some(9),
        ..EtcdBackupStatus::default()
    });
    over.cluster = None;
    assert_eq!(plan(&over), Plan { action: None, course: Course::Over, store: None, image: None, run: None });
    assert_eq!(Some(status(&over, &plan(&over))), over.backup.status);
}

#[test]
fn a_job_that_somebody_deleted_is_made_again_unless_the_clock_had_made_it() {
    let mut lost = plain();
    lost.backup.status =
        Some(EtcdBackupStatus { phase: BackupPhase::Running, ..EtcdBackupStatus::default() });
    assert!(plan(&lost).action.is_some());
    let labels = [(LABEL_BACKUP_SCHEDULE.to_owned(), "nightly".to_owned())];
    lost.backup.metadata.labels = Some(labels.into());
    assert_eq!(plan(&lost).action, None);
    assert_eq!(told(&lost).1, "ResultLost");
}

#[test]
fn what_the_server_refuses_is_quoted() {
    let observed = plain();
    let refused = plan(&observed).refused("exceeded quota: count/jobs.batch");
    let status = status(&observed, &refused);
    assert_eq!(status.phase, BackupPhase::Pending);
    assert_eq!(status.conditions[0].message, "exceeded quota: count/jobs.batch");
}
