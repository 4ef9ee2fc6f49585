//! Jobs that have ended: they leave the list of active ones, and the oldest of too many are deleted. Pure.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::{View, finished};
use crate::controllers::write::Write;

impl View<'_> {
    /// Finished Jobs beyond the limits of the history, the oldest first.
    pub(super) fn beyond_history(&self) -> Vec<&Arc<Job>> {
        let limits = [
            ("Complete", self.spec.successful_jobs_history_limit),
            ("Failed", self.spec.failed_jobs_history_limit),
        ];
        limits.into_iter().flat_map(|(end, limit)| self.oldest(end, limit)).collect()
    }

    fn oldest(&self, end: &str, limit: Option<i32>) -> Vec<&Arc<Job>> {
        let Some(limit) = limit else { return Vec::new() };
        let ended_so =
            |job: &&Arc<Job>| finished::condition(job).is_some_and(|condition| condition.type_ == end);
        let mut ended: Vec<_> = self.jobs.iter().filter(ended_so).collect();
        ended.sort_by_key(|job| {
            let start = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
            (start.is_none(), start, job.name_any())
        });
        ended.truncate(ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0)));
        ended.retain(|job| job.metadata.deletion_timestamp.is_none());
        ended
    }

    /// Takes one Job that has ended, or is gone, off the list of active ones; notes the newest success.
    pub(super) fn note_ended(&self) -> Option<Write> {
        let mut status = self.status();
        let mut told = None;
        let of = |uid: &Option<String>| self.jobs.iter().find(|job| job.metadata.uid == *uid);
        let active = status.active.get_or_insert_default();
        let gone =
            active.iter().position(|one| of(&one.uid).is_none_or(|job| finished::condition(job).is_some()));
        if let Some(place) = gone {
            let gone = active.remove(place);
            let name = gone.name.clone().unwrap_or_default();
            told = Some(match of(&gone.uid).and_then(|job| finished::condition(job)) {
                Some(end) => {
                    ("SawCompletedJob", format!("Saw completed job: {name}, condition: {}", end.type_))
                }
                None => ("MissingJob", format!("Active job went missing: {name}")),
            });
        }
        let successes = self.jobs.iter().filter_map(|job| job.status.as_ref()?.completion_time.clone());
        let newest = successes.chain(status.last_successful_time.clone()).max_by_key(|time| time.0);
        status.last_successful_time = newest;
        let write = self.update(status)?;
        Some(match told {
            Some((reason, message)) => write.announce(self.cron, reason, message),
            None => write,
        })
    }
}
