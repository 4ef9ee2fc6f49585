//! A new cluster from a backup: one first member, whose volume a Job restores before anything may start on it; the others are added
//! afterwards, as to any cluster that grows. That the volume has been restored is recorded with it before its StatefulSet is made, so that from then on it
//! counts as one with data. Never runs once the cluster has formed.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::{
    Action, Context, Flow, Hold, Kind, Object, ObjectHold, PatchPurpose, Plan, SpecHold, Wait, bootstrap,
    change,
};
use crate::backup::outcome::{Outcome, of_pod};
use crate::backup::restore_job::{Source, job, name_of};
use crate::cluster::observed::IssuedPermit;
use crate::cluster::render::fingerprint;
use crate::cluster::world::{Bootstrap, Issued, Member};
use crate::names::{ANNOTATION_CLAIM_UID, ANNOTATION_PERMIT_ISSUED, PermitId, RESTORE_CONTAINER};
use crate::pods::trouble::{describe_end, last_terminated, shortened, status_of, unschedulable, waiting};

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
    match jobs.iter().find(|job| job.name_any() == name_of(name)) {
        None => create(context, plan, bootstrap, member, &claim_uid),
        Some(job) if !is_own(context, job) => {
            plan.hold(Hold::Object(ObjectHold::NameTaken { kind: Kind::Job, name: job.name_any() }));
            Flow::Stop
        }
        Some(job) if job.annotations().get(ANNOTATION_CLAIM_UID) != Some(&claim_uid) => {
            delete(plan, member, job, "it restored a volume that is gone")
        }
        Some(job) => follow(context, plan, member, job),
    }
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

fn create(
    context: &Context<'_>,
    plan: &mut Plan,
    bootstrap: &Bootstrap,
    member: &Member<'_>,
    claim_uid: &str,
) -> Flow {
    let observed = context.world.observed;
    let Some(spec) = &context.desired.restore else { return Flow::Next };
    let source = match Source::parse(spec, observed.restore.backup.as_ref(), &observed.cluster) {
        Ok(source) => source,
        Err(message) => return failed(plan, message),
    };
    let target = super::stateful_sets::target(context, member);
    let operator_image = &observed.settings.operator_image;
    let cluster = &context.world.cluster;
    let job = job(cluster, &member.name, claim_uid, &bootstrap.token, &target, operator_image, &source);
    plan.act_on_member(&member.name, Action::Create(Box::new(Object::Job(job))));
    wait(plan, member_message(member.name.as_str(), "its Job is being created"))
}

fn delete(plan: &mut Plan, member: &Member<'_>, job: &Job, because: &'static str) -> Flow {
    plan.act_on_member(&member.name, change::delete(Kind::Job, job, because));
    wait(plan, member_message(member.name.as_str(), "its Job is made anew"))
}

/// What the Job has come to.
fn follow(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, job: &Job) -> Flow {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is = |kind: &str| {
        let mut conditions = conditions.clone();
        conditions.find(|condition| condition.type_ == kind && condition.status == "True")
    };
    if is("Complete").is_some() {
        record(context, plan, member);
        return Flow::Next;
    }
    let Some(over) = is("Failed") else {
        return wait(plan, member_message(member.name.as_str(), &progress(context)));
    };
    let since =
        over.last_transition_time.as_ref().map(|time| context.world.observed.as_of.duration_since(time.0));
    if job.metadata.deletion_timestamp.is_none() && since.is_none_or(|since| since >= AGAIN) {
        plan.act_on_member(&member.name, change::delete(Kind::Job, job, "it failed, and is tried again"));
    }
    let of_job = over.message.clone().unwrap_or_default();
    failed(plan, last_words(context).unwrap_or(of_job))
}

/// From here on the volume has data, whatever becomes of the Job: nobody deletes it, and nothing else is restored onto it.
fn record(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    let Some(keeper) = member.live_keeper() else { return };
    let metadata = keeper.metadata();
    let issued = IssuedPermit { id: PermitId(RESTORED.to_owned()), pod_uid: String::new(), spent: true };
    let value = serde_json::to_string(&issued).expect("a permit's record is plain data");
    let annotations: BTreeMap<String, String> = [(ANNOTATION_PERMIT_ISSUED.to_owned(), value)].into();
    let operations = [vec![change::unchanged(metadata)], change::annotate(metadata, &annotations)].concat();
    let backup =
        context.world.observed.restore.pods.iter().find_map(|pod| match of_pod(pod, RESTORE_CONTAINER)? {
            Outcome::Restored { backup } => Some(backup.to_string()),
            Outcome::Taken(_) | Outcome::Failed { .. } => None,
        });
    let from = backup.map_or("a backup".to_owned(), |backup| format!("backup {backup}"));
    let purpose = PatchPurpose::Restored { from };
    plan.act_on_member(&member.name, change::patch(change::target_of_keeper(keeper), operations, purpose));
}

/// What keeps the Job's pod, if anything does.
fn progress(context: &Context<'_>) -> String {
    let pods = &context.world.observed.restore.pods;
    let trouble = pods.iter().find_map(|pod| unschedulable(pod).or_else(|| waiting(pod, RESTORE_CONTAINER)));
    let again = || last_words(context).map(|said| format!("an attempt failed: {said}"));
    trouble.map(|said| shortened(&said)).or_else(again).unwrap_or_else(|| "its Job runs".to_owned())
}

/// Why an attempt failed, in its own words or else in those of Kubernetes.
fn last_words(context: &Context<'_>) -> Option<String> {
    let ended = context.world.observed.restore.pods.iter().filter_map(|pod| {
        let ended = last_terminated(status_of(pod, RESTORE_CONTAINER)?)?;
        Some((pod.creation_timestamp().map(|time| time.0), pod, ended))
    });
    let (_, pod, ended) = ended.max_by_key(|(created, _, _)| *created)?;
    match of_pod(pod, RESTORE_CONTAINER) {
        Some(Outcome::Failed { message }) => Some(message),
        Some(Outcome::Taken(_) | Outcome::Restored { .. }) => None,
        None => Some(describe_end(ended)),
    }
}
