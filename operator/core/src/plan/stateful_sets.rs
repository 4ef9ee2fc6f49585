//! The members' StatefulSets: made when missing, put back when changed, followed when the role or the spec changes.
//! Never restarts a pod: a changed template waits for the pod's own turn.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;

use super::{Action, Context, Flow, Kind, Object, Plan, change};
use crate::names::{
    ANNOTATION_ACCEPTED_REVISION, ANNOTATION_FINGERPRINT, INSTALL_GATE_CONTAINER, LABEL_ROLE, Role,
};
use crate::render::{self, Common, compare};
use crate::world::{Issued, Member};

/// Of every member in the list whose volume is there.
pub(super) fn of_listed(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.listed().filter(|member| member.live_claim().is_some()) {
        let role = if member.is_voter() { Role::Voter } else { Role::Learner };
        keep(context, plan, member, role);
    }
    Flow::Next
}

/// Of every member that has a used volume, when the list cannot be read: who is a member cannot be known then, and a pod
/// too many does no harm, because its gate or its peers refuse it.
pub(super) fn of_volumes(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.members.values().filter(|member| has_used_volume(context, member)) {
        keep(context, plan, member, live_role(member));
    }
    Flow::Next
}

fn has_used_volume(context: &Context<'_>, member: &Member<'_>) -> bool {
    member.live_claim().is_some()
        && member.facts.as_ref().is_some_and(|facts| {
            facts.is_of(&context.world.cluster) && !facts.set_aside && facts.issued != Issued::Never
        })
}

/// The role that the live template bears; a voter's if it bears none.
fn live_role(member: &Member<'_>) -> Role {
    let labels =
        member.stateful_set.and_then(|live| live.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref());
    match labels.and_then(|labels| labels.get(LABEL_ROLE)) {
        Some(role) if role == Role::Learner.as_str() => Role::Learner,
        Some(_) | None => Role::Voter,
    }
}

/// Makes or mends one.
pub(super) fn keep(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, role: Role) {
    let Some(live) = member.stateful_set else {
        let rendered = render::stateful_set(&context.common, &member.name, role);
        plan.act(Action::Create(Box::new(Object::StatefulSet(rendered))));
        return;
    };
    if live.metadata.deletion_timestamp.is_some() {
        return;
    }
    let common = Common { operator_image: gate_image(context, member, live), ..context.common };
    let rendered = render::stateful_set(&common, &member.name, role);
    let difference = compare::difference(live, &rendered);
    let fingerprint = rendered.annotations().clone();
    let stale = change::differing(live.metadata.annotations.as_ref(), fingerprint);
    if difference.is_empty() && stale.is_empty() {
        return;
    }
    let mut annotations: BTreeMap<String, String> = stale.clone();
    if let Some(revision) = revision_that_differs_in_role_only(&common, member, live, role) {
        annotations.insert(ANNOTATION_ACCEPTED_REVISION.to_owned(), revision);
    }
    let mut operations = difference.operations;
    if !annotations.is_empty() {
        operations.extend(change::annotate(&live.metadata, &annotations));
    }
    let purpose = change::purpose(difference.fields, stale.is_empty());
    plan.act(change::patch(change::target(Kind::StatefulSet, live), operations, purpose));
}

/// The image that the member's gate comes from. An operator that was upgraded restarts no member for that: a template that
/// an earlier one wrote keeps its image for as long as nothing else in it is to change, and takes the present one with
/// the change that restarts the member anyway.
///
/// That the image is an earlier operator's, and not somebody's hand, shows in the fingerprint, which covers it.
fn gate_image<'a>(context: &'a Context<'_>, member: &Member<'_>, live: &'a StatefulSet) -> &'a str {
    let present = context.common.operator_image;
    let containers =
        live.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()?.init_containers.as_ref());
    let gate = containers.into_iter().flatten().find(|container| container.name == INSTALL_GATE_CONTAINER);
    let Some(earlier) = gate.and_then(|gate| gate.image.as_deref()).filter(|image| *image != present) else {
        return present;
    };
    let fingerprint = live.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_FINGERPRINT));
    let common = Common { operator_image: earlier, ..context.common };
    let was_ours = [Role::Voter, Role::Learner].into_iter().any(|role| {
        let rendered = render::stateful_set(&common, &member.name, role);
        fingerprint.is_some() && rendered.annotations().get(ANNOTATION_FINGERPRINT) == fingerprint
    });
    if was_ours { earlier } else { present }
}

/// The pod's revision, if its template was this one but for the role. The role is a label, which the live pod is given
/// without a restart; the revision's hash changes all the same, and this is how the pod's is known not to be outdated.
fn revision_that_differs_in_role_only(
    common: &Common<'_>,
    member: &Member<'_>,
    live: &StatefulSet,
    role: Role,
) -> Option<String> {
    let other = match role {
        Role::Voter => Role::Learner,
        Role::Learner => Role::Voter,
    };
    let as_before = render::stateful_set(common, &member.name, other);
    let status = live.status.as_ref()?;
    let is_settled = status.observed_generation == live.metadata.generation;
    let is_role_only = compare::difference(live, &as_before).is_empty();
    status.update_revision.clone().filter(|_| is_settled && is_role_only)
}
