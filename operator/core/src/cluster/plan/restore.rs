//! A new cluster from a backup: one first member, whose volume a Job restores before anything may start on it; the others are added
//! afterwards, as to any cluster that grows. That the volume has been restored is recorded with it before its StatefulSet is made, so that from then on it
//! counts as one with data. Never runs once the cluster has formed.

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    Action, Concern, Context, Flow, Hold, Kind, Object, ObjectHold, PatchPurpose, Plan, SpecHold, Wait,
    bootstrap, change, permits,
};
use crate::backup::job;
use crate::backup::outcome::{Outcome, RestoredFrom, of_pod};
use crate::backup::restore_job::{self, Source, name_of};
use crate::cluster::observed::IssuedPermit;
use crate::cluster::render::fingerprint;
use crate::cluster::world::{Bootstrap, Issued, Member};
use crate::names::{ANNOTATION_CLAIM_UID, ANNOTATION_FINGERPRINT, LABEL_JOB, PermitId, RESTORE_CONTAINER};

/// A restore that failed is tried again after so long: stores come back, and a wrong name does not become right by asking more often.
const AGAIN: SignedDuration = SignedDuration::from_mins(2);
/// What stands in the record of a permit for a volume that was restored: nobody else's identity, and spent from the first.
const RESTORED: &str = "restored";

/// A digest of what says which backup the data comes from.
pub(super) fn digest(context: &Context<'_>) -> Option<String> {
    context.desired.restore.as_ref().map(fingerprint)
}

/// How many members the cluster begins with.
pub(super) fn first_members(context: &Context<'_>) -> usize {
    if context.desired.restore.is_some() { 1 } else { context.desired.size }
}

/// Has the only first member's volume restored, and ends the plan until it has been.
pub(super) fn seed(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let (Some(_), Some(bootstrap)) = (&context.desired.restore, &context.world.bootstrap) else {
        return Flow::Next;
    };
    let Some(name) = bootstrap.members.first() else { return Flow::Next };
    let Some(member) = context.world.member(name).filter(|member| member.has_objects()) else {
        bootstrap::create_volume(context, plan, bootstrap, name);
        return wait(plan, member_message(name.as_str(), "its volume is being made"));
    };
    if has_begun(member) {
        return Flow::Next;
    }
    let Some(claim_uid) = member.live_claim().and_then(ResourceExt::uid) else {
        return wait(plan, member_message(name.as_str(), "its volume is being deleted"));
    };
    let jobs = &context.world.observed.restore.jobs;
    let Some(live) = jobs.iter().find(|job| job.name_any() == name_of(name)) else {
        return match wanted_job(context, bootstrap, member, &claim_uid) {
            Ok(job) => create(plan, member, job),
            Err(message) => failed(plan, message),
        };
    };
    if !is_own(context, live) {
        plan.hold(Hold::Object(ObjectHold::NameTaken { kind: Kind::Job, name: live.name_any() }));
        return Flow::Stop;
    }
    if live.metadata.deletion_timestamp.is_some() {
        return wait(plan, member_message(name.as_str(), "its Job is being deleted"));
    }
    if live.annotations().get(ANNOTATION_CLAIM_UID) != Some(&claim_uid) {
        return delete(plan, member, live, "it restored a volume that is gone");
    }
    let is_outdated = || match wanted_job(context, bootstrap, member, &claim_uid) {
        Ok(wanted) => {
            wanted.annotations().get(ANNOTATION_FINGERPRINT) != live.annotations().get(ANNOTATION_FINGERPRINT)
        }
        // What it was made from is gone; it knows all that it needs.
        Err(_) => false,
    };
    if job::success(live).is_none() && is_outdated() {
        return delete(plan, member, live, "the spec has changed");
    }
    follow(context, plan, member, live)
}

/// Ends the Jobs of attempts that were abandoned: they hold volumes, and what their pods say is about nothing any more.
pub(super) fn end_earlier_jobs(context: &Context<'_>, plan: &mut Plan, bootstrap: &Bootstrap) {
    let present: Vec<String> = bootstrap.members.iter().map(name_of).collect();
    let jobs = context.world.observed.restore.jobs.iter();
    let is_left = |job: &&Job| {
        is_own(context, job)
            && !present.contains(&job.name_any())
            && job.metadata.deletion_timestamp.is_none()
    };
    for job in jobs.filter(is_left) {
        let action = change::delete(Kind::Job, job, "the attempt to form the cluster was abandoned");
        plan.act(Concern::Bootstrap, action);
    }
}

/// Size of the database that was restored, as far as its Job has told; 0 otherwise.
pub(super) fn database_bytes(context: &Context<'_>) -> u64 {
    restored_from(context).map_or(0, |from| from.database_bytes)
}

/// What the present first member was restored from, as its Job's pod has told.
fn restored_from(context: &Context<'_>) -> Option<RestoredFrom> {
    let name = context.world.bootstrap.as_ref()?.members.first()?;
    let pods = context.world.observed.restore.pods.iter().filter(|pod| is_of_job(pod, &name_of(name)));
    pods.filter_map(|pod| of_pod(pod, RESTORE_CONTAINER)).find_map(|outcome| match outcome {
        Outcome::Restored(from) => Some(from),
        Outcome::Taken(_) | Outcome::Deleted(_) | Outcome::Failed { .. } => None,
    })
}

fn is_of_job(pod: &Pod, job: &str) -> bool {
    pod.labels().get(LABEL_JOB).is_some_and(|name| name == job)
}

/// Whether anything may have started on the volume, or is about to.
fn has_begun(member: &Member<'_>) -> bool {
    let is_recorded = member.facts.as_ref().is_some_and(|facts| facts.issued != Issued::Never);
    is_recorded || member.stateful_set.is_some() || member.pod.is_some()
}

fn is_own(context: &Context<'_>, job: &Job) -> bool {
    job.owner_references().iter().any(|owner| owner.uid == context.world.cluster.uid)
}

fn member_message(member: &str, what: &str) -> String {
    format!("{member} is restored from a backup before it starts: {what}")
}

fn wait(plan: &mut Plan, message: String) -> Flow {
    plan.wait(Wait::Restore { message });
    Flow::Stop
}

fn failed(plan: &mut Plan, message: String) -> Flow {
    plan.hold(Hold::Spec(SpecHold::RestoreFailed { message }));
    Flow::Stop
}

/// The Job that the spec asks for now.
fn wanted_job(
    context: &Context<'_>,
    bootstrap: &Bootstrap,
    member: &Member<'_>,
    claim_uid: &str,
) -> Result<Job, String> {
    let observed = context.world.observed;
    let spec = context.desired.restore.as_ref().ok_or("the spec asks for no restore")?;
    let source = Source::parse(spec, observed.restore.backup.as_ref(), &observed.cluster)?;
    let target = bootstrap::wanted_target(context);
    let operator_image = &observed.settings.operator_image;
    let cluster = &context.world.cluster;
    Ok(restore_job::job(cluster, &member.name, claim_uid, &bootstrap.token, &target, operator_image, &source))
}

fn create(plan: &mut Plan, member: &Member<'_>, job: Job) -> Flow {
    plan.act_on_member(&member.name, Action::Create(Box::new(Object::Job(job))));
    wait(plan, member_message(member.name.as_str(), "its Job is being created"))
}

fn delete(plan: &mut Plan, member: &Member<'_>, job: &Job, because: &'static str) -> Flow {
    plan.act_on_member(&member.name, change::delete(Kind::Job, job, because));
    wait(plan, member_message(member.name.as_str(), "its Job is made anew"))
}

/// What the Job has come to.
fn follow(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, job: &Job) -> Flow {
    if job::success(job).is_some() {
        record(context, plan, member);
        return Flow::Next;
    }
    let observed = context.world.observed;
    let pods: Vec<&Pod> =
        observed.restore.pods.iter().filter(|pod| is_of_job(pod, &job.name_any())).collect();
    let said = job::last_failure(&pods, RESTORE_CONTAINER);
    let Some(over) = job::failure(job, observed.as_of) else {
        let again = said.map(|said| format!("an attempt failed: {said}"));
        let message = again.or_else(|| job::trouble(&pods, RESTORE_CONTAINER));
        let message = message.unwrap_or_else(|| "its Job runs".to_owned());
        return wait(plan, member_message(member.name.as_str(), &message));
    };
    let since = over.last_transition_time.as_ref().map(|time| observed.as_of.duration_since(time.0));
    if since.is_none_or(|since| since >= AGAIN) {
        plan.act_on_member(&member.name, change::delete(Kind::Job, job, "it failed, and is tried again"));
    }
    failed(plan, said.or_else(|| over.message.clone()).unwrap_or_default())
}

/// From here on the volume has data, whatever becomes of the Job: nobody deletes it, and nothing else is restored onto it.
fn record(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    let Some(keeper) = member.live_keeper() else { return };
    let metadata = keeper.metadata();
    let issued = IssuedPermit { id: PermitId(RESTORED.to_owned()), pod_uid: String::new(), spent: true };
    let annotations = permits::annotation(&issued);
    let operations = [vec![change::unchanged(metadata)], change::annotate(metadata, &annotations)].concat();
    let from = restored_from(context).map_or("a backup".to_owned(), |from| {
        let users = if from.authentication { ", in which users are in force" } else { "" };
        format!("backup {}{users}", from.backup)
    });
    let purpose = PatchPurpose::Restored { from };
    plan.act_on_member(&member.name, change::patch(change::target_of_keeper(keeper), operations, purpose));
}
