//! Labels of live pods: the role that Service and budget select by, and the labels that make the pod a member's. Never
//! restarts a pod.

use super::{Context, Flow, Kind, PatchPurpose, Plan, change};
use crate::names::{LABEL_ROLE, Role};

/// Labels every live pod of a listed member.
pub(super) fn on_pods(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.listed() {
        let Some(pod) = member.live_pod() else { continue };
        let role = if member.is_voter() { Role::Voter } else { Role::Learner };
        let mut wanted = context.world.cluster.member_labels(&member.name);
        wanted.insert(LABEL_ROLE.to_owned(), role.as_str().to_owned());
        let differing = change::differing(pod.metadata.labels.as_ref(), wanted);
        if differing.is_empty() {
            continue;
        }
        let is_role_only = differing.keys().all(|key| key == LABEL_ROLE);
        let purpose = if is_role_only {
            PatchPurpose::LabelRole { role: role.as_str() }
        } else {
            PatchPurpose::Restore {
                fields: differing.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            }
        };
        let operations = change::label(&pod.metadata, &differing);
        plan.act(change::patch(change::target(Kind::Pod, pod), operations, purpose));
    }
    Flow::Next
}
