//! What a Job has come to, and what its pods say of themselves: the same for Jobs that take backups and for those that restore. It decides
//! nothing by that.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::outcome::{Outcome, of_pod};
use crate::pods::trouble::{describe_end, last_terminated, shortened, unschedulable, waiting};

/// A pod that is told to end may still say something for so long.
const SETTLED: SignedDuration = SignedDuration::from_mins(2);

fn condition<'j>(job: &'j Job, kind: &str) -> Option<&'j JobCondition> {
    let mut conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| condition.type_ == kind && condition.status == "True")
}

/// That it has succeeded. Kubernetes says so first as soon as it is certain, and again once every pod has ended, which one on a lost node
/// never does.
pub(crate) fn success(job: &Job) -> Option<&JobCondition> {
    condition(job, "SuccessCriteriaMet").or_else(|| condition(job, "Complete"))
}

/// That it has failed, once none of its pods can say anything else any more.
pub(crate) fn failure(job: &Job, as_of: Timestamp) -> Option<&JobCondition> {
    let is_settled = |condition: &&JobCondition| {
        let since = condition.last_transition_time.as_ref();
        since.is_none_or(|since| as_of.duration_since(since.0) >= SETTLED)
    };
    condition(job, "Failed").or_else(|| condition(job, "FailureTarget").filter(is_settled))
}

/// What keeps a Job's pod from running, as far as anybody says; nothing while one runs as it should.
pub(crate) fn trouble(pods: &[&Pod], container: &str) -> Option<String> {
    let quoted = pods.iter().find_map(|pod| unschedulable(pod).or_else(|| waiting(pod, container)));
    let ending = || {
        let ending = pods.iter().find(|pod| pod.metadata.deletion_timestamp.is_some())?;
        Some(format!("the pod {} does not end; its node may be lost", ending.name_any()))
    };
    let none = || {
        let message = "its Job has made no pod yet; if that lasts, the Events of the Job say why";
        pods.is_empty().then(|| message.to_owned())
    };
    quoted.map(|said| shortened(&said)).or_else(ending).or_else(none)
}

/// Why the last attempt that failed did, in its own words or else in those of Kubernetes.
pub(crate) fn last_failure(pods: &[&Pod], container: &str) -> Option<String> {
    let failed = pods.iter().filter(|pod| phase(pod) == Some("Failed"));
    let last = failed.max_by_key(|pod| pod.creation_timestamp().map(|time| time.0))?;
    let said = match of_pod(last, container) {
        Some(Outcome::Failed { message }) => Some(message),
        Some(Outcome::Taken(_) | Outcome::Restored(_) | Outcome::Deleted(_)) | None => None,
    };
    let of_pod = || last.status.as_ref()?.message.clone();
    let ended = || {
        let all = last.status.as_ref()?;
        let mut all = all.container_statuses.iter().chain(&all.init_container_statuses).flatten();
        all.find_map(last_terminated).map(describe_end)
    };
    Some(said.or_else(of_pod).or_else(ended).unwrap_or_else(|| "its pod failed".to_owned()))
}

/// The pod's phase, in Kubernetes' word.
pub(crate) fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}
