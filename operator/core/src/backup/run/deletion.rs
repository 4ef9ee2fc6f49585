//! What happens when an `EtcdBackup` is to go and its backup with it: its own Job is ended, then another one deletes what it stored, then
//! the object is let go. Nothing is deleted whose policy does not say so, and no object goes whose backup is still there.

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::observed::Observed;
use super::plan::{Action, Course, MadeWith, Plan, is_own, made_with};
use super::render;
use crate::api::{DeletionPolicy, EtcdBackup, StoreSpec};
use crate::backup::job;
use crate::backup::reasons::BackupReason;
use crate::backup::work::Work;
use crate::cluster::desired::EtcdVersion;
use crate::cluster::plan::PatchOperation;
use crate::cluster::plan::change::unchanged;
use crate::cluster::target::etcd_image;
use crate::names::BACKUP_CONTAINER;

/// What keeps an object until its backup is deleted.
const FINALIZER: &str = "etcd.operators.rs/stored-backup";
/// Pause before a deletion that failed is tried again.
const RETRY: SignedDuration = SignedDuration::from_mins(5);

/// Makes the object wait for its backup's deletion, or no longer, as its policy says.
pub(super) fn hold(backup: &EtcdBackup) -> Option<Action> {
    match backup.spec.deletion_policy {
        DeletionPolicy::Delete if !is_held(backup) => Some(Action::Keep(with_finalizer(backup))),
        DeletionPolicy::Retain if is_held(backup) => Some(let_go(backup)),
        DeletionPolicy::Delete | DeletionPolicy::Retain => None,
    }
}

/// Decides about one that is to go.
pub(super) fn plan(observed: &Observed) -> Plan {
    let backup = &observed.backup;
    if !is_held(backup) {
        return Plan::over();
    }
    match backup.spec.deletion_policy {
        DeletionPolicy::Retain => Plan { action: Some(let_go(backup)), ..Plan::over() },
        DeletionPolicy::Delete => delete(observed),
    }
}

fn delete(observed: &Observed) -> Plan {
    let status = observed.backup.status.as_ref();
    let MadeWith { store, image, run } = made_with(observed);
    let store = store.or_else(|| status.and_then(|status| status.kept_in.clone()));
    let image = image.or_else(|| status.and_then(|status| status.image.clone()));
    let image = image.or_else(|| presumed_image(observed));
    let run = run.or_else(|| status.and_then(|status| status.run.clone())).or_else(|| presumed_run(observed));
    let unknown = |what: &str| (None, failed(format!("it is not known {what}")));
    let (action, course) = match (&store, &image, &run) {
        (None, _, _) if !was_begun(observed) => (Some(let_go(&observed.backup)), Course::Over),
        (None, _, _) => unknown("where it is kept"),
        (Some(_), None, _) => unknown("which image of etcd it was taken with"),
        (Some(_), Some(_), None) => unknown("what its attempts have stored"),
        (Some(store), Some(image), Some(run)) => next(observed, (store, image, run)),
    };
    Plan { action, course, store, image, run }
}

/// Whether there may be something of it in a store.
fn was_begun(observed: &Observed) -> bool {
    let status = observed.backup.status.as_ref();
    status.is_some_and(|status| status.backup.is_some() || status.ended_at.is_some())
}

/// What the attempts of one had in common of which no Job is known: this operator's have the object's own UID. An earlier one's are not
/// known by it, nor a schedule's; those that ended in the store are found by name.
fn presumed_run(observed: &Observed) -> Option<String> {
    let is_named = observed.backup.status.as_ref().is_some_and(|status| status.backup.is_some());
    observed.backup.uid().filter(|_| is_named || !was_begun(observed))
}

/// What the Job ran that an earlier operator made, which recorded no image.
fn presumed_image(observed: &Observed) -> Option<String> {
    let version = observed.backup.status.as_ref()?.etcd_version.as_ref()?;
    let image = observed.cluster.as_ref().map(|cluster| cluster.spec.image.clone()).unwrap_or_default();
    Some(etcd_image(&image.repository, None, None, EtcdVersion::parse(version)?))
}

fn next(observed: &Observed, known: (&StoreSpec, &str, &str)) -> (Option<Action>, Course) {
    let recorded = observed.backup.status.as_ref();
    let is_recorded = recorded
        .is_some_and(|status| status.kept_in.is_some() && status.image.is_some() && status.run.is_some());
    if let Some(own) = observed.job.as_ref().filter(|job| is_own(observed, job)) {
        // It knows where the backup is, and is ended once somebody else does.
        let action = is_recorded.then(|| end(own)).flatten();
        return (action, deleting("its Job is being ended"));
    }
    if observed.pods.iter().any(|pod| may_still_write(observed, pod)) {
        return (None, deleting("the pod of its Job has not ended yet; if that lasts, its node may be lost"));
    }
    let Some(job) = &observed.deletion_job else {
        let work =
            Work::deletion(&observed.backup, known, observed.cluster.as_ref(), &observed.operator_image);
        return match work {
            Ok(work) => {
                let job = Box::new(render::deletion_job(&observed.backup, &work));
                (Some(Action::CreateJob(job)), deleting("it is being deleted from the store"))
            }
            Err(message) => (None, failed(message)),
        };
    };
    of_job(observed, job)
}

/// Whether a pod with its Job's name may do anything yet; not so one of a Job that is somebody else's.
fn may_still_write(observed: &Observed, pod: &Pod) -> bool {
    let other = observed.job.as_ref().filter(|job| !is_own(observed, job)).and_then(ResourceExt::uid);
    let is_others =
        other.is_some() && pod.owner_references().iter().any(|owner| Some(&owner.uid) == other.as_ref());
    !is_others && !matches!(job::phase(pod), Some("Succeeded" | "Failed"))
}

/// How far the Job is that deletes it.
fn of_job(observed: &Observed, job: &Job) -> (Option<Action>, Course) {
    if job::success(job).is_some() {
        return (Some(let_go(&observed.backup)), deleting("it is deleted from the store"));
    }
    let pods: Vec<&Pod> = observed.deletion_pods.iter().collect();
    let said = job::last_failure(&pods, BACKUP_CONTAINER);
    if let Some(failure) = job::failure(job, observed.as_of) {
        let since = failure.last_transition_time.as_ref().map(|since| observed.as_of.duration_since(since.0));
        let action = since.is_none_or(|since| since >= RETRY).then(|| end(job)).flatten();
        let message = said.or_else(|| failure.message.clone()).unwrap_or_else(|| "its Job failed".to_owned());
        return (action, failed(message));
    }
    let trouble = said.or_else(|| job::trouble(&pods, BACKUP_CONTAINER));
    (None, deleting(&trouble.unwrap_or_else(|| "it is being deleted from the store".to_owned())))
}

fn deleting(message: &str) -> Course {
    Course::Deleting { reason: BackupReason::Deleting, message: message.to_owned() }
}

fn failed(message: String) -> Course {
    Course::Deleting { reason: BackupReason::DeletionFailed, message }
}

/// Ends a Job, unless it is being ended already.
fn end(job: &Job) -> Option<Action> {
    let uid = job.uid().filter(|_| job.metadata.deletion_timestamp.is_none())?;
    Some(Action::DeleteJob { name: job.name_any(), uid })
}

fn is_held(backup: &EtcdBackup) -> bool {
    backup.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

fn with_finalizer(backup: &EtcdBackup) -> Vec<PatchOperation> {
    let all = backup.finalizers().iter().map(String::as_str).chain([FINALIZER]);
    set_finalizers(backup, json!(all.collect::<Vec<_>>()))
}

pub(super) fn let_go(backup: &EtcdBackup) -> Action {
    let others = backup.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER);
    Action::LetGo(set_finalizers(backup, json!(others.collect::<Vec<_>>())))
}

/// Sets all of them, if nobody else has meanwhile.
fn set_finalizers(backup: &EtcdBackup, finalizers: Value) -> Vec<PatchOperation> {
    vec![
        unchanged(&backup.metadata),
        PatchOperation::Add { path: "/metadata/finalizers".to_owned(), value: finalizers },
    ]
}
