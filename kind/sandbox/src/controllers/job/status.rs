//! What a Job's status says: whether it is decided, which ended pods are noted, how many are counted. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::policy::Failure;
use super::{View, condition, is_active, is_tracked};
use crate::controllers::pods::{Phase, is_ready, phase};
use crate::controllers::write::{Outcome, Write};

/// Failure is decided; what is left is to end and to count the pods.
const FAILING: &str = "FailureTarget";
/// Success is decided; what is left is to end and to count the pods.
const SUCCEEDING: &str = "SuccessCriteriaMet";

/// Completes the write of a status by the Event that tells of it.
type Announce<'a> = Box<dyn FnOnce(Write) -> Write + 'a>;

impl View<'_> {
    /// How the Job is going to end, if that is decided.
    pub(super) fn verdict(&self, outcome: &mut Outcome) -> Option<JobCondition> {
        if let Some(decided) = self.held(SUCCEEDING).or_else(|| self.held(FAILING)) {
            return Some(decided.clone());
        }
        let fails = |reason: &str, message: &str| Some(condition(FAILING, "True", reason, message, self.now));
        let succeeds =
            |reason: &str, message: &str| Some(condition(SUCCEEDING, "True", reason, message, self.now));
        let mut failed = self.pods.iter().filter(|pod| self.has_failed(pod));
        let fatal = failed.find_map(|pod| match self.judge(pod) {
            Failure::FailsJob(why) => Some(why),
            Failure::Counts | Failure::Ignored => None,
        });
        if let Some(why) = fatal {
            return fails("PodFailurePolicy", &why);
        }
        if self.failed() > self.failure_limit() || self.restarted_too_often() {
            return fails("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        match self.deadline() {
            Some(end) if end <= self.now => {
                return fails("DeadlineExceeded", "Job was active longer than specified deadline");
            }
            Some(end) => outcome.look_again_at(end),
            None => {}
        }
        if let Some(why) = self.success_policy(&self.succeeded_indexes()).filter(|_| self.is_indexed()) {
            return succeeds("SuccessPolicy", &why);
        }
        let complete = match self.completions() {
            None => self.succeeded() > 0,
            Some(completions) => self.succeeded() >= completions,
        };
        if complete && !self.pods.iter().any(|pod| is_active(pod)) {
            return succeeds("CompletionsReached", "Reached expected number of succeeded pods");
        }
        None
    }

    fn status(&self) -> JobStatus {
        self.job.status.clone().unwrap_or_default()
    }

    /// A condition of this type that is true.
    fn held(&self, kind: &str) -> Option<&JobCondition> {
        let conditions = self.job.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|one| one.type_ == kind && one.status == "True")
    }

    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.spec.active_deadline_seconds.filter(|_| !self.is_suspended())?;
        let start = self
            .job
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref())
            .map_or(self.now, |time| time.0);
        start.checked_add(SignedDuration::from_secs(seconds)).ok()
    }

    fn failure_limit(&self) -> usize {
        usize::try_from(self.spec.backoff_limit.unwrap_or(6)).unwrap_or(0)
    }

    /// With restart policy OnFailure containers start again in their pod; that counts like pods that fail.
    fn restarted_too_often(&self) -> bool {
        let policy = self.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        if policy != Some("OnFailure") {
            return false;
        }
        let at_work = |pod: &&Arc<Pod>| matches!(phase(pod), Phase::Running | Phase::Pending);
        let statuses = self.pods.iter().filter(at_work).filter_map(|pod| pod.status.as_ref());
        let containers = statuses.flat_map(|status| {
            status.container_statuses.iter().chain(&status.init_container_statuses).flatten()
        });
        let restarts: usize = containers.map(|one| usize::try_from(one.restart_count).unwrap_or(0)).sum();
        restarts > 0 && restarts >= self.failure_limit()
    }

    /// All successes: counted, noted and just seen.
    pub(super) fn succeeded(&self) -> usize {
        if self.is_indexed() {
            return self.succeeded_indexes().count();
        }
        let noted = self.noted(|noted| &noted.succeeded);
        let seen = self.fresh(&noted).filter(|pod| phase(pod) == Phase::Succeeded).count();
        number(self.status().succeeded) + noted.len() + seen
    }

    fn failed(&self) -> usize {
        let noted = self.noted(|noted| &noted.failed);
        let failed = self.fresh(&noted).filter(|pod| self.counts(pod) && self.has_failed(pod));
        let seen = failed.filter(|pod| self.judge(pod) != Failure::Ignored).count();
        number(self.status().failed) + noted.len() + seen
    }

    /// Pods that nothing is noted of.
    fn fresh<'a>(&'a self, noted: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.pods.iter().filter(|pod| is_tracked(pod) && !noted.contains(uid(pod)))
    }

    fn noted(&self, part: fn(&UncountedTerminatedPods) -> &Option<Vec<String>>) -> BTreeSet<String> {
        let status = self.job.status.as_ref();
        let noted = status.and_then(|status| status.uncounted_terminated_pods.as_ref());
        noted.and_then(|noted| part(noted).clone()).into_iter().flatten().collect()
    }

    /// Pods that are over, as far as this Job is concerned, and still carry its finalizer.
    pub(super) fn releasable(&self) -> Vec<&Arc<Pod>> {
        let decided = self.job.metadata.deletion_timestamp.is_some()
            || self.held(SUCCEEDING).is_some()
            || self.held(FAILING).is_some();
        self.over(decided).collect()
    }

    fn over(&self, decided: bool) -> impl Iterator<Item = &Arc<Pod>> {
        let is_over =
            move |pod: &&Arc<Pod>| decided || phase(pod) == Phase::Succeeded || self.has_failed(pod);
        self.pods.iter().filter(|pod| is_tracked(pod)).filter(is_over)
    }

    /// The Job with the status that it should have, and what to tell of the change.
    pub(super) fn report(&self, verdict: Option<JobCondition>) -> (Job, Announce<'_>) {
        let mut status = self.status();
        let active = self.active();
        if status.start_time.is_none() && !self.is_suspended() {
            status.start_time = Some(self.whole_second());
        }
        status.active = some(active.len());
        status.ready = Some(count(active.iter().filter(|pod| is_ready(pod)).count()));
        status.terminating = Some(count(self.terminating().count()));
        self.count_pods(&mut status, verdict.as_ref());
        let announce: Announce<'_> = match verdict {
            Some(verdict) => self.conclude(&mut status, &verdict),
            None if self.job.metadata.deletion_timestamp.is_some() => Box::new(|write| write),
            None => self.note_suspension(&mut status),
        };
        (Job { status: Some(status), ..self.job.clone() }, announce)
    }

    fn whole_second(&self) -> Time {
        Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now))
    }

    /// Counts noted pods that have let go of their finalizer, and notes those that are over.
    fn count_pods(&self, status: &mut JobStatus, verdict: Option<&JobCondition>) {
        let tracked: BTreeSet<&str> =
            self.pods.iter().filter(|pod| is_tracked(pod)).map(|pod| uid(pod)).collect();
        let is_tracked = |uid: &String| tracked.contains(uid.as_str());
        let (mut succeeded, counted): (Vec<_>, Vec<_>) =
            self.noted(|noted| &noted.succeeded).into_iter().partition(is_tracked);
        status.succeeded = some(number(status.succeeded) + counted.len());
        let (mut failed, counted): (Vec<_>, Vec<_>) =
            self.noted(|noted| &noted.failed).into_iter().partition(is_tracked);
        status.failed = some(number(status.failed) + counted.len());
        let failing = verdict.is_some_and(|verdict| verdict.type_ == FAILING);
        let decided = verdict.is_some() || self.job.metadata.deletion_timestamp.is_some();
        for pod in self.over(decided) {
            let uid = uid(pod).to_owned();
            if phase(pod) == Phase::Succeeded && !failed.contains(&uid) {
                if !self.is_indexed() && !succeeded.contains(&uid) {
                    succeeded.push(uid);
                }
            } else if (failing || self.has_failed(pod))
                && self.counts(pod)
                && !failed.contains(&uid)
                && self.judge(pod) != Failure::Ignored
            {
                failed.push(uid);
            }
        }
        if self.is_indexed() {
            let indexes = self.succeeded_indexes();
            status.succeeded = some(indexes.count());
            status.completed_indexes = Some(indexes.text()).filter(|text| !text.is_empty());
        }
        let list = |uids: Vec<String>| (!uids.is_empty()).then_some(uids);
        status.uncounted_terminated_pods =
            Some(UncountedTerminatedPods { failed: list(failed), succeeded: list(succeeded) });
    }

    /// Notes what is decided; once that is noted and every pod is ended and counted, that the Job is over.
    fn conclude(&self, status: &mut JobStatus, verdict: &JobCondition) -> Announce<'_> {
        let conditions = status.conditions.get_or_insert_default();
        let is_noted = self.held(&verdict.type_).is_some();
        if !is_noted {
            conditions.push(verdict.clone());
        }
        let noted = status.uncounted_terminated_pods.clone().unwrap_or_default();
        let waits = noted.failed.is_some() || noted.succeeded.is_some() || status.terminating != Some(0);
        if !is_noted || waits || self.over(true).next().is_some() {
            return Box::new(|write| write);
        }
        let (reason, message) =
            (verdict.reason.clone().unwrap_or_default(), verdict.message.clone().unwrap_or_default());
        let fails = verdict.type_ == FAILING;
        let end = condition(if fails { "Failed" } else { "Complete" }, "True", &reason, &message, self.now);
        if !fails {
            status.completion_time = end.last_transition_time.clone();
        }
        conditions.push(end);
        match (fails, failure_word(&reason)) {
            (true, word) => Box::new(move |write| write.warn(self.job, word, message)),
            (false, _) => Box::new(|write| write.announce(self.job, "Completed", "Job completed")),
        }
    }

    fn note_suspension(&self, status: &mut JobStatus) -> Announce<'_> {
        let now = self.whole_second();
        let conditions = status.conditions.get_or_insert_default();
        let place = conditions.iter().position(|one| one.type_ == "Suspended");
        let is_held = place.is_some_and(|place| conditions[place].status == "True");
        let announce: Announce<'_> = match (self.is_suspended(), is_held) {
            (true, false) => {
                let new = condition("Suspended", "True", "JobSuspended", "Job suspended", self.now);
                put(conditions, place, new);
                Box::new(|write| write.announce(self.job, "Suspended", "Job suspended"))
            }
            (false, true) => {
                put(
                    conditions,
                    place,
                    condition("Suspended", "False", "JobResumed", "Job resumed", self.now),
                );
                // Its time runs from now on.
                status.start_time = Some(now);
                Box::new(|write| write.announce(self.job, "Resumed", "Job resumed"))
            }
            (true, true) | (false, false) => Box::new(|write| write),
        };
        if status.conditions.as_ref().is_some_and(Vec::is_empty) {
            status.conditions = None;
        }
        announce
    }
}

fn put(conditions: &mut Vec<JobCondition>, place: Option<usize>, new: JobCondition) {
    match place {
        Some(place) => conditions[place] = new,
        None => conditions.push(new),
    }
}

/// The reason of the Event of a failed Job.
fn failure_word(reason: &str) -> &'static str {
    match reason {
        "PodFailurePolicy" => "PodFailurePolicy",
        "DeadlineExceeded" => "DeadlineExceeded",
        _ => "BackoffLimitExceeded",
    }
}

fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

fn number(count: Option<i32>) -> usize {
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Zero is left out, as the API does.
fn some(number: usize) -> Option<i32> {
    Some(count(number)).filter(|count| *count > 0)
}
