//! The step a Deployment takes now: create the ReplicaSet of a new template, move pods from old ones to it, follow a
//! change of size, forget what is too old. Pure.

use std::cmp::{Reverse, min};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;

use super::replicas::{self, available, size};
use super::{Context, Strategy};
use crate::controllers::pods::{has_ended, is_controlled_by};
use crate::controllers::write::{Outcome, Write};

const DEFAULT_HISTORY_LIMIT: i32 = 10;

/// Decides what is to be done now.
pub(super) fn advance(context: &Context<'_>, outcome: &mut Outcome) {
    let surge = match context.strategy() {
        Strategy::Rolling { surge, .. } => surge,
        Strategy::Recreate => 0,
    };
    let is_paused = context.spec.paused == Some(true);
    if is_paused || context.all().any(|set| replicas::is_sized_for_another(context, set)) {
        follow_size(context, surge, outcome);
        return;
    }
    match context.strategy() {
        Strategy::Rolling { surge, unavailable } => roll(context, surge, unavailable, outcome),
        Strategy::Recreate => recreate(context, outcome),
    }
    outcome.writes.extend(forget(context));
}

fn roll(context: &Context<'_>, surge: i32, unavailable: i32, outcome: &mut Outcome) {
    let Some(newest) = settled_newest(context, surge, outcome) else { return };
    let wanted_new = size_of_newest(context, newest, surge);
    if wanted_new != size(newest) {
        outcome.writes.extend(resize(context, newest, wanted_new, surge));
        return;
    }
    outcome.writes.extend(shrink_old(context, newest, surge, unavailable));
}

/// The ReplicaSet of the present template once it exists and carries its revision; else the write that leads there.
fn settled_newest<'a>(context: &'a Context<'_>, surge: i32, outcome: &mut Outcome) -> Option<&'a ReplicaSet> {
    let highest_old = context.old.iter().map(|set| replicas::revision(&**set)).max().unwrap_or(0);
    let Some(newest) = context.newest.as_deref() else {
        let first_size = size_of_a_new_one(context, surge);
        outcome.writes.extend(create(context, first_size, surge, highest_old + 1));
        return None;
    };
    let revision = replicas::revision(newest).max(highest_old + 1);
    let mut renewed = newest.clone();
    renewed.annotations_mut().extend(replicas::annotations(context, surge, revision));
    replicas::remember_revision(newest, &mut renewed);
    renewed.spec.get_or_insert_default().min_ready_seconds = context.spec.min_ready_seconds;
    let mut writes: Vec<Write> = Write::update(newest, &renewed).into_iter().collect();
    writes.extend(record_revision(context, revision));
    let is_settled = writes.is_empty();
    outcome.writes.extend(writes);
    is_settled.then_some(newest)
}

fn record_revision(context: &Context<'_>, revision: i64) -> Option<Write> {
    let mut recorded = context.deployment.clone();
    recorded.annotations_mut().insert(replicas::REVISION.into(), revision.to_string());
    // With the status, where the API server takes annotations along.
    Write::update_status(context.deployment, &recorded)
}

fn create(context: &Context<'_>, size: i32, surge: i32, revision: i64) -> Option<Write> {
    let (name, _) = replicas::name_and_hash(context);
    if context.snapshot.replica_sets.get(context.namespace(), &name).is_some() {
        // Another template or another owner has this name: another hash is needed.
        let mut collided = context.deployment.clone();
        let status = collided.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        return Write::update_status(context.deployment, &collided);
    }
    let message = format!("Scaled up replica set {name} from 0 to {size}");
    let set = replicas::render(context, size, surge, revision);
    Some(Write::create(&set).announce(context.deployment, "ScalingReplicaSet", message))
}

fn total(context: &Context<'_>) -> i32 {
    context.all().map(|set| size(set)).sum()
}

fn size_of_a_new_one(context: &Context<'_>, surge: i32) -> i32 {
    let room = context.wanted() + surge - total(context);
    room.clamp(0, context.wanted())
}

fn size_of_newest(context: &Context<'_>, newest: &ReplicaSet, surge: i32) -> i32 {
    let room = (context.wanted() + surge - total(context)).max(0);
    min(size(newest) + room, context.wanted())
}

fn resize(context: &Context<'_>, set: &ReplicaSet, to: i32, surge: i32) -> Option<Write> {
    let from = size(set);
    let mut resized = set.clone();
    resized.spec.get_or_insert_default().replicas = Some(to);
    resized.annotations_mut().extend(replicas::size_annotations(context, surge));
    let write = Write::update(set, &resized)?;
    if from == to {
        return Some(write);
    }
    let direction = if to > from { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {} from {from} to {to}", set.name_any());
    Some(write.announce::<Deployment>(context.deployment, "ScalingReplicaSet", message))
}

/// Takes from the old ReplicaSets first what isn't serving, then as much as availability allows.
fn shrink_old(context: &Context<'_>, newest: &ReplicaSet, surge: i32, unavailable: i32) -> Vec<Write> {
    let least_available = context.wanted() - unavailable;
    let unavailable_new = size(newest) - available(newest);
    let may_go = (total(context) - least_available - unavailable_new).max(0);
    let unserving = |set: &ReplicaSet| (size(set) - available(set)).max(0);
    let cleaned = distribute(may_go, context.old.iter().map(|set| unserving(set)));
    let all_available: i32 = context.all().map(|set| available(set)).sum();
    let may_take = min((all_available - least_available).max(0), may_go - cleaned.iter().sum::<i32>());
    let left = context.old.iter().zip(&cleaned).map(|(set, cleaned)| size(set) - cleaned);
    let taken = distribute(may_take, left);
    let changes = context
        .old
        .iter()
        .zip(cleaned.into_iter().zip(taken))
        .filter(|(_, (cleaned, taken))| cleaned + taken > 0);
    changes
        .filter_map(|(set, (cleaned, taken))| resize(context, set, size(set) - cleaned - taken, surge))
        .collect()
}

/// Hands out an amount, each in turn as much as it can take.
fn distribute(mut amount: i32, limits: impl Iterator<Item = i32>) -> Vec<i32> {
    let hand_out = |limit| {
        let share = min(amount, limit);
        amount -= share;
        share
    };
    limits.map(hand_out).collect()
}

fn recreate(context: &Context<'_>, outcome: &mut Outcome) {
    let shrinking: Vec<Write> =
        context.old.iter().filter(|set| size(set) > 0).filter_map(|set| resize(context, set, 0, 0)).collect();
    let old_pods_live = context.old.iter().any(|set| has_live_pods(context, set));
    if !shrinking.is_empty() || old_pods_live {
        outcome.writes.extend(shrinking);
        return;
    }
    if let Some(newest) = settled_newest(context, 0, outcome) {
        outcome.writes.extend(resize(context, newest, context.wanted(), 0));
    }
}

fn has_live_pods(context: &Context<'_>, set: &ReplicaSet) -> bool {
    let mut pods = context.snapshot.pods.in_namespace(context.namespace());
    pods.any(|pod| is_controlled_by(&pod.metadata, &set.metadata) && !has_ended(pod))
}

/// Follows a change of the Deployment's size: a single active ReplicaSet takes it all, several share it by their parts.
fn follow_size(context: &Context<'_>, surge: i32, outcome: &mut Outcome) {
    let active: Vec<&Arc<ReplicaSet>> = context.all().filter(|set| size(set) > 0).collect();
    if let [only] = active[..] {
        outcome.writes.extend(resize(context, only, context.wanted(), surge));
    } else if active.is_empty() {
        if let Some(newest) = &context.newest {
            outcome.writes.extend(resize(context, newest, context.wanted(), surge));
        }
    } else {
        outcome.writes.extend(share(context, active, surge));
    }
}

fn share(context: &Context<'_>, mut active: Vec<&Arc<ReplicaSet>>, surge: i32) -> Vec<Write> {
    let allowed = context.wanted() + surge;
    let mut to_add = allowed - total(context);
    active.sort_by_key(|set| (Reverse(size(set)), Reverse(set.metadata.creation_timestamp.clone())));
    let mut sizes: Vec<i32> =
        active.iter().map(|set| (size(set) + part(set, allowed, to_add)).max(0)).collect();
    to_add -= sizes.iter().zip(&active).map(|(new, set)| new - size(set)).sum::<i32>();
    // What rounding left over goes to the largest.
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + to_add).max(0);
    }
    active.iter().zip(sizes).filter_map(|(set, to)| resize(context, set, to, surge)).collect()
}

fn part(set: &ReplicaSet, allowed: i32, to_add: i32) -> i32 {
    let former = replicas::former_maximum(set).filter(|former| *former > 0).unwrap_or(allowed.max(1));
    let scaled = i64::from(size(set)) * i64::from(allowed);
    let rounded =
        i32::try_from((2 * scaled + i64::from(former)) / (2 * i64::from(former))).unwrap_or(i32::MAX);
    let part = rounded - size(set);
    if to_add >= 0 { part.clamp(0, to_add) } else { part.clamp(to_add, 0) }
}

/// Deletes the oldest empty ReplicaSets beyond the history limit.
fn forget(context: &Context<'_>) -> Vec<Write> {
    let limit =
        usize::try_from(context.spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY_LIMIT)).unwrap_or(0);
    let surplus = context.old.len().saturating_sub(limit);
    let is_empty = |set: &ReplicaSet| {
        let status = set.status.as_ref();
        let is_observed = status.and_then(|status| status.observed_generation) >= set.metadata.generation;
        let has_left = set.metadata.deletion_timestamp.is_some();
        size(set) == 0 && status.is_none_or(|status| status.replicas == 0) && is_observed && !has_left
    };
    context.old.iter().take(surplus).filter(|set| is_empty(set)).map(|set| Write::delete(&**set)).collect()
}
