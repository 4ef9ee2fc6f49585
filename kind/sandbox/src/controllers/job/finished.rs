//! Jobs that are over: how that shows, and their removal some time later (`ttlSecondsAfterFinished`). Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};

use crate::controllers::snapshot::Snapshot;
use crate::controllers::write::{Outcome, Write};

/// The condition that ended a Job, if it is over: `Complete` or `Failed`.
pub(in crate::controllers) fn condition(job: &Job) -> Option<&JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|one| one.status == "True" && matches!(one.type_.as_str(), "Complete" | "Failed"))
}

/// Deletes Jobs whose time after their end is over, and their pods before them.
pub(in crate::controllers) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for job in snapshot.jobs.iter().filter(|job| job.metadata.deletion_timestamp.is_none()) {
        match expiry(job) {
            Some(end) if end <= now => outcome.push(Write::delete_last(&**job)),
            Some(end) => outcome.look_again_at(end),
            None => {}
        }
    }
    outcome
}

fn expiry(job: &Job) -> Option<Timestamp> {
    let lifetime = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let ended = condition(job)?.last_transition_time.as_ref()?.0;
    ended.checked_add(SignedDuration::from_secs(lifetime.into())).ok()
}
