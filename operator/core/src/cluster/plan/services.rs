//! The Services and the disruption budget: made when missing, put back when changed. What somebody else made under their names is
//! left as it is, and said. Never touches a member.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{
    Action, Concern, Context, Flow, Hold, Kind, Object, ObjectHold, Plan, Wait, change, stateful_sets,
};
use crate::cluster::render;
use crate::cluster::render::compare::escape;
use crate::cluster::world;
use crate::names::{self, ANNOTATION_APPLIED, ANNOTATION_FINGERPRINT};

/// What must be there before the first pod, and at any time.
pub(super) fn peers_and_budget(context: &Context<'_>, plan: &mut Plan) -> Flow {
    service(context, plan, render::peers_service(&context.world.cluster, &context.desired.peer_service));
    disruption_budget(context, plan);
    Flow::Next
}

/// The client Service, which exists only once the cluster has formed: before that nobody could be served, and afterwards
/// whatever was acknowledged through it is known to be of this cluster.
pub(super) fn clients(context: &Context<'_>, plan: &mut Plan) -> Flow {
    service(context, plan, render::client_service(&context.world.cluster, &context.desired.service));
    Flow::Next
}

/// Whether the live object is ours to change: neither somebody else's nor about to go.
fn is_ours(context: &Context<'_>, plan: &mut Plan, kind: Kind, live: &ObjectMeta) -> bool {
    let name = live.name.clone().unwrap_or_default();
    if !world::is_own(&context.world.cluster, live) {
        plan.hold(Hold::Object(ObjectHold::NameTaken { kind, name }));
        return false;
    }
    let is_ending = live.deletion_timestamp.is_some();
    if is_ending {
        plan.wait(Wait::Deletion { kind, name });
    }
    !is_ending
}

fn service(context: &Context<'_>, plan: &mut Plan, rendered: Service) {
    let concern = Concern::Service(rendered.name_any());
    let services = &context.world.observed.services;
    let Some(live) = services.iter().find(|live| live.name_any() == rendered.name_any()) else {
        plan.act(concern, Action::Create(Box::new(Object::Service(rendered))));
        return;
    };
    if !is_ours(context, plan, Kind::Service, &live.metadata) {
        return;
    }
    let difference = render::compare::difference(live, &rendered);
    let stale = change::differing(live.metadata.annotations.as_ref(), rendered.annotations().clone());
    let unwanted = unwanted_annotations(live, &rendered);
    let mut operations = difference.operations;
    if !stale.is_empty() {
        operations.extend(change::annotate(&live.metadata, &stale));
    }
    operations.extend(unwanted.iter().map(|key| change::remove_annotation(key)));
    if operations.is_empty() {
        return;
    }
    let is_repair = change::bears_uid(&live.metadata) && !stale.contains_key(ANNOTATION_FINGERPRINT);
    let changed = stale.keys().chain(&unwanted).filter(|key| !names::is_own_key(key));
    let fields = difference
        .fields
        .into_iter()
        .chain(changed.map(|key| format!("/metadata/annotations/{}", escape(key))));
    let purpose = change::purpose(fields.collect(), is_repair);
    plan.act(concern, change::patch(change::target(Kind::Service, live), operations, purpose));
}

/// What the spec asked for once, and asks for no more: the annotations themselves, and their record once it is empty.
fn unwanted_annotations(live: &Service, rendered: &Service) -> Vec<String> {
    let recorded = live.annotations().get(ANNOTATION_APPLIED);
    let recorded: Vec<String> =
        recorded.and_then(|names| serde_json::from_str(names).ok()).unwrap_or_default();
    let record = live.annotations().contains_key(ANNOTATION_APPLIED).then(|| ANNOTATION_APPLIED.to_owned());
    let is_unwanted =
        |key: &String| live.annotations().contains_key(key) && !rendered.annotations().contains_key(key);
    recorded.into_iter().chain(record).filter(is_unwanted).collect()
}

fn disruption_budget(context: &Context<'_>, plan: &mut Plan) {
    let rendered = render::disruption_budget(&context.world.cluster, budgeted_voters(context));
    let budgets = &context.world.observed.disruption_budgets;
    let Some(live) = budgets.iter().find(|live| live.name_any() == rendered.name_any()) else {
        plan.act(Concern::Budget, Action::Create(Box::new(Object::DisruptionBudget(rendered))));
        return;
    };
    if !is_ours(context, plan, Kind::PodDisruptionBudget, &live.metadata) {
        return;
    }
    let difference = render::compare::difference(live, &rendered);
    // The minimum follows the size; the digest tells that from a change by somebody else.
    let stale = change::differing(live.metadata.annotations.as_ref(), rendered.annotations().clone());
    if difference.is_empty() && stale.is_empty() {
        return;
    }
    let mut operations = difference.operations;
    if !stale.is_empty() {
        operations.extend(change::annotate(&live.metadata, &stale));
    }
    let is_repair = stale.is_empty() && change::bears_uid(&live.metadata);
    let purpose = change::purpose(difference.fields, is_repair);
    let action = change::patch(change::target(Kind::PodDisruptionBudget, live), operations, purpose);
    plan.act(Concern::Budget, action);
}

/// Voters that the budget counts: the wanted ones, or the present ones while there are more. While the list is unknown, as many
/// may vote as the status last showed, or as there are used volumes.
fn budgeted_voters(context: &Context<'_>) -> usize {
    let world = context.world;
    let present = match world.list {
        Some(_) => world.votes().voters,
        None => {
            let shown = world.status().map(|status| &status.members).filter(|members| !members.is_empty());
            let used = || {
                world
                    .members
                    .values()
                    .filter(|member| stateful_sets::has_used_volume(context, member))
                    .count()
            };
            shown.map_or_else(used, |members| members.iter().filter(|member| !member.learner).count())
        }
    };
    context.desired.size.max(present)
}
