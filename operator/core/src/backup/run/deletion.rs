//! What happens when an `EtcdBackup` is to go and its backup with it: its own Job is ended, then another one deletes what it stored, then
//! the object is let go. Nothing is deleted whose policy does not say so, and no object goes whose backup is still there.

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::observed::Observed;
use super::plan::{Action, Course, Plan, is_own, made_with};
use super::render;
use crate::api::{DeletionPolicy, EtcdBackup, StoreSpec};
use crate::backup::job;
use crate::backup::reasons::BackupReason;
use crate::backup::work::Work;
use crate::cluster::desired::EtcdVersion;
use crate::cluster::plan::PatchOperation;
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
    let (store, image) = whereabouts(observed);
    let (action, course) = match (&store, &image) {
        // Nothing was ever begun.
        (None, _) => (Some(let_go(&observed.backup)), Course::Over),
        (Some(_), None) => (None, failed("it is not known which image of etcd it was taken with".to_owned())),
        (Some(store), Some(image)) => next(observed, store, image),
    };
    Plan { action, course, store, image }
}

/// Where it is, and the image that its Job ran: by the Job, or else by what was recorded of it.
fn whereabouts(observed: &Observed) -> (Option<StoreSpec>, Option<String>) {
    let status = observed.backup.status.as_ref();
    let (store, image) = match observed.job.as_ref().filter(|job| is_own(observed, job)) {
        Some(_) => made_with(observed),
        None => (None, None),
    };
    (
        store.or_else(|| status.and_then(|status| status.kept_in.clone())),
        image.or_else(|| status.and_then(|status| status.image.clone())).or_else(|| presumed_image(observed)),
    )
}

/// What the Job ran that an earlier operator made, which recorded no image.
fn presumed_image(observed: &Observed) -> Option<String> {
    let version = observed.backup.status.as_ref()?.etcd_version.as_ref()?;
    let image = observed.cluster.as_ref().map(|cluster| cluster.spec.image.clone()).unwrap_or_default();
    Some(etcd_image(&image.repository, None, None, EtcdVersion::parse(version)?))
}

fn next(observed: &Observed, store: &StoreSpec, image: &str) -> (Option<Action>, Course) {
    let recorded = observed.backup.status.as_ref();
    let is_recorded = recorded.is_some_and(|status| status.kept_in.is_some() && status.image.is_some());
    if let Some(own) = observed.job.as_ref().filter(|job| is_own(observed, job)) {
        // It knows where the backup is, and is ended once somebody else does.
        let action = is_recorded.then(|| end(own)).flatten();
        return (action, deleting("its Job is being ended"));
    }
    if !observed.pods.is_empty() {
        return (None, deleting("the pod of its Job has not ended yet; if that lasts, its node may be lost"));
    }
    let Some(job) = &observed.deletion_job else {
        let work = Work::deletion(
            &observed.backup,
            store,
            image,
            observed.cluster.as_ref(),
            &observed.operator_image,
        );
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
        PatchOperation::Test {
            path: "/metadata/resourceVersion".to_owned(),
            value: json!(backup.resource_version()),
        },
        PatchOperation::Add { path: "/metadata/finalizers".to_owned(), value: finalizers },
    ]
}
