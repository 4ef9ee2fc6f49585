//! Pods made from a template that has since been put back, or that has since changed, are restarted: one at a time,
//! those that do not work first, the leader last and only after its leadership has moved. Never touches a volume.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    Action, Concern, Context, Evict, Flow, Kind, Plan, Wait, change, cleanup, quota, safety, stateful_sets,
    tls,
};
use crate::cluster::observed::AlarmKind;
use crate::cluster::target::Target;
use crate::cluster::world::Member;
use crate::names::{ANNOTATION_ACCEPTED_REVISION, ANNOTATION_TARGET};

/// The label that the StatefulSet controller puts on each pod: the revision that it was made from.
const LABEL_REVISION: &str = "controller-revision-hash";
const BECAUSE: &str = "it was made from an outdated template";

/// Restarts one outdated pod, when all others are well.
pub(super) fn outdated_pods(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for waited_for in context.world.listed().filter(|member| is_ending(member) || is_undecided(member)) {
        plan.wait(Wait::Pod { member: waited_for.name.clone() });
    }
    // A pod whose volume is being deleted would take the data with it: its member is replaced first.
    let mut outdated: Vec<&Member<'_>> = context
        .world
        .listed()
        .filter(|member| {
            may_be_made_anew(member) && member.etcd_container_runs() && is_outdated(context, member)
        })
        .collect();
    outdated.sort_by_key(|member| in_turn(context, member));
    let Some(member) = outdated.first() else { return Flow::Next };
    if let Some(message) = reason_to_wait(context, member) {
        plan.wait(Wait::Restart { member: member.name.clone(), message });
        return Flow::Stop;
    }
    match successor(context, member) {
        Some(action) => plan.act(Concern::Membership, action),
        None => restart(plan, member),
    }
    Flow::Stop
}

/// Makes outdated pods anew whose container does not run: it cannot be disturbed, and may never run from the template that its pod
/// was made from. That asks for no quorum.
pub(super) fn stopped_pods(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let is_member = |member: &&Member<'_>| context.world.list.is_none() || member.listed.is_some();
    for member in context.world.members.values().filter(is_member) {
        if is_stopped(member) && is_outdated(context, member) {
            delete_pod(plan, member);
        }
    }
    Flow::Next
}

fn is_stopped(member: &Member<'_>) -> bool {
    may_be_made_anew(member) && !member.etcd_container_runs()
}

/// Whether a member's data outlives its pod, or there is none.
fn may_be_made_anew(member: &Member<'_>) -> bool {
    member.has_storage() && !member.is_lost_with_its_pod()
}

/// Whose turn is first: who does not work, then the followers, then the leader.
pub(super) fn in_turn(context: &Context<'_>, member: &Member<'_>) -> (bool, bool, crate::names::MemberName) {
    (member.votes(), context.world.leads(member), member.name.clone())
}

fn is_ending(member: &Member<'_>) -> bool {
    member.pod.is_some() && member.live_pod().is_none()
}

/// Whether it will only show which template the pod was made from: until then nobody may call the member up to date.
fn is_undecided(member: &Member<'_>) -> bool {
    member.live_pod().is_some() && member.stateful_set.is_some() && standing(member) == Standing::NotKnownYet
}

/// How a pod stands to its StatefulSet's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It was made from it, or from one that differs in nothing that it must follow.
    InStep,
    /// It was made from another one.
    Outdated,
    /// The controller has not said which revision the template is.
    NotKnownYet,
}

/// Kubernetes names revisions by their content, so a template that was changed and put back has its old revision again. The pod's
/// own content is not compared: admission webhooks may have added to it, and would again.
fn standing(member: &Member<'_>) -> Standing {
    let (Some(live), Some(pod)) = (member.stateful_set, member.live_pod()) else {
        return Standing::NotKnownYet;
    };
    let status = live.status.as_ref().filter(|status| status.observed_generation == live.metadata.generation);
    let Some(current) = status.and_then(|status| status.update_revision.as_ref()) else {
        return Standing::NotKnownYet;
    };
    let bears_target = bears_target(pod, live);
    let Some(revision) = pod.labels().get(LABEL_REVISION) else {
        // Whoever took its labels took this one too, and nobody puts it back. The mark of its target is all that is left.
        return if bears_target { Standing::InStep } else { Standing::NotKnownYet };
    };
    let is_accepted = live.annotations().get(ANNOTATION_ACCEPTED_REVISION) == Some(revision);
    if revision == current || (is_accepted && bears_target) { Standing::InStep } else { Standing::Outdated }
}

/// Whether the pod is to be made anew. Not while its template is about to change.
pub(super) fn is_outdated(context: &Context<'_>, member: &Member<'_>) -> bool {
    standing(member) == Standing::Outdated && !stateful_sets::is_template_to_change(context, member)
}

/// Whether the pod runs from the template that its member's target gives.
pub(super) fn is_in_step(context: &Context<'_>, member: &Member<'_>) -> bool {
    standing(member) == Standing::InStep && !stateful_sets::is_template_to_change(context, member)
}

/// Which revision a pod may keep when its template changes in nothing that it must follow.
pub(super) enum Acceptance {
    /// This one.
    Of(String),
    /// There is nothing to keep.
    None,
    /// That shows once the controller has looked at the template.
    NotKnownYet,
}

/// The pod's revision, if the pod needs no restart for the change. After a template was changed by somebody else that is known
/// only of a pod that was made before: one that was accepted then, or that bears the mark of its target and serves.
pub(super) fn revision_to_accept(member: &Member<'_>, live: &StatefulSet, is_repair: bool) -> Acceptance {
    let Some(pod) = member.live_pod() else { return Acceptance::None };
    let Some(revision) = pod.labels().get(LABEL_REVISION) else { return Acceptance::None };
    let is_accepted = live.annotations().get(ANNOTATION_ACCEPTED_REVISION) == Some(revision);
    let was_made_before = is_accepted || member.votes();
    match (standing(member), is_repair) {
        (Standing::NotKnownYet, _) => Acceptance::NotKnownYet,
        (Standing::InStep, false) => Acceptance::Of(revision.clone()),
        (Standing::InStep, true) if is_accepted => Acceptance::Of(revision.clone()),
        (Standing::Outdated, true) if was_made_before && bears_target(pod, live) => {
            Acceptance::Of(revision.clone())
        }
        (Standing::Outdated, _) | (Standing::InStep, true) => Acceptance::None,
    }
}

/// Whether a pod was made from what its template is rendered from. The template says so by its mark. Pods of earlier operators bear
/// none; of those it is known by what their own container runs.
fn bears_target(pod: &Pod, live: &StatefulSet) -> bool {
    let template = live.spec.as_ref().map(|spec| &spec.template);
    let of_template = template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref());
    let of_template = of_template.and_then(|annotations| annotations.get(ANNOTATION_TARGET));
    match pod.annotations().get(ANNOTATION_TARGET) {
        Some(of_pod) => Some(of_pod) == of_template,
        None => {
            let pods = [pod.spec.as_ref(), template.and_then(|template| template.spec.as_ref())];
            match pods.map(|spec| spec.and_then(Target::of_pod_spec)) {
                [Some(of_pod), Some(of_template)] => of_pod.includes(&of_template),
                _ => false,
            }
        }
    }
}

/// Why the pod may not be restarted now.
pub(super) fn reason_to_wait(context: &Context<'_>, member: &Member<'_>) -> Option<String> {
    let world = context.world;
    let others: Vec<String> = safety::unhealthy_voters(context)
        .into_iter()
        .filter(|name| *name != member.name)
        .map(|name| name.to_string())
        .collect();
    if !others.is_empty() {
        return Some(format!("not healthy: {}", others.join(", ")));
    }
    if let Some(message) = reason_of_alarms(context) {
        return Some(message);
    }
    if world.listed().count() != context.desired.size || world.learner().is_some() {
        return Some("members are being added or removed".to_owned());
    }
    if let Some(ending) = world.listed().find(|other| other.is_volume_ending()) {
        return Some(format!("the volume of {} is being deleted, and it is replaced first", ending.name));
    }
    if let Some(message) = reason_of_pods(context).or_else(|| tls::reason_to_wait(context, member)) {
        return Some(message);
    }
    (!safety::may_restart(context, member)).then(|| "the others are no quorum".to_owned())
}

/// Why nothing that is planned may be done to any member now.
pub(super) fn reason_for_all_to_wait(context: &Context<'_>) -> Option<String> {
    reason_of_alarms(context).or_else(|| reason_of_pods(context))
}

fn reason_of_pods(context: &Context<'_>) -> Option<String> {
    let is_under_way = context.world.listed().any(is_ending) || cleanup::is_cleaning(context);
    is_under_way.then(|| "a pod is still terminating".to_owned())
}

/// A full database stops nothing that makes room for it.
fn reason_of_alarms(context: &Context<'_>) -> Option<String> {
    let counts = |kind: AlarmKind| kind != AlarmKind::NoSpace || !quota::makes_room(context);
    let (alarmed, alarm) = context.world.raised_alarms().find(|(_, kind)| counts(*kind))?;
    Some(format!("etcd has raised the alarm {} for {}", alarm.as_str(), alarmed.name))
}

/// Moves the leadership away from the member, if it has it and there is somebody to take it: whoever has most of the log.
pub(super) fn successor(context: &Context<'_>, member: &Member<'_>) -> Option<Action> {
    let list = context.world.list?;
    if !context.world.leads(member) {
        return None;
    }
    let others = context.world.voters().filter(|other| other.votes() && other.name != member.name);
    let to = others.max_by_key(|other| other.etcd().map(|etcd| etcd.raft_index))?;
    Some(Action::MoveLeader {
        from: member.name.clone(),
        from_id: member.id()?,
        to: to.name.clone(),
        to_id: to.id()?,
        planned_on: Context::planned_on(list),
    })
}

/// A pod that serves goes by eviction, so that a drain at the same moment and this restart count each other.
fn restart(plan: &mut Plan, member: &Member<'_>) {
    match member.live_pod() {
        Some(pod) if member.votes() => {
            let evict = Evict { target: change::target(Kind::Pod, pod), because: BECAUSE.to_owned() };
            plan.act_on_pod(&member.name, Action::Evict(evict));
        }
        Some(_) | None => delete_pod(plan, member),
    }
}

pub(super) fn delete_pod(plan: &mut Plan, member: &Member<'_>) {
    if let Some(pod) = member.live_pod() {
        plan.act_on_pod(&member.name, change::delete(Kind::Pod, pod, BECAUSE));
    }
}
