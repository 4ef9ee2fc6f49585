//! Changes of the spec reach the members one at a time: a member's own record is changed in its turn, and what follows from it
//! (template, pod) is the other steps' to do. The next member's turn comes when the last has proved itself. Never restarts a pod.

use jiff::SignedDuration;

use super::{Context, Flow, Hold, Plan, SpecHold, Wait, change, restart, stateful_sets};
use crate::desired::Desired;
use crate::target::Target;
use crate::world::{Health, Member, container_restarts};

/// How many times the soak, and how long at least, a member must be well whose container was restarted after it was changed.
const AFTER_A_RESTART: (i32, SignedDuration) = (10, SignedDuration::from_mins(10));

/// What the spec asks of a member. Its version and its quota are not changed by this build.
fn wanted_target(desired: &Desired, present: &Target) -> Target {
    Target::of_spec(desired, present.version, present.quota_backend_bytes)
}

fn is_behind(context: &Context<'_>, member: &Member<'_>) -> bool {
    let present = stateful_sets::target(context, member);
    member.live_claim().is_some()
        && member.facts.as_ref().is_some_and(|facts| facts.is_of(&context.world.cluster) && !facts.set_aside)
        && !present.is_same_as(&wanted_target(context.desired, &present))
}

/// Whether a member runs what the spec asks of it.
pub(super) fn is_updated(context: &Context<'_>, member: &Member<'_>) -> bool {
    !is_behind(context, member) && restart::is_in_step(context, member)
}

/// Gives the next member its turn.
pub(super) fn advance(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let mut behind: Vec<&Member<'_>> =
        context.world.listed().filter(|member| is_behind(context, member)).collect();
    behind.sort_by_key(|member| restart::in_turn(context, member));
    let Some(next) = behind.first() else { return Flow::Next };
    // Who does not run cannot be disturbed, and may be what the change is to mend.
    if next.etcd_container_runs()
        && let Some(hold) = reason_to_wait(context, next)
    {
        plan.hold(hold);
        return Flow::Stop;
    }
    set_target(context, plan, next);
    Flow::Stop
}

/// Without a quorum the spec reaches those whose container does not run: what keeps them from running may be what was changed.
pub(super) fn to_stopped_members(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.members.values() {
        let is_stopped = stateful_sets::has_used_volume(context, member) && !member.etcd_container_runs();
        if is_stopped && is_behind(context, member) {
            set_target(context, plan, member);
        }
    }
    Flow::Next
}

fn set_target(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    let Some(claim) = member.live_claim() else { return };
    let wanted = wanted_target(context.desired, &stateful_sets::target(context, member));
    plan.act_on_member(&member.name, change::set_target(claim, &wanted, "the spec has changed"));
}

/// Why the next member's turn has not come.
fn reason_to_wait(context: &Context<'_>, next: &Member<'_>) -> Option<Hold> {
    let turn = |message: String| Hold::Wait(Wait::Turn { member: next.name.clone(), message });
    let changed: Vec<&Member<'_>> = context
        .world
        .listed()
        .filter(|member| member.name != next.name && !is_behind(context, member))
        .collect();
    if let Some(stopped) = changed.iter().find_map(|member| stops_the_rollout(context, member)) {
        return Some(stopped);
    }
    if let Some(member) = changed.iter().find(|member| !restart::is_in_step(context, member)) {
        return Some(turn(format!("{} is being changed", member.name)));
    }
    if let Some(message) = restart::reason_to_wait(context, next) {
        return Some(turn(message));
    }
    let soaking = changed.iter().find(|member| well_for(context, member) < context.desired.soak)?;
    let message = format!(
        "it must be well for {} seconds before the next one is changed",
        context.desired.soak.as_secs()
    );
    Some(Hold::Wait(Wait::Soak { member: soaking.name.clone(), message }))
}

/// A container that was restarted on what the spec asks for is a reason to ask no other member for it.
fn stops_the_rollout(context: &Context<'_>, member: &Member<'_>) -> Option<Hold> {
    let (times, at_least) = AFTER_A_RESTART;
    let needed = (context.desired.soak * times).max(at_least);
    let has_restarted = restart::is_in_step(context, member) && container_restarts(member.pod) > 0;
    if !has_restarted || well_for(context, member) >= needed {
        return None;
    }
    let end = member.last_end().unwrap_or_else(|| "its container was restarted".to_owned());
    let message = format!(
        "{end}; it goes on when the spec is changed, or once that member has been well for {} minutes",
        needed.as_mins()
    );
    Some(Hold::Spec(SpecHold::RolloutStopped { member: member.name.clone(), message }))
}

/// For how long a member has been well without interruption, as the status records it; not longer than its container runs.
fn well_for(context: &Context<'_>, member: &Member<'_>) -> SignedDuration {
    let world = &context.world;
    let recorded = || {
        let members = &world.status()?.members;
        members.iter().find(|one| one.name == member.name.as_str())?.well_since.as_ref().map(|since| since.0)
    };
    match recorded().filter(|_| member.health() == Health::Healthy) {
        Some(since) => {
            let since = member.container_started_at().map_or(since, |started| since.max(started));
            world.observed.as_of.duration_since(since)
        }
        None => SignedDuration::ZERO,
    }
}
