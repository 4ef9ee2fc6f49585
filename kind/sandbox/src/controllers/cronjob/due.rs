//! Which time of a schedule is due, and when to look again. Pure.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec};

use crate::cron::Schedule;

/// A schedule at a moment.
pub(super) struct Due<'a> {
    pub(super) cron: &'a CronJob,
    pub(super) spec: &'a CronJobSpec,
    pub(super) schedule: &'a Schedule,
    pub(super) zone: &'a TimeZone,
    pub(super) now: Timestamp,
}

impl Due<'_> {
    /// The newest time that has come and for which nothing was started; older ones are missed.
    pub(super) fn unmet(&self) -> Option<Timestamp> {
        let first =
            self.next(self.since(self.spec.starting_deadline_seconds)).filter(|time| *time <= self.now)?;
        // Near to now, so that a long time away costs as little as a short one.
        let second = self.next(first).filter(|time| *time <= self.now);
        let Some(second) = second else { return Some(first) };
        let distance = second.duration_since(first).as_secs().max(1);
        let missed = self.now.duration_since(first).as_secs() / distance + 1;
        let skip = SignedDuration::from_secs((missed - 2) * distance);
        let mut newest = first;
        let mut time = self.next(first.saturating_add(skip).unwrap_or(first));
        while let Some(came) = time.filter(|time| *time <= self.now) {
            newest = came;
            time = self.next(came);
        }
        Some(newest)
    }

    /// The first time that is still to come.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        let first = self.next(self.since(None))?;
        if first > self.now { Some(first) } else { self.next(self.now) }
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next(after, self.zone)
    }

    /// From when on times count: the last one met, or the CronJob's beginning, and no longer ago than the deadline.
    fn since(&self, deadline: Option<i64>) -> Timestamp {
        let created = self.cron.metadata.creation_timestamp.as_ref();
        let last = self.cron.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
        let since = last.or(created).map_or(self.now, |time| time.0);
        let earliest =
            deadline.and_then(|seconds| self.now.checked_sub(SignedDuration::from_secs(seconds)).ok());
        earliest.map_or(since, |earliest| since.max(earliest))
    }
}
