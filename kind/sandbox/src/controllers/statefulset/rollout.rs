//! What happens to the pods of a set: missing ones are created, ended ones replaced, surplus ones deleted, outdated ones
//! updated — in order, or all at once where the set says Parallel. Pure.

use k8s_openapi::api::core::v1::Pod;

use super::claims::{self, Storage};
use super::{Context, pod};
use crate::controllers::pods::{Availability, availability, has_ended, is_running_and_ready, is_terminating};
use crate::controllers::write::{Outcome, REFUSAL, Write};

/// Whether the pods after this one may be looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Next,
    Wait,
}

/// Decides what is to be done now.
pub(super) fn advance(context: &Context<'_>, outcome: &mut Outcome) {
    for ordinal in context.ordinals() {
        if fill(context, ordinal, outcome) == Turn::Wait && context.is_ordered() {
            return;
        }
    }
    if condemn(context, outcome) == Turn::Wait {
        return;
    }
    update(context, outcome);
}

/// Sees to it that an ordinal has a healthy pod.
fn fill(context: &Context<'_>, ordinal: i32, outcome: &mut Outcome) -> Turn {
    let Some(pod) = context.pods.get(&ordinal) else {
        create(context, ordinal, outcome);
        return Turn::Wait;
    };
    if has_ended(pod) {
        // A new pod takes its place once this one is gone.
        if !is_terminating(pod) {
            outcome.push(delete(context, pod));
        }
        return Turn::Wait;
    }
    if !is_terminating(pod) {
        if let Storage::Ready(writes) = claims::missing(context, ordinal) {
            outcome.writes.extend(writes);
        }
        let mut named = Pod::clone(pod);
        pod::set_identity(context, ordinal, &mut named);
        outcome.writes.extend(Write::update(&**pod, &named));
    }
    outcome.writes.extend(claims::retain(context, ordinal, pod));
    if is_settled(context, pod, outcome) { Turn::Next } else { Turn::Wait }
}

/// Whether the pod is neither leaving nor short of being available.
fn is_settled(context: &Context<'_>, pod: &Pod, outcome: &mut Outcome) -> bool {
    if is_terminating(pod) || !is_running_and_ready(pod) {
        return false;
    }
    match availability(pod, context.minimum_ready_seconds(), context.now) {
        Availability::Available => true,
        Availability::Unready => false,
        Availability::From(moment) => {
            outcome.look_again_at(moment);
            false
        }
    }
}

fn create(context: &Context<'_>, ordinal: i32, outcome: &mut Outcome) {
    match claims::missing(context, ordinal) {
        Storage::Leaving => {}
        Storage::Ready(writes) => {
            let needs_claims = !writes.is_empty();
            outcome.writes.extend(writes);
            let pod = pod::render(context, ordinal);
            let what =
                format!("create Pod {} in StatefulSet {}", pod::name_of(context, ordinal), context.name());
            let write = Write::create(&pod)
                .announce(context.set, "SuccessfulCreate", format!("{what} successful"))
                .complain(context.set, "FailedCreate", format!("{what} failed error: {REFUSAL}"));
            outcome.push(if needs_claims { write.only_after_the_last() } else { write });
        }
    }
}

fn delete(context: &Context<'_>, pod: &Pod) -> Write {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let message = format!("delete Pod {name} in StatefulSet {} successful", context.name());
    Write::delete(pod).announce(context.set, "SuccessfulDelete", message)
}

/// Deletes the pods beyond the ordinals, the highest first.
fn condemn(context: &Context<'_>, outcome: &mut Outcome) -> Turn {
    let ordinals = context.ordinals();
    let condemned: Vec<_> = context.pods.iter().filter(|(ordinal, _)| !ordinals.contains(ordinal)).collect();
    let first_unhealthy = first_unhealthy(context);
    for (ordinal, pod) in condemned.into_iter().rev() {
        outcome.writes.extend(claims::retain(context, *ordinal, pod));
        if is_terminating(pod) {
            if context.is_ordered() {
                return Turn::Wait;
            }
            continue;
        }
        // An unhealthy pod is not piled on another one, unless it is the first of them.
        if context.is_ordered() && !is_settled(context, pod, outcome) && first_unhealthy != Some(*ordinal) {
            return Turn::Wait;
        }
        outcome.push(delete(context, pod));
        if context.is_ordered() {
            return Turn::Wait;
        }
    }
    Turn::Next
}

/// The ordinal of the first pod in the order of processing that isn't running and ready.
fn first_unhealthy(context: &Context<'_>) -> Option<i32> {
    let ordinals = context.ordinals();
    let unhealthy = |pod: &Pod| !is_running_and_ready(pod) || is_terminating(pod);
    let unhealthy: Vec<i32> =
        context.pods.iter().filter(|(_, pod)| unhealthy(pod)).map(|(ordinal, _)| *ordinal).collect();
    unhealthy.iter().find(|ordinal| ordinals.contains(ordinal)).or_else(|| unhealthy.first()).copied()
}

/// Deletes one outdated pod, the highest first, and waits for unhealthy ones.
fn update(context: &Context<'_>, outcome: &mut Outcome) {
    let Some(partition) = context.partition() else { return };
    let ordinals = context.ordinals();
    let newest = context.revisions.update.metadata.name.as_deref();
    for ordinal in (ordinals.start.saturating_add(partition.max(0))..ordinals.end).rev() {
        let Some(pod) = context.pods.get(&ordinal) else { return };
        if pod::revision_of(pod) != newest && !is_terminating(pod) {
            outcome.push(delete(context, pod));
            return;
        }
        if !is_settled(context, pod, outcome) {
            return;
        }
    }
}
