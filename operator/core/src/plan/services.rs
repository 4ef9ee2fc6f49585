//! The Services and the disruption budget: made when missing, put back when changed. Never touches a member.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::{Context, Flow, Kind, Object, PatchPurpose, Plan, change};
use crate::mutant::Mutant;
use crate::plan::Action;
use crate::render;

/// What must be there before the first pod, and at any time.
pub(super) fn peers_and_budget(context: &Context<'_>, plan: &mut Plan) -> Flow {
    service(context, plan, render::peers_service(&context.world.cluster));
    disruption_budget(context, plan);
    Flow::Next
}

/// The client Service, which exists only once the cluster has formed: before that nobody could be served, and afterwards
/// whatever was acknowledged through it is known to be of this cluster.
pub(super) fn clients(context: &Context<'_>, plan: &mut Plan) -> Flow {
    service(context, plan, render::client_service(&context.world.cluster));
    Flow::Next
}

fn service(context: &Context<'_>, plan: &mut Plan, rendered: Service) {
    let live = context.world.observed.services.iter().find(|live| live.name_any() == rendered.name_any());
    match live {
        None => plan.act(Action::Create(Box::new(Object::Service(rendered)))),
        Some(live) if live.metadata.deletion_timestamp.is_some() => {}
        Some(live) => {
            let difference = render::compare::difference(live, &rendered);
            let is_ignored = context.is_mutant(Mutant::IgnoresService);
            if !difference.is_empty() && !is_ignored {
                let purpose = PatchPurpose::Restore { fields: difference.fields };
                plan.act(change::patch(change::target(Kind::Service, live), difference.operations, purpose));
            }
        }
    }
}

fn disruption_budget(context: &Context<'_>, plan: &mut Plan) {
    let rendered = render::disruption_budget(context.desired, context.world.votes().voters);
    let budgets = &context.world.observed.disruption_budgets;
    let Some(live) = budgets.iter().find(|live| live.name_any() == rendered.name_any()) else {
        plan.act(Action::Create(Box::new(Object::DisruptionBudget(rendered))));
        return;
    };
    let difference = render::compare::difference(live, &rendered);
    // The minimum follows the size; the digest tells that from a change by somebody else.
    let stale = change::differing(live.metadata.annotations.as_ref(), rendered.annotations().clone());
    if live.metadata.deletion_timestamp.is_some() || (difference.is_empty() && stale.is_empty()) {
        return;
    }
    let mut operations = difference.operations;
    if !stale.is_empty() {
        operations.extend(change::annotate(&live.metadata, &stale));
    }
    let purpose = change::purpose(difference.fields, stale.is_empty());
    plan.act(change::patch(change::target(Kind::PodDisruptionBudget, live), operations, purpose));
}
