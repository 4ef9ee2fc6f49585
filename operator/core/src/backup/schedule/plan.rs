//! What happens next with an `EtcdBackupSchedule`, and how it stands.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::ResourceExt;

use super::observed::Observed;
use super::render;
use crate::api::{BackupPhase, EtcdBackup};
use crate::backup::reasons::BackupReason;
use crate::backup::work::{NotYet, Whose, Work};
use crate::cluster::plan::PatchOperation;
use crate::cluster::plan::change::unchanged;
use crate::cluster::render::compare::{Difference, difference};

/// Objects of backups that failed are kept, so many; a schedule that never succeeds must not fill the API server.
const FAILED_KEPT: usize = 5;

/// What the operator does about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start taking backups.
    CreateCronJob(Box<CronJob>),
    /// Make the CronJob what it should be.
    SetCronJob {
        /// Its name.
        name: String,
        /// In what it differs, for the log.
        fields: Vec<String>,
        /// What makes it so, with a test of the state that this was planned on.
        operations: Vec<PatchOperation>,
    },
    /// Make an object of a backup that the clock has started.
    CreateBackup(Box<EtcdBackup>),
    /// Delete the object of a backup that is no more, or that failed long ago.
    DeleteBackup {
        /// Its name.
        name: String,
        /// Which object.
        uid: String,
    },
}

impl Action {
    /// The word for it in logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::CreateCronJob(_) => "CreateCronJob",
            Action::SetCronJob { .. } => "SetCronJob",
            Action::CreateBackup(_) => "CreateBackup",
            Action::DeleteBackup { .. } => "DeleteBackup",
        }
    }
}

/// How a schedule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether backups are taken as the spec says.
    pub is_ready: bool,
    /// Why.
    pub reason: BackupReason,
    /// In a sentence.
    pub message: String,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done, in order.
    pub actions: Vec<Action>,
    /// How it stands.
    pub standing: Standing,
}

/// Decides.
pub fn plan(observed: &Observed) -> Plan {
    let schedule = &observed.schedule;
    if schedule.metadata.deletion_timestamp.is_some() {
        return Plan {
            actions: Vec::new(),
            standing: not_ready(BackupReason::Suspended, "it is being deleted"),
        };
    }
    let work = Work::parse(
        &render::asked(schedule),
        &schedule.spec.cluster,
        observed.cluster.as_ref(),
        &observed.operator_image,
        Whose::Schedule(render::origin(schedule)),
    );
    let mut actions = Vec::new();
    let standing = match (&observed.cron_job, work) {
        (Some(live), _) if !is_own(observed, live) => {
            not_ready(BackupReason::NameTaken, "there is a CronJob of this name that is not its own")
        }
        (_, Err(NotYet { reason, message })) => not_ready(reason, &message),
        (live, Ok(work)) => {
            actions.extend(of_cron_job(live.as_ref(), render::cron_job(schedule, &work)));
            standing(observed)
        }
    };
    actions.extend(new_backups(observed));
    actions.extend(gone_backups(observed));
    Plan { actions, standing }
}

fn not_ready(reason: BackupReason, message: &str) -> Standing {
    Standing { is_ready: false, reason, message: message.to_owned() }
}

fn is_own(observed: &Observed, live: &CronJob) -> bool {
    let uid = observed.schedule.uid();
    live.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref())
}

fn of_cron_job(live: Option<&CronJob>, wanted: CronJob) -> Option<Action> {
    let Some(live) = live else { return Some(Action::CreateCronJob(Box::new(wanted))) };
    let Difference { fields, operations } = difference(live, &wanted);
    if operations.is_empty() {
        return None;
    }
    let operations = [vec![unchanged(&live.metadata)], operations].concat();
    Some(Action::SetCronJob { name: live.name_any(), fields, operations })
}

fn standing(observed: &Observed) -> Standing {
    let schedule = &observed.schedule;
    if schedule.spec.suspend {
        return not_ready(BackupReason::Suspended, "no backups are taken, as the spec asks");
    }
    let over = |backup: &&EtcdBackup| backup.status.as_ref().is_some_and(|status| status.phase.is_over());
    let newest = observed.backups.iter().filter(over).max_by_key(|backup| created(backup));
    let failed = newest.filter(|backup| phase(backup) == Some(BackupPhase::Failed));
    if let Some(failed) = failed {
        let status = failed.status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let why =
            conditions.iter().find(|condition| condition.type_ == "Failed").map(|one| one.message.as_str());
        let message = format!("{} failed: {}", failed.name_any(), why.unwrap_or_default());
        return not_ready(BackupReason::LastFailed, &message);
    }
    let message = format!("backups are taken at {} ({})", schedule.spec.schedule, schedule.spec.time_zone);
    Standing { is_ready: true, reason: BackupReason::Scheduled, message }
}

fn phase(backup: &EtcdBackup) -> Option<BackupPhase> {
    backup.status.as_ref().map(|status| status.phase)
}

/// When the object was made, and its name, so that two of one second have an order.
pub(super) fn created(backup: &EtcdBackup) -> (Option<jiff::Timestamp>, String) {
    (backup.creation_timestamp().map(|time| time.0), backup.name_any())
}

/// Jobs of the CronJob that are no objects yet. One whose object somebody deleted gets no other.
fn new_backups(observed: &Observed) -> Vec<Action> {
    let known: BTreeSet<String> = observed.backups.iter().map(ResourceExt::name_any).collect();
    let recorded = recorded(observed);
    let is_new = |job: &&Job| {
        let name = job.name_any();
        is_of_cron_job(observed, job)
            && may_be_object(&name)
            && !known.contains(&name)
            && !recorded.contains(&name)
    };
    let jobs = observed.jobs.iter().filter(is_new);
    jobs.map(|job| Action::CreateBackup(Box::new(render::backup(&observed.schedule, &job.name_any()))))
        .collect()
}

/// Whether an EtcdBackup may have the name: somebody may have made a Job of the CronJob's with any.
fn may_be_object(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}

fn is_of_cron_job(observed: &Observed, job: &Job) -> bool {
    let Some(uid) = observed.cron_job.as_ref().and_then(ResourceExt::uid) else { return false };
    job.owner_references().iter().any(|owner| owner.uid == uid)
}

/// The Jobs that had an object once.
fn recorded(observed: &Observed) -> BTreeSet<String> {
    observed.schedule.status.iter().flat_map(|status| status.recorded_jobs.iter().cloned()).collect()
}

/// The same, with those of now and without those whose Job is gone.
pub(super) fn recorded_now(observed: &Observed) -> Vec<String> {
    let mut recorded = recorded(observed);
    recorded.extend(observed.backups.iter().map(ResourceExt::name_any));
    let jobs: BTreeSet<String> = observed.jobs.iter().map(ResourceExt::name_any).collect();
    recorded.intersection(&jobs).cloned().collect()
}

/// Objects of backups that a later one of the same schedule and cluster has deleted, and of those that failed long ago.
fn gone_backups(observed: &Observed) -> Vec<Action> {
    let place = |backup: &EtcdBackup, name: &str| {
        let cluster = backup.status.as_ref().and_then(|status| status.cluster_id.clone());
        (cluster, name.to_owned())
    };
    let deleted: BTreeSet<(Option<String>, String)> = observed
        .backups
        .iter()
        .flat_map(|backup| {
            let deleted = backup.status.iter().flat_map(|status| &status.deleted);
            deleted.map(|name| place(backup, name)).collect::<Vec<_>>()
        })
        .collect();
    let is_deleted = |backup: &&EtcdBackup| {
        let name = backup.status.as_ref().and_then(|status| status.backup.as_deref());
        name.is_some_and(|name| deleted.contains(&place(backup, name)))
    };
    let mut failed: Vec<&EtcdBackup> =
        observed.backups.iter().filter(|backup| phase(backup) == Some(BackupPhase::Failed)).collect();
    failed.sort_by_key(|backup| std::cmp::Reverse(created(backup)));
    let gone = observed.backups.iter().filter(is_deleted).chain(failed.into_iter().skip(FAILED_KEPT));
    let delete =
        |backup: &EtcdBackup| Some(Action::DeleteBackup { name: backup.name_any(), uid: backup.uid()? });
    gone.filter(|backup| backup.metadata.deletion_timestamp.is_none()).filter_map(delete).collect()
}

impl Plan {
    /// The same if a write was refused.
    pub fn refused(&mut self, message: &str) {
        self.standing = not_ready(BackupReason::RequestRefused, message);
    }

    /// The same if somebody undoes what is done to the CronJob, and it is left alone for now.
    pub fn undone(&mut self, fields: &[String]) {
        self.actions.retain(|action| !matches!(action, Action::SetCronJob { .. }));
        let message = format!(
            "something, such as an admission webhook, undoes each change of {} in the CronJob",
            fields.join(", ")
        );
        self.standing = not_ready(BackupReason::Undone, &message);
    }
}
