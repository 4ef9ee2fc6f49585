//! What a Deployment says of itself: numbers, and the conditions Available and Progressing. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::replicas::size;
use super::{Context, Strategy};
use crate::controllers::write::{Outcome, Write};

const DEFAULT_PROGRESS_DEADLINE_SECONDS: i32 = 600;
const PAUSED: &str = "DeploymentPaused";
/// What the API server stores for "no deadline".
const NO_DEADLINE: i32 = i32::MAX;

/// Writes the status if it has changed.
pub(super) fn report(context: &Context<'_>, outcome: &mut Outcome) {
    let mut status = numbers(context);
    let before = context.deployment.status.clone().unwrap_or_default();
    status.conditions = before.conditions.clone();
    if let Some(condition) = pause_condition(context, &before) {
        set_condition(context, &mut status, condition);
    }
    let available = available_condition(context, &status);
    set_condition(context, &mut status, available);
    let progressing = progressing_condition(context, &before, &status, outcome);
    // A rollout that is paused makes no progress and lacks none.
    if let Some(condition) = progressing.filter(|_| context.spec.paused != Some(true)) {
        set_condition(context, &mut status, condition);
    }
    let mut reported = context.deployment.clone();
    reported.status = Some(status);
    outcome.writes.extend(Write::update_status(context.deployment, &reported));
}

fn numbers(context: &Context<'_>) -> DeploymentStatus {
    let of_status = |pick: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        context.all().filter_map(|set| set.status.as_ref()).map(pick).sum()
    };
    let total = of_status(|status| status.replicas);
    let available = of_status(|status| status.available_replicas.unwrap_or(0));
    let updated =
        context.newest.as_ref().and_then(|set| set.status.as_ref()).map_or(0, |status| status.replicas);
    let asked: i32 = context.all().map(|set| size(set)).sum();
    let nonzero = |number: i32| Some(number).filter(|number| *number != 0);
    DeploymentStatus {
        replicas: nonzero(total),
        updated_replicas: nonzero(updated),
        ready_replicas: nonzero(of_status(|status| status.ready_replicas.unwrap_or(0))),
        available_replicas: nonzero(available),
        unavailable_replicas: nonzero((asked - available).max(0)),
        observed_generation: context.deployment.metadata.generation,
        collision_count: context.deployment.status.as_ref().and_then(|status| status.collision_count),
        conditions: None,
        terminating_replicas: None,
    }
}

fn available_condition(context: &Context<'_>, status: &DeploymentStatus) -> DeploymentCondition {
    let may_lack = match context.strategy() {
        Strategy::Rolling { unavailable, .. } => unavailable,
        Strategy::Recreate => 0,
    };
    if status.available_replicas.unwrap_or(0) >= context.wanted() - may_lack {
        let message = "Deployment has minimum availability.";
        condition("Available", "True", "MinimumReplicasAvailable", message.into())
    } else {
        let message = "Deployment does not have minimum availability.";
        condition("Available", "False", "MinimumReplicasUnavailable", message.into())
    }
}

/// Says that a rollout was paused or goes on, so that the time between does not count as a lack of progress.
fn pause_condition(context: &Context<'_>, before: &DeploymentStatus) -> Option<DeploymentCondition> {
    let deadline = context.spec.progress_deadline_seconds.unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS);
    let held = before.conditions.iter().flatten().find(|condition| condition.type_ == "Progressing");
    let reason = held.and_then(|held| held.reason.as_deref()).unwrap_or_default();
    let (is_paused, was_paused) = (context.spec.paused == Some(true), reason == PAUSED);
    if deadline == NO_DEADLINE || reason == "ProgressDeadlineExceeded" || is_paused == was_paused {
        return None;
    }
    let (reason, message) = if is_paused {
        (PAUSED, "Deployment is paused")
    } else {
        ("DeploymentResumed", "Deployment is resumed")
    };
    Some(condition("Progressing", "Unknown", reason, message.into()))
}

fn is_complete(context: &Context<'_>, status: &DeploymentStatus) -> bool {
    let wanted = context.wanted();
    let [total, updated, available] = [status.replicas, status.updated_replicas, status.available_replicas]
        .map(|number| number.unwrap_or(0));
    total == wanted && updated == wanted && available == wanted && context.newest.is_some()
}

fn progressing_condition(
    context: &Context<'_>,
    before: &DeploymentStatus,
    status: &DeploymentStatus,
    outcome: &mut Outcome,
) -> Option<DeploymentCondition> {
    let deadline = context.spec.progress_deadline_seconds.unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS);
    let held = before.conditions.iter().flatten().find(|condition| condition.type_ == "Progressing");
    let was_complete = held.is_some_and(|held| held.reason.as_deref() == Some("NewReplicaSetAvailable"));
    let name = context.newest.as_ref().and_then(|set| set.metadata.name.clone()).unwrap_or_default();
    if is_complete(context, status) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return Some(condition("Progressing", "True", "NewReplicaSetAvailable", message));
    }
    let is_rolling =
        status.replicas != status.updated_replicas || context.old.iter().any(|set| size(set) > 0);
    if was_complete && !is_rolling {
        // Pods of a finished rollout come and go; that is availability, not progress.
        return None;
    }
    let moved = was_complete || held.is_none() || has_moved(before, status);
    if moved {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        let mut progressing = condition("Progressing", "True", "ReplicaSetUpdated", message);
        progressing.last_update_time = Some(Time(context.now));
        outcome.look_again_at(after(context.now, deadline));
        return Some(progressing);
    }
    let last = held.and_then(|held| held.last_update_time.as_ref()).map_or(context.now, |time| time.0);
    if deadline == NO_DEADLINE || context.spec.paused == Some(true) {
        return None;
    }
    if after(last, deadline) > context.now {
        outcome.look_again_at(after(last, deadline));
        return None;
    }
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    Some(condition("Progressing", "False", "ProgressDeadlineExceeded", message))
}

fn has_moved(before: &DeploymentStatus, status: &DeploymentStatus) -> bool {
    let number = |number: Option<i32>| number.unwrap_or(0);
    let old = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    number(status.updated_replicas) > number(before.updated_replicas)
        || old(status) < old(before)
        || number(status.ready_replicas) > number(before.ready_replicas)
        || number(status.available_replicas) > number(before.available_replicas)
}

fn after(moment: Timestamp, seconds: i32) -> Timestamp {
    moment.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

fn condition(type_: &str, status: &str, reason: &str, message: String) -> DeploymentCondition {
    DeploymentCondition {
        type_: type_.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message),
        last_transition_time: None,
        last_update_time: None,
    }
}

/// Puts a condition at the end; one that says nothing new stays with its times where it is.
fn set_condition(context: &Context<'_>, status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    let conditions = status.conditions.get_or_insert_default();
    let now = Some(Time(context.now));
    let place = conditions.iter().position(|held| held.type_ == condition.type_);
    condition.last_transition_time.clone_from(&now);
    if let Some(place) = place {
        let held = &conditions[place];
        let is_renewed = condition.last_update_time.is_some();
        if held.status == condition.status && held.reason == condition.reason && !is_renewed {
            return;
        }
        let held = conditions.remove(place);
        if held.status == condition.status {
            condition.last_transition_time = held.last_transition_time;
        }
    }
    condition.last_update_time = now;
    conditions.push(condition);
}
