//! What happens next with an `EtcdBackup`, and how far it is. A Job that is there is never made again or changed; what its pods left as
//! their last words is all that is known of what they did.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::observed::Observed;
use super::{deletion, render};
use crate::api::{BackupPhase, EtcdBackup, StoreSpec};
use crate::backup::job;
use crate::backup::outcome::{Outcome, Taken, of_pod};
use crate::backup::reasons::BackupReason;
use crate::backup::task::RUN_VARIABLE;
use crate::backup::work::{NotYet, Whose, Work};
use crate::cluster::plan::PatchOperation;
use crate::names::{ANNOTATION_STORE, BACKUP_CONTAINER, LABEL_BACKUP_SCHEDULE};

/// What the operator does about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start a Job.
    CreateJob(Box<Job>),
    /// End a Job, with its pods.
    DeleteJob {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// See to it that the object stays until its backup is deleted.
    Keep(Vec<PatchOperation>),
    /// Let the object go, or be gone.
    LetGo(Vec<PatchOperation>),
}

impl Action {
    /// The word for it in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::CreateJob(_) => "CreateJob",
            Action::DeleteJob { .. } => "DeleteJob",
            Action::Keep(_) => "KeepBackup",
            Action::LetGo(_) => "LetBackupGo",
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// It was over already: the status stays as it is.
    Over,
    /// It cannot be started, or is being started.
    Pending {
        /// Why.
        reason: BackupReason,
        /// In a sentence.
        message: String,
    },
    /// Its Job runs.
    Running {
        /// How.
        reason: BackupReason,
        /// In a sentence.
        message: String,
    },
    /// It is in the store.
    Succeeded(Box<Taken>),
    /// It was given up.
    Failed {
        /// Why.
        reason: BackupReason,
        /// In a sentence.
        message: String,
    },
    /// It is being deleted from its store.
    Deleting {
        /// How.
        reason: BackupReason,
        /// In a sentence.
        message: String,
    },
}

/// What happens next.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done, if anything.
    pub action: Option<Action>,
    /// How far it is.
    pub course: Course,
    /// Where it is or will be, if that is known.
    pub store: Option<StoreSpec>,
    /// The image of etcd that its Job runs, if that is known.
    pub image: Option<String>,
    /// What all attempts of its Job have in common, if there is one.
    pub run: Option<String>,
}

/// What a Job was made with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MadeWith {
    pub(super) store: Option<StoreSpec>,
    pub(super) image: Option<String>,
    pub(super) run: Option<String>,
}

/// Decides.
pub fn plan(observed: &Observed) -> Plan {
    let backup = &observed.backup;
    if backup.metadata.deletion_timestamp.is_some() {
        return deletion::plan(observed);
    }
    // Before there is anything in the store, and whenever the policy is changed.
    let held = deletion::hold(backup);
    if backup.status.as_ref().is_some_and(|status| status.phase.is_over()) {
        return Plan { action: held, ..Plan::over() };
    }
    let plan = take(observed);
    Plan { action: held.or(plan.action), ..plan }
}

/// Decides about one that is not over.
fn take(observed: &Observed) -> Plan {
    let backup = &observed.backup;
    let work = Work::parse(
        &render::asked(backup),
        &backup.spec.cluster,
        observed.cluster.as_ref(),
        &observed.operator_image,
        Whose::Object { uid: backup.uid().unwrap_or_default() },
    );
    // What the Job was made with counts, whatever the specs say by now.
    let MadeWith { store, image, run } = made_with(observed);
    let store = store.or_else(|| work.as_ref().ok().map(|work| work.store().clone()));
    let image = image.or_else(|| work.as_ref().ok().map(|work| work.etcd_image().to_owned()));
    let (action, course) = match (&observed.job, work) {
        (Some(job), _) if is_own(observed, job) => (None, of_job(observed, job)),
        (Some(_), _) => {
            (None, pending(BackupReason::NameTaken, "there is a Job of this name that is not its own"))
        }
        // What the clock has started is not started again: the next one comes.
        (None, _) if is_scheduled(observed) => (None, lost()),
        (None, Err(NotYet { reason, message })) => (None, Course::Pending { reason, message }),
        (None, Ok(work)) => {
            let job = Box::new(render::job(backup, &work));
            (Some(Action::CreateJob(job)), pending(BackupReason::Starting, "its Job is being created"))
        }
    };
    Plan { action, course, store, image, run }
}

/// What its own Job was made with.
pub(super) fn made_with(observed: &Observed) -> MadeWith {
    let Some(job) = observed.job.as_ref().filter(|job| is_own(observed, job)) else {
        return MadeWith::default();
    };
    let store = job.annotations().get(ANNOTATION_STORE);
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let mut containers = pod.iter().flat_map(|pod| &pod.containers);
    let container = containers.find(|container| container.name == BACKUP_CONTAINER);
    let variables = container.iter().flat_map(|container| container.env.iter().flatten());
    let run = variables.filter(|variable| variable.name == RUN_VARIABLE).find_map(|run| run.value.clone());
    MadeWith {
        store: store.and_then(|text| serde_json::from_str(text).ok()),
        image: container.and_then(|container| container.image.clone()),
        // Where the variable has no value of its own, it is the UID of the Job.
        run: run.or_else(|| job.uid()),
    }
}

fn pending(reason: BackupReason, message: &str) -> Course {
    Course::Pending { reason, message: message.to_owned() }
}

fn lost() -> Course {
    Course::Failed {
        reason: BackupReason::ResultLost,
        message: "its Job or its pod is gone, and with it what it found".to_owned(),
    }
}

/// Whether the clock has started it: then its Job belongs to a CronJob.
fn is_scheduled(observed: &Observed) -> bool {
    observed.backup.labels().contains_key(LABEL_BACKUP_SCHEDULE)
}

/// Whether a Job of this name takes this very backup.
pub(super) fn is_own(observed: &Observed, job: &Job) -> bool {
    let uid = observed.backup.uid();
    let is_owned = job.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref());
    let schedule = observed.backup.labels().get(LABEL_BACKUP_SCHEDULE);
    is_owned || (schedule.is_some() && job.labels().get(LABEL_BACKUP_SCHEDULE) == schedule)
}

fn of_job(observed: &Observed, job: &Job) -> Course {
    let pods: Vec<&Pod> = observed.pods.iter().collect();
    let (success, failure) = (job::success(job), job::failure(job, observed.as_of));
    // Whatever became of the Job: a backup is in the store if one of its pods said so, and only then.
    let taken = pods.iter().find_map(|pod| match of_pod(pod, BACKUP_CONTAINER)? {
        Outcome::Taken(taken) => Some(taken),
        Outcome::Restored(_) | Outcome::Deleted(_) | Outcome::Failed { .. } => None,
    });
    if let Some(taken) = taken.filter(|_| success.is_some() || failure.is_some()) {
        return Course::Succeeded(taken);
    }
    if success.is_some() {
        return lost();
    }
    let said = job::last_failure(&pods, BACKUP_CONTAINER);
    if let Some(failure) = failure {
        let of_job = failure.message.clone().unwrap_or_default();
        let message = said.map_or(of_job.clone(), |said| format!("{said} ({of_job})"));
        return Course::Failed { reason: BackupReason::AttemptsFailed, message };
    }
    if let Some(said) = said {
        let message = format!("an attempt failed: {said}");
        return Course::Running { reason: BackupReason::TryingAgain, message };
    }
    let runs = pods.iter().any(|pod| job::phase(pod) == Some("Running"));
    match job::trouble(&pods, BACKUP_CONTAINER) {
        None if runs => {
            Course::Running { reason: BackupReason::Running, message: "it is being taken".to_owned() }
        }
        trouble => {
            let message = trouble.unwrap_or_else(|| "its pod is being started".to_owned());
            Course::Pending { reason: BackupReason::Starting, message }
        }
    }
}

impl Plan {
    /// There is nothing to do and nothing to tell.
    pub(super) fn over() -> Plan {
        Plan { action: None, course: Course::Over, store: None, image: None, run: None }
    }

    /// Whether it came to its end in this look.
    pub fn is_just_over(&self) -> bool {
        match &self.course {
            Course::Succeeded(_) | Course::Failed { .. } => true,
            Course::Over | Course::Pending { .. } | Course::Running { .. } | Course::Deleting { .. } => false,
        }
    }

    /// What is done instead where the namespace is being deleted, and no Job can be made in it: the object goes, for otherwise the namespace
    /// never would; and its backup stays.
    pub fn in_ending_namespace(&self, backup: &EtcdBackup) -> Option<Action> {
        match (&self.action, &self.course) {
            (Some(Action::CreateJob(_)), Course::Deleting { .. }) => Some(deletion::let_go(backup)),
            _ => None,
        }
    }

    /// The same if its action was refused.
    pub fn refused(self, message: &str) -> Plan {
        let course = match self.course {
            Course::Over => Course::Over,
            Course::Deleting { .. } => {
                let message = message.to_owned();
                Course::Deleting { reason: BackupReason::RequestRefused, message }
            }
            Course::Pending { .. }
            | Course::Running { .. }
            | Course::Succeeded(_)
            | Course::Failed { .. } => pending(BackupReason::RequestRefused, message),
        };
        Plan { action: None, course, ..self }
    }
}

impl Course {
    /// The word for it in the status; nothing if the status stays as it is.
    pub fn phase(&self) -> Option<BackupPhase> {
        match self {
            Course::Over => None,
            Course::Pending { .. } => Some(BackupPhase::Pending),
            Course::Running { .. } => Some(BackupPhase::Running),
            Course::Succeeded(_) => Some(BackupPhase::Succeeded),
            Course::Failed { .. } => Some(BackupPhase::Failed),
            Course::Deleting { .. } => Some(BackupPhase::Deleting),
        }
    }
}
