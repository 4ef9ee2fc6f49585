//! Pods made from a template that has since been put back, or that has since changed, are restarted: one at a time,
//! those that do not work first, the leader last and only after its leadership has moved. Never touches a volume.

use super::{Action, Context, Flow, Hold, Kind, Plan, change, safety};
use crate::names::{ANNOTATION_ACCEPTED_REVISION, LABEL_MEMBER};
use crate::world::Member;

/// The label that the StatefulSet controller puts on each pod: the revision that it was made from.
const LABEL_REVISION: &str = "controller-revision-hash";

/// Restarts one outdated pod, when all others are well.
pub(super) fn outdated_pods(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if let Some(ending) =
        context.world.listed().find(|member| member.pod.is_some() && member.live_pod().is_none())
    {
        plan.hold(Hold::WaitingForPod { member: ending.name.clone() });
    }
    let mut outdated: Vec<&Member<'_>> =
        context.world.listed().filter(|member| is_outdated(plan, member)).collect();
    outdated.sort_by_key(|member| (member.votes(), context.world.leads(member), member.name.clone()));
    let Some(member) = outdated.first() else { return Flow::Next };
    // A container that does not run cannot be disturbed, and may never run from the template that its pod was made from.
    if !member.etcd_container_runs() {
        restart(plan, member);
        return Flow::Stop;
    }
    if let Some(message) = reason_to_wait(context, plan, member) {
        plan.hold(Hold::WaitingToRestart { member: member.name.clone(), message });
        return Flow::Stop;
    }
    match successor(context, member) {
        Some(action) => plan.act(action),
        None => restart(plan, member),
    }
    Flow::Stop
}

/// Without a quorum only pods whose container does not run are made anew: nothing that serves is disturbed.
pub(super) fn stopped_pods(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let members = context.world.members.values();
    let stopped: Vec<&Member<'_>> = members
        .filter(|member| {
            member.live_claim().is_some() && !member.etcd_container_runs() && is_outdated(plan, member)
        })
        .collect();
    for member in stopped {
        restart(plan, member);
    }
    Flow::Next
}

/// Whether the pod was made from another revision than the StatefulSet's current one. Kubernetes names revisions by their
/// content, so a template that was changed and put back has its old revision again. The pod's own content is not
/// compared: admission webhooks may have added to it, and would again.
fn is_outdated(plan: &Plan, member: &Member<'_>) -> bool {
    let (Some(live), Some(pod)) = (member.stateful_set, member.live_pod()) else { return false };
    let is_being_changed = plan.actions.iter().any(|action| {
        matches!(action, Action::Patch(patch)
            if patch.target.kind == Kind::StatefulSet && patch.target.name == member.name.as_str())
    });
    let Some(status) =
        live.status.as_ref().filter(|status| status.observed_generation == live.metadata.generation)
    else {
        return false;
    };
    let current = status.update_revision.as_ref();
    let accepted = live.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_ACCEPTED_REVISION));
    let labels = pod.metadata.labels.as_ref();
    let is_of_member = labels.and_then(|labels| labels.get(LABEL_MEMBER)).is_some();
    let Some(revision) = labels.and_then(|labels| labels.get(LABEL_REVISION)) else { return false };
    !is_being_changed
        && is_of_member
        && current.is_some()
        && current != Some(revision)
        && accepted != Some(revision)
}

/// Why the pod may not be restarted now.
fn reason_to_wait(context: &Context<'_>, plan: &Plan, member: &Member<'_>) -> Option<String> {
    let others: Vec<String> = safety::unhealthy_voters(context)
        .into_iter()
        .filter(|name| *name != member.name)
        .map(|name| name.to_string())
        .collect();
    if !others.is_empty() {
        return Some(format!("not healthy: {}", others.join(", ")));
    }
    if context.world.listed().count() != context.desired.size || context.world.learner().is_some() {
        return Some("members are being added or removed".to_owned());
    }
    if plan
        .holds
        .iter()
        .any(|hold| matches!(hold, Hold::WaitingForPod { .. } | Hold::WaitingForCleanup { .. }))
    {
        return Some("a pod still ends".to_owned());
    }
    (!safety::may_restart(context, member)).then(|| "the others are no quorum".to_owned())
}

/// Moves the leadership away from the member, if it has it and there is somebody to take it: whoever has most of the log.
fn successor(context: &Context<'_>, member: &Member<'_>) -> Option<Action> {
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

fn restart(plan: &mut Plan, member: &Member<'_>) {
    if let Some(pod) = member.live_pod() {
        plan.act(change::delete(Kind::Pod, pod, "it was made from an outdated template"));
    }
}
