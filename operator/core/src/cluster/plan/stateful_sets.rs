//! The members' StatefulSets: made when missing, put back when changed, and rendered from the member's own target. Never restarts
//! a pod: a changed template waits for the pod's own turn.
//!
//! What only this operator renders differently from an earlier one waits for the member's next restart: a template that nobody
//! has touched since an operator wrote it for the same target stays as it is.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::json;

use super::restart::{self, Acceptance};
use super::{Action, Context, Flow, Kind, Object, PatchOperation, Plan, Wait, change};
use crate::cluster::render::compare::{Difference, escape};
use crate::cluster::render::{self, compare, fingerprint};
use crate::cluster::target::Target;
use crate::cluster::world::{Issued, Member};
use crate::names::{
    ANNOTATION_ACCEPTED_REVISION, ANNOTATION_FINGERPRINT, ANNOTATION_TARGET, LABEL_ROLE, Role,
};

/// Of every member in the list whose volume is there.
pub(super) fn of_listed(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.listed().filter(|member| member.has_storage()) {
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

pub(super) fn has_used_volume(context: &Context<'_>, member: &Member<'_>) -> bool {
    member.has_storage()
        && member.facts.as_ref().is_some_and(|facts| {
            facts.is_of(&context.world.cluster) && !facts.set_aside && facts.issued != Issued::Never
        })
}

/// The role that the live template bears; a voter's if it bears none.
pub(super) fn live_role(member: &Member<'_>) -> Role {
    match member.stateful_set.and_then(template_role) {
        Some(role) if role == Role::Learner.as_str() => Role::Learner,
        Some(_) | None => Role::Voter,
    }
}

fn template_role(live: &StatefulSet) -> Option<&str> {
    let labels = live.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()?;
    labels.get(LABEL_ROLE).map(String::as_str)
}

/// What a member should run: by its own record, else as the others do, else as the spec asks.
pub(super) fn target(context: &Context<'_>, member: &Member<'_>) -> Target {
    let world = context.world;
    let of_spec = || {
        let recorded = member.facts.as_ref().and_then(|facts| facts.version);
        let version = recorded.or(world.version).unwrap_or(context.desired.version);
        Target::of_spec(context.desired, version, None, None)
    };
    member.target.clone().or_else(|| world.common_target()).unwrap_or_else(of_spec)
}

/// How a live StatefulSet stands to its member's target.
enum Standing {
    /// Nothing is to be done.
    AsRendered,
    /// Nothing is to be done now; the next restart brings what this operator renders differently.
    RenderedEarlier(Option<Patch>),
    /// It is put back, or follows.
    Differs(Patch),
}

/// A change of a live StatefulSet.
struct Patch {
    difference: Difference,
    annotations: BTreeMap<String, String>,
    /// Whether pods made before the change need no restart for it.
    spares_pod: bool,
    /// Whether somebody else made the difference.
    is_repair: bool,
}

/// Makes or mends one. That of a member in memory is never made again: its record and its data went with it.
pub(super) fn keep(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, role: Role) {
    let Some(live) = member.stateful_set else {
        let target = target(context, member);
        let rendered = render::stateful_set(&context.rendering(&target, None), &member.name, role);
        plan.act_on_member(&member.name, Action::Create(Box::new(Object::StatefulSet(rendered))));
        return;
    };
    if live.metadata.deletion_timestamp.is_some() {
        plan.wait(Wait::Deletion { kind: Kind::StatefulSet, name: live.name_any() });
        return;
    }
    match standing(context, member, live, role) {
        Standing::AsRendered | Standing::RenderedEarlier(None) => {}
        Standing::RenderedEarlier(Some(patch)) | Standing::Differs(patch) => {
            if let Some(action) = action(member, live, patch) {
                plan.act_on_template(&member.name, action);
            }
        }
    }
}

/// Whether the template is about to change, so that its pod is not looked at yet.
pub(super) fn is_template_to_change(context: &Context<'_>, member: &Member<'_>) -> bool {
    let role = if member.listed.is_some_and(|listed| listed.is_learner) {
        Role::Learner
    } else {
        live_or_voter(member)
    };
    // What somebody undoes each time would be waited for in vain. Another target is another matter.
    let is_undone = |live: &StatefulSet| {
        live.metadata.uid.as_ref().is_some_and(|uid| context.world.observed.undone.contains(uid))
    };
    member.stateful_set.is_some_and(|live| match standing(context, member, live, role) {
        Standing::AsRendered | Standing::RenderedEarlier(_) => false,
        Standing::Differs(patch) if patch.spares_pod && is_undone(live) => false,
        Standing::Differs(patch) => patch.difference.fields.iter().any(|field| field.starts_with("/spec")),
    })
}

fn live_or_voter(member: &Member<'_>) -> Role {
    if member.listed.is_some() { Role::Voter } else { live_role(member) }
}

/// Whether the member's next restart brings it what this operator renders differently from an earlier one.
pub(super) fn is_rendered_earlier(context: &Context<'_>, member: &Member<'_>) -> bool {
    member.stateful_set.is_some_and(|live| {
        matches!(standing(context, member, live, live_or_voter(member)), Standing::RenderedEarlier(_))
    })
}

fn standing(context: &Context<'_>, member: &Member<'_>, live: &StatefulSet, role: Role) -> Standing {
    let target = target(context, member);
    let rendering = context.rendering(&target, member.memory_size());
    let rendered = render::stateful_set(&rendering, &member.name, role);
    let difference = compare::difference(live, &rendered);
    let stale = change::differing(live.metadata.annotations.as_ref(), rendered.annotations().clone());
    if difference.is_empty() && stale.is_empty() {
        return Standing::AsRendered;
    }
    let is_same_target = live_target(live).is_some_and(|digest| digest == target.digest());
    let is_untouched = is_untouched(live);
    if is_same_target && is_untouched && !difference.is_empty() {
        return rendered_earlier(live, difference, &target, role);
    }
    Standing::Differs(Patch {
        difference,
        annotations: stale,
        spares_pod: is_same_target,
        is_repair: is_same_target && !is_untouched,
    })
}

/// Of a template that an operator wrote for the same target: the role follows, and what is outside the spec is put back.
fn rendered_earlier(live: &StatefulSet, difference: Difference, target: &Target, role: Role) -> Standing {
    let mut spec = live.spec.clone().unwrap_or_default();
    let mut patch = Patch {
        difference: outside_the_spec(difference),
        annotations: BTreeMap::new(),
        spares_pod: true,
        is_repair: false,
    };
    patch.is_repair = !patch.difference.is_empty() && change::bears_uid(&live.metadata);
    if template_role(live) != Some(role.as_str()) {
        let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(LABEL_ROLE.to_owned(), role.as_str().to_owned());
        let path = format!("/spec/template/metadata/labels/{}", escape(LABEL_ROLE));
        let value = json!(role.as_str());
        patch.difference.operations.push(PatchOperation::Add { path: path.clone(), value });
        patch.difference.fields.push(path);
        patch.is_repair = false;
    }
    let annotations = BTreeMap::from([
        (ANNOTATION_FINGERPRINT.to_owned(), fingerprint(&spec)),
        (ANNOTATION_TARGET.to_owned(), target.digest()),
    ]);
    patch.annotations = change::differing(live.metadata.annotations.as_ref(), annotations);
    let is_needed = !patch.difference.is_empty() || !patch.annotations.is_empty();
    Standing::RenderedEarlier(is_needed.then_some(patch))
}

fn outside_the_spec(difference: Difference) -> Difference {
    let is_outside = |path: &String| path.starts_with("/metadata/");
    Difference {
        fields: difference.fields.into_iter().filter(is_outside).collect(),
        operations: difference.operations.into_iter().filter(|one| is_outside(one.path())).collect(),
    }
}

/// The digest of the target that the live template was rendered from. Earlier operators recorded none; the template shows it.
fn live_target(live: &StatefulSet) -> Option<String> {
    let recorded = live.annotations().get(ANNOTATION_TARGET).cloned();
    recorded.or_else(|| Target::of_template(live).map(|target| target.digest()))
}

/// Whether the live spec is what an operator wrote.
fn is_untouched(live: &StatefulSet) -> bool {
    let recorded = live.annotations().get(ANNOTATION_FINGERPRINT);
    recorded.is_some_and(|digest| live.spec.as_ref().is_some_and(|spec| fingerprint(spec) == *digest))
}

fn action(member: &Member<'_>, live: &StatefulSet, patch: Patch) -> Option<Action> {
    let changes_template = patch.difference.fields.iter().any(|field| field.starts_with("/spec"));
    let mut annotations = patch.annotations;
    let mut operations = patch.difference.operations;
    let accepted = live.annotations().get(ANNOTATION_ACCEPTED_REVISION);
    let accepts = if changes_template && patch.spares_pod {
        restart::revision_to_accept(member, live, patch.is_repair)
    } else {
        Acceptance::None
    };
    match accepts {
        // Which revision the pod may keep is known only once the controller has named that of the template before.
        Acceptance::NotKnownYet => return None,
        Acceptance::Of(revision) => {
            annotations.insert(ANNOTATION_ACCEPTED_REVISION.to_owned(), revision);
        }
        Acceptance::None if changes_template && accepted.is_some() => {
            operations.push(change::remove_annotation(ANNOTATION_ACCEPTED_REVISION));
        }
        Acceptance::None => {}
    }
    let is_repair = patch.is_repair && !patch.difference.fields.is_empty();
    let purpose = change::purpose(patch.difference.fields, is_repair);
    if !annotations.is_empty() {
        operations.extend(change::annotate(&live.metadata, &annotations));
    }
    Some(change::patch(change::target(Kind::StatefulSet, live), operations, purpose))
}
