//! Labels of live pods: the role that Service and budget select by, and the labels that make the pod a member's. Never
//! restarts a pod.

use super::{Context, Flow, Kind, PatchPurpose, Plan, change, stateful_sets};
use crate::cluster::world::Member;
use crate::names::{LABEL_ROLE, Role};

/// Labels every live pod of a listed member.
pub(super) fn on_pods(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.listed() {
        let role = if member.is_voter() { Role::Voter } else { Role::Learner };
        label(context, plan, member, role);
    }
    Flow::Next
}

/// The same while the list cannot be read: each pod by the role that its template gives it. Without its labels nobody reaches a
/// pod by its Service, and so it might be the labels that the quorum is missing.
pub(super) fn on_pods_of_volumes(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.members.values() {
        if stateful_sets::has_used_volume(context, member) {
            label(context, plan, member, stateful_sets::live_role(member));
        }
    }
    Flow::Next
}

fn label(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, role: Role) {
    let Some(pod) = member.live_pod() else { return };
    let wanted = context.world.cluster.pod_labels(&member.name, role);
    let differing = change::differing(pod.metadata.labels.as_ref(), wanted);
    if differing.is_empty() {
        return;
    }
    let purpose = if differing.keys().all(|key| key == LABEL_ROLE) {
        PatchPurpose::LabelRole { role: role.as_str() }
    } else {
        PatchPurpose::Restore {
            fields: differing.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        }
    };
    let operations = change::label(&pod.metadata, &differing);
    plan.act_on_pod(&member.name, change::patch(change::target(Kind::Pod, pod), operations, purpose));
}
