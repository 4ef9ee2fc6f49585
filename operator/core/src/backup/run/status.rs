//! What the user is told of an `EtcdBackup`. Nothing is called complete that its own Job did not call so, and nothing proved that was not
//! restored. A status of one that is over is never written again.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::observed::Observed;
use super::plan::{Course, Plan};
use crate::api::{BackupPhase, EtcdBackupStatus};
use crate::backup::outcome::Taken;
use crate::backup::reached::Reached;
use crate::backup::reasons::BackupReason;
use crate::cluster::render::quantity;
use crate::conditions::{About, Finding, Truth};
use crate::event::{Again, Event, Severity};

/// The condition: the backup is in the store, and was proved if that was asked for.
const COMPLETE: &str = "Complete";
/// The condition: it is no longer in the store, because its object was deleted.
const DELETED: &str = "Deleted";
/// The condition: it was given up.
const FAILED: &str = "Failed";
/// The condition: it was restored, and had the cluster's data.
const PROVED: &str = "Proved";

/// The status that follows from what was seen and what is planned.
pub fn status(observed: &Observed, plan: &Plan) -> EtcdBackupStatus {
    let before = observed.backup.status.clone().unwrap_or_default();
    let Some(phase) = plan.course.phase() else { return before };
    let about = About {
        generation: observed.backup.metadata.generation,
        before: &before.conditions,
        as_of: observed.as_of,
    };
    if let Course::Deleting { reason, message } = &plan.course {
        let deleted = about.condition(DELETED, finding(Truth::False, *reason, message));
        return deleting(before.clone(), plan, phase, deleted);
    }
    let mut status = EtcdBackupStatus {
        observed_generation: observed.backup.metadata.generation,
        phase,
        store: plan
            .store
            .as_ref()
            .and_then(|store| Some(Reached::parse(store).ok()?.place()))
            .or(before.store),
        kept_in: plan.store.clone().or(before.kept_in),
        image: plan.image.clone().or(before.image),
        run: plan.run.clone().or(before.run),
        ..EtcdBackupStatus::default()
    };
    if let Course::Succeeded(taken) = &plan.course {
        add(&mut status, taken);
    }
    if phase.is_over() {
        status.ended_at = Some(Time(ended_at(observed)));
    }
    status.conditions = [(COMPLETE, complete(plan)), (FAILED, failed(plan)), (PROVED, proved(plan))]
        .map(|(kind, finding)| about.condition(kind, finding))
        .into();
    status
}

/// What was known of it stays, for as long as it is there.
fn deleting(
    before: EtcdBackupStatus,
    plan: &Plan,
    phase: BackupPhase,
    deleted: Condition,
) -> EtcdBackupStatus {
    let mut conditions = before.conditions;
    conditions.retain(|condition| condition.type_ != DELETED);
    conditions.push(deleted);
    EtcdBackupStatus {
        phase,
        kept_in: plan.store.clone().or(before.kept_in),
        image: plan.image.clone().or(before.image),
        run: plan.run.clone().or(before.run),
        conditions,
        ..before
    }
}

/// When the Job says that it was over.
fn ended_at(observed: &Observed) -> Timestamp {
    let job = observed.job.as_ref().and_then(|job| job.status.as_ref());
    let over = job.and_then(|status| {
        let conditions = status.conditions.iter().flatten();
        let mut over = conditions
            .filter(|condition| {
                matches!(
                    condition.type_.as_str(),
                    "SuccessCriteriaMet" | "FailureTarget" | "Complete" | "Failed"
                )
            })
            .filter_map(|condition| condition.last_transition_time.as_ref());
        over.next().or(status.completion_time.as_ref())
    });
    over.map_or(observed.as_of, |time| time.0)
}

fn add(status: &mut EtcdBackupStatus, taken: &Taken) {
    let Taken { manifest, proof, deleted, retention_failed: _ } = taken;
    status.backup = Some(manifest.name.to_string());
    status.cluster_id = Some(manifest.cluster_id.to_string());
    status.etcd_version = Some(manifest.etcd_version.to_string());
    status.asked_for_at = Some(Time(manifest.asked_for_at));
    status.revision = Some(proof.as_ref().map_or(manifest.data.revision, |proof| proof.revision));
    status.keys = proof.as_ref().and_then(|proof| i64::try_from(proof.keys?).ok());
    status.size = Some(quantity::for_people(manifest.snapshot.bytes));
    status.stored_size = Some(quantity::for_people(manifest.snapshot.stored_bytes));
    status.authentication = Some(manifest.authentication);
    status.proved_at = proof.as_ref().map(|proof| Time(proof.proved_at));
    status.deleted = deleted.iter().map(ToString::to_string).collect();
}

fn finding(status: Truth, reason: BackupReason, message: &str) -> Finding {
    Finding { status, reason: reason.as_str(), message: message.to_owned() }
}

fn complete(plan: &Plan) -> Finding {
    match &plan.course {
        Course::Over | Course::Deleting { .. } => finding(Truth::Unknown, BackupReason::NotStored, ""),
        Course::Pending { reason, message }
        | Course::Running { reason, message }
        | Course::Failed { reason, message } => finding(Truth::False, *reason, message),
        Course::Succeeded(taken) => {
            let mut message = format!("it is in the store as {}", taken.manifest.name);
            if let Some(failed) = &taken.retention_failed {
                message += &format!("; earlier ones could not be deleted: {failed}");
            }
            finding(Truth::True, BackupReason::Stored, &message)
        }
    }
}

fn failed(plan: &Plan) -> Finding {
    match &plan.course {
        Course::Failed { reason, message } => finding(Truth::True, *reason, message),
        Course::Over
        | Course::Pending { .. }
        | Course::Running { .. }
        | Course::Succeeded(_)
        | Course::Deleting { .. } => {
            let finding = complete(plan);
            Finding { status: Truth::False, ..finding }
        }
    }
}

fn proved(plan: &Plan) -> Finding {
    match &plan.course {
        Course::Succeeded(taken) => match &taken.proof {
            Some(proof) => {
                let message = format!(
                    "restored into etcd {}, it ends at revision {}",
                    proof.etcd_version, proof.revision
                );
                finding(Truth::True, BackupReason::Restored, &message)
            }
            None => finding(Truth::False, BackupReason::NotRestored, "it was not restored, as the spec asks"),
        },
        Course::Over
        | Course::Pending { .. }
        | Course::Running { .. }
        | Course::Failed { .. }
        | Course::Deleting { .. } => {
            finding(Truth::False, BackupReason::NotStored, "there is no backup that could be proved")
        }
    }
}

/// The Event that tells of its end.
pub fn event(observed: &Observed, plan: &Plan) -> Option<Event> {
    let of = |severity, reason: BackupReason, note: String| {
        let fact = observed.backup.metadata.uid.clone().unwrap_or_default();
        Event { severity, reason: reason.as_str(), action: "Backup", fact, note, again: Again::Later }
    };
    match &plan.course {
        Course::Succeeded(_) => Some(of(Severity::Normal, BackupReason::Stored, complete(plan).message)),
        Course::Failed { reason, message } => Some(of(Severity::Warning, *reason, message.clone())),
        Course::Pending { reason: reason @ BackupReason::RequestRefused, message } => {
            Some(of(Severity::Warning, *reason, message.clone()))
        }
        Course::Deleting { reason, message } if *reason != BackupReason::Deleting => {
            Some(of(Severity::Warning, *reason, message.clone()))
        }
        Course::Over | Course::Pending { .. } | Course::Running { .. } | Course::Deleting { .. } => None,
    }
}
