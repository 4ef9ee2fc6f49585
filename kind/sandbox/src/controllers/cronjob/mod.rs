//! The CronJob controller: a Job for each time of the schedule, and no more finished ones than the limits allow. Pure.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>.
//!
//! A Job's name comes from its time, so that no time gets two, however often it is looked at. A Job is made first and
//! noted in the status at the next look, which follows at once.

mod due;
mod history;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;

use super::job::finished;
use super::pods::is_controlled_by;
use super::snapshot::Snapshot;
use super::write::{Outcome, Write, controlled_by};
use crate::cron::{Schedule, time_zone};
use due::Due;

/// Tells which time of the schedule a Job is for.
const SCHEDULED_FOR: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Kubernetes looks so much later than the time itself.
const DELTA: SignedDuration = SignedDuration::from_millis(100);

/// Looks after every CronJob.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for cron in snapshot.cron_jobs.iter() {
        if let Some(spec) = &cron.spec {
            let namespace = cron.metadata.namespace.as_deref().unwrap_or_default();
            let jobs = snapshot.jobs.in_namespace(namespace);
            let jobs = jobs.filter(|job| is_controlled_by(&job.metadata, &cron.metadata)).cloned().collect();
            View { cron, spec, jobs, now }.reconcile(&mut outcome);
        }
    }
    outcome
}

/// A CronJob and its Jobs.
struct View<'a> {
    cron: &'a CronJob,
    spec: &'a CronJobSpec,
    jobs: Vec<Arc<Job>>,
    now: Timestamp,
}

impl View<'_> {
    fn reconcile(&self, outcome: &mut Outcome) {
        // What a Job has to say is noted before it goes.
        if let Some(write) = self.note_ended() {
            outcome.push(write);
            return;
        }
        let doomed = self.beyond_history();
        if !doomed.is_empty() {
            outcome.writes.extend(doomed.into_iter().map(|job| self.delete(job)));
            return;
        }
        if self.cron.metadata.deletion_timestamp.is_some() || self.spec.suspend == Some(true) {
            return;
        }
        let zone = self.spec.time_zone.as_deref().unwrap_or_default();
        let (Some(zone), Ok(schedule)) = (time_zone(zone), Schedule::parse(&self.spec.schedule)) else {
            // The API server admits neither; nothing can be done about one that was stored otherwise.
            return;
        };
        self.follow(&schedule, &zone, outcome);
    }

    fn status(&self) -> CronJobStatus {
        self.cron.status.clone().unwrap_or_default()
    }

    fn active(&self) -> Vec<ObjectReference> {
        self.status().active.unwrap_or_default()
    }

    fn delete(&self, job: &Job) -> Write {
        let message = format!("Deleted job {}", job.name_any());
        Write::delete(job).announce(self.cron, "SuccessfulDelete", message)
    }

    fn update(&self, status: CronJobStatus) -> Option<Write> {
        let status = CronJobStatus { active: status.active.filter(|active| !active.is_empty()), ..status };
        if status == self.status() {
            return None;
        }
        Write::update_status(self.cron, &CronJob { status: Some(status), ..self.cron.clone() })
    }

    /// Starts what is due, and says when to look again.
    fn follow(&self, schedule: &Schedule, zone: &TimeZone, outcome: &mut Outcome) {
        let due = Due { cron: self.cron, spec: self.spec, schedule, zone, now: self.now };
        if let Some(next) = due.next_look() {
            outcome.look_again_at(next.saturating_add(DELTA).unwrap_or(next));
        }
        let Some(time) = due.unmet() else { return };
        let late = self.spec.starting_deadline_seconds.map(SignedDuration::from_secs);
        let is_late = late.is_some_and(|late| time.saturating_add(late).is_ok_and(|end| end < self.now));
        let is_done = self.status().last_schedule_time.is_some_and(|last| last.0 == time);
        let name = self.job_name(time);
        if is_late || is_done || self.active().iter().any(|job| job.name.as_deref() == Some(&name)) {
            return;
        }
        if let Some(job) = self.jobs.iter().find(|job| job.name_any() == name) {
            outcome.writes.extend(self.note_started(job, time));
            return;
        }
        match (self.spec.concurrency_policy.as_deref(), self.active().is_empty()) {
            (Some("Forbid"), false) => {}
            (Some("Replace"), false) => outcome.writes.extend(self.replace()),
            (Some(_) | None, _) => outcome.push(self.create(&name, time, zone)),
        }
    }

    /// Jobs still at work give way to the next one, which is made once they are gone from the list.
    fn replace(&self) -> Vec<Write> {
        let active = self.active();
        let at_work = |job: &&Arc<Job>| active.iter().any(|one| one.uid == job.metadata.uid);
        let running: Vec<_> = self.jobs.iter().filter(at_work).collect();
        let leaving = running.iter().filter(|job| job.metadata.deletion_timestamp.is_none());
        let mut writes: Vec<Write> = leaving.map(|job| self.delete(job)).collect();
        if writes.is_empty() {
            writes.extend(self.update(CronJobStatus { active: None, ..self.status() }));
        }
        writes
    }

    fn job_name(&self, time: Timestamp) -> String {
        format!("{}-{}", self.cron.name_any(), time.as_second() / 60)
    }

    fn create(&self, name: &str, time: Timestamp, zone: &TimeZone) -> Write {
        let template = self.spec.job_template.metadata.clone().unwrap_or_default();
        let mut annotations = template.annotations.unwrap_or_default();
        let local = time.to_zoned(zone.clone());
        let offset = if local.offset().is_zero() { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
        annotations.insert(SCHEDULED_FOR.to_owned(), local.strftime(offset).to_string());
        let job = Job {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: self.cron.metadata.namespace.clone(),
                labels: template.labels,
                annotations: Some(annotations),
                owner_references: Some(vec![controlled_by(self.cron)]),
                ..ObjectMeta::default()
            },
            spec: self.spec.job_template.spec.clone(),
            status: None,
        };
        Write::create(&job).announce(self.cron, "SuccessfulCreate", format!("Created job {name}"))
    }

    fn note_started(&self, job: &Job, time: Timestamp) -> Option<Write> {
        let mut status = self.status();
        status.active.get_or_insert_default().push(ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            name: job.metadata.name.clone(),
            namespace: job.metadata.namespace.clone(),
            resource_version: job.metadata.resource_version.clone(),
            uid: job.metadata.uid.clone(),
            ..ObjectReference::default()
        });
        status.last_schedule_time = Some(Time(time));
        self.update(status)
    }
}
