//! What a set says of itself. Pure.

use k8s_openapi::api::apps::v1::StatefulSetStatus;
use k8s_openapi::api::core::v1::Pod;

use super::{Context, pod};
use crate::controllers::pods::{Availability, availability, is_running_and_ready, is_terminating};
use crate::controllers::write::{Outcome, Write};

/// Writes the status if it has changed, and asks for another look when the next pod becomes available.
pub(super) fn report(context: &Context<'_>, outcome: &mut Outcome) {
    let revisions = context.revisions;
    let (current, update) = (revisions.current.metadata.name.clone(), revisions.update.metadata.name.clone());
    let before = context.set.status.clone().unwrap_or_default();
    let on = |revision: &Option<String>| {
        count(context, |pod| !is_terminating(pod) && pod::revision_of(pod) == revision.as_deref())
    };
    let mut status = StatefulSetStatus {
        replicas: count(context, |_| true),
        ready_replicas: Some(count(context, is_running_and_ready)),
        available_replicas: Some(available(context, outcome)),
        current_replicas: Some(on(&current)),
        updated_replicas: Some(on(&update)),
        current_revision: current,
        update_revision: update,
        observed_generation: context.set.metadata.generation,
        collision_count: Some(before.collision_count.unwrap_or(0)),
        conditions: before.conditions,
    };
    complete_rollout(context, &mut status);
    let mut reported = context.set.clone();
    reported.status = Some(status);
    outcome.writes.extend(Write::update_status(context.set, &reported));
}

/// Once every pod is updated and ready, the newest revision is the current one.
fn complete_rollout(context: &Context<'_>, status: &mut StatefulSetStatus) {
    let wanted = Some(context.spec.replicas.unwrap_or(1));
    let complete = Some(status.replicas) == wanted
        && status.ready_replicas == wanted
        && status.updated_replicas == wanted;
    if context.partition().is_some() && complete {
        status.current_revision.clone_from(&status.update_revision);
        status.current_replicas = status.updated_replicas;
    }
}

fn count(context: &Context<'_>, counts: impl Fn(&Pod) -> bool) -> i32 {
    i32::try_from(context.pods.values().filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
}

fn available(context: &Context<'_>, outcome: &mut Outcome) -> i32 {
    let mut available = 0;
    for pod in context.pods.values().filter(|pod| is_running_and_ready(pod)) {
        match availability(pod, context.minimum_ready_seconds(), context.now) {
            Availability::Available => available += 1,
            Availability::From(moment) => outcome.look_again_at(moment),
            Availability::Unready => {}
        }
    }
    available
}
