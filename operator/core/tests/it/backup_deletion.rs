//! What is decided about an `EtcdBackup` that is to go and its backup with it: nothing is deleted whose policy does not say so, and no object
//! goes before its backup.

use etcd_operator_core::api::{BackupPhase, DeletionPolicy, EtcdBackup};
use etcd_operator_core::backup::outcome::Outcome;
use etcd_operator_core::backup::run::observed::Observed;
use etcd_operator_core::backup::run::{Action, deletion_name, event, plan, status};
use etcd_operator_core::cluster::plan::PatchOperation;
use etcd_operator_core::names::LABEL_BACKUP_SCHEDULE;
use jiff::SignedDuration;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::backup_run::{NOW, complete, golden, job, plain, pod, taken, with_job};

/// One whose policy is this.
fn with_policy(policy: DeletionPolicy) -> Observed {
    let mut observed = plain();
    observed.backup.spec.deletion_policy = policy;
    observed.backup.metadata.resource_version = Some("7".to_owned());
    observed
}

/// Does to what was seen what the patch says.
fn patched(backup: &mut EtcdBackup, operations: &[PatchOperation]) {
    let [PatchOperation::Test { path: tested, value: version }, PatchOperation::Add { path, value }] =
        operations
    else {
        panic!("{operations:?}")
    };
    assert_eq!((tested.as_str(), path.as_str()), ("/metadata/resourceVersion", "/metadata/finalizers"));
    assert_eq!(version, &json!(backup.metadata.resource_version));
    backup.metadata.finalizers = serde_json::from_value(value.clone()).expect("a list of names");
}

/// Writes the status that follows, and carries the plan's action out; its word.
fn step(observed: &mut Observed) -> Option<&'static str> {
    let plan = plan(observed);
    match &plan.action {
        Some(Action::CreateJob(job)) => {
            let mut job = job.as_ref().clone();
            job.metadata.uid = Some("job-uid".to_owned());
            if job.name_any() == deletion_name(&observed.backup) {
                observed.deletion_job = Some(job);
            } else {
                observed.job = Some(job);
            }
        }
        Some(Action::DeleteJob { name, .. }) if *name == deletion_name(&observed.backup) => {
            observed.deletion_job = None;
        }
        Some(Action::DeleteJob { .. }) => observed.job = None,
        Some(Action::Keep(operations) | Action::LetGo(operations)) => {
            patched(&mut observed.backup, operations)
        }
        None => {}
    }
    observed.backup.status = Some(status(observed, &plan));
    plan.action.map(|action| action.kind())
}

/// One that was taken, in the store, with its object about to go.
fn to_go() -> Observed {
    let mut observed = with_policy(DeletionPolicy::Delete);
    step(&mut observed);
    step(&mut observed);
    observed.job.as_mut().expect("it was made").status =
        serde_json::from_value(complete()).expect("a status");
    observed.pods = vec![pod("Succeeded", NOW, Some(&taken()))];
    step(&mut observed);
    assert_eq!(phase(&observed), BackupPhase::Succeeded);
    observed.backup.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).expect("a moment");
    observed
}

fn phase(observed: &Observed) -> BackupPhase {
    observed.backup.status.as_ref().expect("it was written").phase
}

fn is_held(observed: &Observed) -> bool {
    !observed.backup.finalizers().is_empty()
}

fn deletion_ended(observed: &mut Observed, status: &Value) {
    let job = observed.deletion_job.as_mut().expect("it was made");
    job.status = serde_json::from_value(status.clone()).expect("a status");
}

fn said(observed: &Observed) -> (String, String) {
    let status = status(observed, &plan(observed));
    let deleted =
        status.conditions.into_iter().find(|condition| condition.type_ == "Deleted").expect("it is told");
    (deleted.reason, deleted.message)
}

#[test]
fn the_object_waits_for_its_backup_before_there_is_any_and_not_otherwise() {
    let mut observed = with_policy(DeletionPolicy::Delete);
    assert_eq!(step(&mut observed), Some("KeepBackup"));
    assert_eq!(observed.backup.finalizers(), ["etcd.operators.rs/stored-backup"]);
    assert_eq!(step(&mut observed), Some("CreateJob"));
    let mut retained = with_policy(DeletionPolicy::Retain);
    assert_eq!(step(&mut retained), Some("CreateJob"));
    retained.backup.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).expect("a moment");
    assert_eq!(step(&mut retained), None);
}

#[test]
fn a_policy_that_is_changed_counts_from_then_on_and_others_finalizers_stay() {
    let mut observed = to_go();
    observed.backup.metadata.deletion_timestamp = None;
    observed.backup.metadata.finalizers.as_mut().expect("it is held").push("example.com/audit".to_owned());
    observed.backup.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(step(&mut observed), Some("LetBackupGo"));
    assert_eq!(observed.backup.finalizers(), ["example.com/audit"]);
    observed.backup.spec.deletion_policy = DeletionPolicy::Delete;
    assert_eq!(step(&mut observed), Some("KeepBackup"));
    assert_eq!(observed.backup.finalizers(), ["example.com/audit", "etcd.operators.rs/stored-backup"]);
    assert_eq!((step(&mut observed), phase(&observed)), (None, BackupPhase::Succeeded));
}

#[test]
fn the_job_is_ended_then_the_backup_is_deleted_and_only_then_the_object_goes() {
    let mut observed = to_go();
    assert_eq!((step(&mut observed), phase(&observed)), (Some("DeleteJob"), BackupPhase::Deleting));
    observed.pods = vec![pod("Running", NOW, None)];
    assert_eq!(step(&mut observed), None, "its pod has not ended");
    observed.pods.clear();
    // The cluster may be gone by now, and the operator may have begun anew.
    observed.cluster = None;
    golden("backup-deletion-job.json", &observed);
    assert_eq!(step(&mut observed), Some("CreateJob"));
    for _ in 0..3 {
        assert_eq!((step(&mut observed), is_held(&observed)), (None, true));
    }
    let kept = observed.backup.status.clone().expect("it was written");
    assert_eq!((kept.revision, kept.backup.is_some()), (Some(48), true), "it is still there, and known");
    deletion_ended(&mut observed, &complete());
    assert_eq!((step(&mut observed), is_held(&observed)), (Some("LetBackupGo"), false));
    assert_eq!(step(&mut observed), None);
}

#[test]
fn a_job_that_runs_is_ended_once_it_is_recorded_where_it_stores() {
    let mut observed = with_policy(DeletionPolicy::Delete);
    step(&mut observed);
    step(&mut observed);
    observed.backup.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).expect("a moment");
    // The operator was stopped after it had created the Job.
    observed.backup.status = None;
    observed.cluster.as_mut().expect("it is there").spec.backup = None;
    assert_eq!(step(&mut observed), None);
    let status = observed.backup.status.clone().expect("it was written");
    assert!(status.kept_in.is_some() && status.image.is_some(), "{status:?}");
    assert_eq!(step(&mut observed), Some("DeleteJob"));
    let arguments =
        job(&observed).spec.expect("a spec").template.spec.expect("a pod").containers[0].args.clone();
    assert!(
        arguments.expect("they are there").contains(&"--run=backup-uid".to_owned()),
        "whatever it has stored"
    );
}

#[test]
fn what_fails_is_told_and_tried_again_and_the_policy_lets_the_object_go() {
    let mut observed = to_go();
    step(&mut observed);
    observed.pods.clear();
    step(&mut observed);
    let failed = json!({ "conditions": [{ "type": "Failed", "status": "True", "lastTransitionTime": NOW,
        "message": "Job has reached the backoff limit" }] });
    deletion_ended(&mut observed, &failed);
    observed.deletion_pods = vec![pod("Failed", NOW, Some(&Outcome::failed("access denied").to_text()))];
    assert_eq!(said(&observed), ("DeletionFailed".to_owned(), "access denied".to_owned()));
    let told = event(&observed, &plan(&observed)).expect("an Event");
    assert_eq!(told.reason, "DeletionFailed");
    assert_eq!((step(&mut observed), is_held(&observed)), (None, true));
    observed.as_of += SignedDuration::from_mins(5);
    assert_eq!(step(&mut observed), Some("DeleteJob"));
    assert_eq!(step(&mut observed), Some("CreateJob"));
    observed.backup.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!((step(&mut observed), is_held(&observed)), (Some("LetBackupGo"), false));
}

#[test]
fn an_image_that_an_earlier_operator_did_not_record_is_that_of_the_version() {
    let mut observed = to_go();
    step(&mut observed);
    observed.pods.clear();
    observed.backup.status.as_mut().expect("it was written").image = None;
    let image = |observed: &Observed| {
        job(observed).spec.expect("a spec").template.spec.expect("a pod").containers[0].image.clone()
    };
    assert_eq!(image(&observed).as_deref(), Some("quay.io/coreos/etcd:v3.6.16"));
    observed.backup.status.as_mut().expect("it was written").etcd_version = None;
    assert_eq!((step(&mut observed), is_held(&observed)), (None, true));
    assert!(said(&observed).1.contains("not known which image"), "{:?}", said(&observed));
}

#[test]
fn in_a_namespace_that_is_being_deleted_the_object_goes_and_the_backup_stays() {
    let mut observed = to_go();
    step(&mut observed);
    observed.pods = vec![pod("Running", NOW, None)];
    assert_eq!(plan(&observed).in_ending_namespace(&observed.backup), None, "its pod may end yet");
    observed.pods.clear();
    let Some(Action::LetGo(operations)) = plan(&observed).in_ending_namespace(&observed.backup) else {
        panic!("it would keep the namespace for ever")
    };
    patched(&mut observed.backup, &operations);
    assert!(!is_held(&observed));
    let taking = with_job(with_policy(DeletionPolicy::Retain), &json!({}));
    assert_eq!(plan(&taking).in_ending_namespace(&taking.backup), None);
}

#[test]
fn only_pods_that_may_still_write_are_waited_for() {
    let mut observed = to_go();
    step(&mut observed);
    assert!(observed.job.is_none(), "it was ended");
    for phase in ["Running", "Pending"] {
        observed.pods = vec![pod(phase, NOW, None)];
        assert_eq!(plan(&observed).action, None, "{phase}");
    }
    // Somebody may have orphaned them.
    observed.pods = vec![pod("Succeeded", NOW, None), pod("Failed", NOW, None)];
    assert_eq!(step(&mut observed), Some("CreateJob"));
}

#[test]
fn what_a_schedules_attempts_have_stored_is_found_by_their_job_and_what_is_not_known_keeps_the_object() {
    let mut scheduled = to_go();
    let mut run = scheduled.backup.status.clone().expect("it was written").run;
    assert_eq!(run.take().as_deref(), Some("backup-uid"));
    scheduled.backup.metadata.labels = Some([(LABEL_BACKUP_SCHEDULE.to_owned(), "hourly".to_owned())].into());
    let job = scheduled.job.as_mut().expect("it is there");
    job.metadata
        .labels
        .as_mut()
        .expect("labels")
        .insert(LABEL_BACKUP_SCHEDULE.to_owned(), "hourly".to_owned());
    let pod = job.spec.as_mut().expect("a spec").template.spec.as_mut().expect("a pod");
    for variable in pod.containers[0].env.iter_mut().flatten() {
        variable.value = None;
    }
    let status = scheduled.backup.status.as_mut().expect("it was written");
    (status.backup, status.run) = (None, None);
    step(&mut scheduled);
    assert_eq!(scheduled.backup.status.clone().expect("it was written").run.as_deref(), Some("job-uid"));

    let mut unknown = to_go();
    unknown.job = None;
    unknown.pods.clear();
    let status = unknown.backup.status.as_mut().expect("it was written");
    (status.backup, status.run) = (None, None);
    assert_eq!((step(&mut unknown), is_held(&unknown)), (None, true));
    assert!(said(&unknown).1.contains("not known what its attempts have stored"), "{:?}", said(&unknown));
    unknown.backup.status.as_mut().expect("it was written").kept_in = None;
    assert_eq!((step(&mut unknown), is_held(&unknown)), (None, true));
    assert!(said(&unknown).1.contains("not known where it is kept"), "{:?}", said(&unknown));
}

#[test]
fn one_that_never_began_goes_at_once() {
    let mut observed = with_policy(DeletionPolicy::Delete);
    observed.cluster = None;
    step(&mut observed);
    observed.backup.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).expect("a moment");
    assert_eq!(step(&mut observed), Some("LetBackupGo"));
}

#[test]
fn a_job_of_its_name_that_is_not_its_own_is_left_alone() {
    let mut observed = with_job(with_policy(DeletionPolicy::Retain), &complete());
    observed.job.as_mut().expect("it was made").metadata.owner_references = None;
    observed.backup = to_go().backup;
    observed.backup.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).expect("a moment");
    assert_eq!(step(&mut observed), Some("CreateJob"));
    assert!(observed.job.is_some());
}
