//! The Job controller: pods until enough of them have succeeded, or too many have failed. Pure.
//!
//! The order of its steps, which users see, is that of Kubernetes
//! (<https://kubernetes.io/docs/concepts/workloads/controllers/job/>): a pod that ended is first noted in the Job's
//! status, then its finalizer is taken off, then it is counted; so no pod is counted twice or never, whatever happens
//! in between. Nothing is remembered between two looks: the times at which failed pods are replaced are computed from
//! the pods that failed.

mod backoff;
pub(super) mod finished;
mod indexes;
mod manage;
mod policy;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::pods::{self, Claim, Phase, controller_of, has_ended, is_terminating, phase};
use super::snapshot::Snapshot;
use super::write::{Outcome, Write};
use indexes::Indexes;

/// Holds an ended pod until it is noted in the status of its Job.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Which of a Job's completions a pod is: its annotation and its label.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The one value of `spec.managedBy` that means this controller.
const OWN_NAME: &str = "kubernetes.io/job-controller";

/// Brings every Job nearer to its end.
pub(crate) fn reconcile(snapshot: &Snapshot, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for job in snapshot.jobs.iter() {
        if let Some(spec) = &job.spec
            && is_ours(spec)
            && finished::condition(job).is_none()
        {
            reconcile_job(snapshot, job, spec, now, &mut outcome);
        }
    }
    outcome.writes.extend(snapshot.pods.iter().filter_map(|pod| free_orphan(snapshot, pod)));
    outcome
}

fn is_ours(spec: &JobSpec) -> bool {
    spec.managed_by.as_deref().is_none_or(|name| name == OWN_NAME)
}

/// A Job together with its pods, and what can be read from them.
struct View<'a> {
    job: &'a Job,
    spec: &'a JobSpec,
    pods: Vec<Arc<Pod>>,
    now: Timestamp,
}

fn reconcile_job(snapshot: &Snapshot, job: &Job, spec: &JobSpec, now: Timestamp, outcome: &mut Outcome) {
    let (pods, claims) = claim_pods(snapshot, job, spec);
    if !claims.is_empty() {
        outcome.writes.extend(claims);
        return;
    }
    let view = View { job, spec, pods, now };
    let verdict = view.verdict(outcome);
    let changes = view.change_pods(verdict.as_ref(), outcome);
    // What the pods will be after these writes is reported at the next look, which follows at once.
    if !changes.is_empty() && !view.creation_is_stuck() {
        outcome.writes.extend(changes);
        return;
    }
    let (reported, announce) = view.report(verdict);
    match Write::update_status(job, &reported) {
        Some(write) => outcome.writes.push(announce(write)),
        // All that ended is noted.
        None => outcome.writes.extend(view.releasable().into_iter().filter_map(|pod| without_finalizer(pod))),
    }
    outcome.writes.extend(changes);
}

/// The Job's pods, and the writes that adopt or release others.
fn claim_pods(snapshot: &Snapshot, job: &Job, spec: &JobSpec) -> (Vec<Arc<Pod>>, Vec<Write>) {
    let (mut owned, mut writes) = (Vec::new(), Vec::new());
    let Some(selector) = &spec.selector else { return (owned, writes) };
    for pod in snapshot.pods.in_namespace(job.metadata.namespace.as_deref().unwrap_or_default()) {
        match pods::claim(&pod.metadata, &job.metadata, selector) {
            Claim::Owned => owned.push(pod.clone()),
            Claim::Adopt => writes.extend(adopt(pod, job)),
            Claim::Release => writes.extend(release(pod, job)),
            Claim::Foreign => {}
        }
    }
    (owned, writes)
}

fn adopt(pod: &Pod, job: &Job) -> Option<Write> {
    let mut adopted = pod.clone();
    adopted.metadata.owner_references.get_or_insert_default().push(super::write::controlled_by(job));
    add_finalizer(&mut adopted.metadata);
    Some(Write::update(pod, &adopted)?.while_stays(job))
}

fn release(pod: &Pod, job: &Job) -> Option<Write> {
    let mut released = pod.clone();
    let owners = released.metadata.owner_references.get_or_insert_default();
    owners.retain(|reference| Some(&reference.uid) != job.metadata.uid.as_ref());
    remove_finalizer(&mut released.metadata);
    Write::update(pod, &released)
}

fn add_finalizer(meta: &mut ObjectMeta) {
    let finalizers = meta.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|one| one == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
}

fn remove_finalizer(meta: &mut ObjectMeta) {
    let finalizers = meta.finalizers.take().unwrap_or_default();
    let kept: Vec<String> = finalizers.into_iter().filter(|one| one != FINALIZER).collect();
    meta.finalizers = (!kept.is_empty()).then_some(kept);
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|one| one == FINALIZER)
}

fn without_finalizer(pod: &Pod) -> Option<Write> {
    let mut freed = pod.clone();
    remove_finalizer(&mut freed.metadata);
    Write::update(pod, &freed)
}

/// Frees a pod whose Job is gone, has finished or never was.
fn free_orphan(snapshot: &Snapshot, pod: &Pod) -> Option<Write> {
    if !is_tracked(pod) {
        return None;
    }
    let owner = controller_of(&pod.metadata).filter(|owner| owner.kind == "Job");
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let job = owner.and_then(|owner| {
        snapshot.jobs.get(namespace, &owner.name).filter(|job| job.metadata.uid.as_ref() == Some(&owner.uid))
    });
    let tracked = job.is_some_and(|job| {
        finished::condition(job).is_none() || job.spec.as_ref().is_some_and(|spec| !is_ours(spec))
    });
    let adoptable = owner.is_none() && will_be_adopted(snapshot, pod);
    if tracked || adoptable { None } else { without_finalizer(pod) }
}

fn will_be_adopted(snapshot: &Snapshot, pod: &Pod) -> bool {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    snapshot.jobs.in_namespace(namespace).any(|job| {
        let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| pods::claim(&pod.metadata, &job.metadata, selector) == Claim::Adopt)
    })
}

impl View<'_> {
    fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    fn completions(&self) -> Option<usize> {
        self.spec.completions.map(|count| usize::try_from(count).unwrap_or(0))
    }

    fn active(&self) -> Vec<Arc<Pod>> {
        self.pods.iter().filter(|pod| is_active(pod)).cloned().collect()
    }

    /// Pods under deletion that have not ended.
    fn terminating(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter().filter(|pod| is_terminating(pod) && !has_ended(pod))
    }

    /// Whether a pod on its way out is waited for before another takes its place.
    fn replaces_only_failed(&self) -> bool {
        self.spec.pod_failure_policy.is_some()
            || self.spec.pod_replacement_policy.as_deref() == Some("Failed")
    }

    /// Whether a pod counts as failed. One that is being deleted never reaches that phase, perhaps.
    fn has_failed(&self, pod: &Pod) -> bool {
        match phase(pod) {
            Phase::Failed => true,
            Phase::Succeeded => false,
            Phase::Pending | Phase::Running | Phase::Unknown => {
                is_terminating(pod) && !self.replaces_only_failed()
            }
        }
    }

    /// Which completion a pod is, if it is one of this Job's.
    fn index(&self, pod: &Pod) -> Option<usize> {
        let index: usize = pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()?;
        self.completions().is_none_or(|completions| index < completions).then_some(index)
    }

    /// Whether the end of a pod counts at all: in an indexed Job, only with a valid index.
    fn counts(&self, pod: &Pod) -> bool {
        !self.is_indexed() || self.index(pod).is_some()
    }

    /// The completions that are there, those noted in the status and those just seen.
    fn succeeded_indexes(&self) -> Indexes {
        let mut indexes = self.noted_indexes();
        let succeeded = self.pods.iter().filter(|pod| is_tracked(pod) && phase(pod) == Phase::Succeeded);
        indexes.extend(succeeded.filter_map(|pod| self.index(pod)));
        indexes
    }

    fn noted_indexes(&self) -> Indexes {
        let noted = self.job.status.as_ref().and_then(|status| status.completed_indexes.as_deref());
        Indexes::parse(noted.unwrap_or_default(), self.completions().unwrap_or(0))
    }

    /// A Job whose first pods are still missing after this long has pods that the API server refuses.
    fn creation_is_stuck(&self) -> bool {
        let started = self.job.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let created = self.job.metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0);
        !started && self.now.duration_since(created) > jiff::SignedDuration::from_secs(2)
    }
}

fn is_active(pod: &Pod) -> bool {
    !has_ended(pod) && !is_terminating(pod)
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    // Times of the API are whole seconds.
    let time = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        message: Some(message.to_owned()).filter(|message| !message.is_empty()),
        last_probe_time: Some(time.clone()),
        last_transition_time: Some(time),
    }
}
