//! Changes of the spec reach the members one at a time: a member's own record is changed in its turn, and what follows from it
//! (template, pod) is the other steps' to do. The next member's turn comes when the last has proved itself. Never restarts a pod.

use jiff::SignedDuration;

use super::{
    Context, Flow, Hold, Plan, SpecHold, Wait, backup_first, change, leaving, quota, restart, scale,
    stateful_sets, tls, versions,
};
use crate::api::MemberStatus;
use crate::cluster::desired::{Desired, EtcdVersion};
use crate::cluster::target::Target;
use crate::cluster::world::{Health, Member, VolumeRequest, container_restarts};
use crate::tls::MemberTls;

/// How many times the soak, and how long at least, a member must be well before a restart of its container says nothing against
/// what it was changed to any more.
const UNTIL_PROVEN: (i32, SignedDuration) = (10, SignedDuration::from_mins(10));

/// After how long without an answer a member is taken for stuck whose container does not run: volumes and images may be slow.
const STUCK_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Ends of a container in one pod from which on its member is taken for stuck, whatever it answers in between.
const STUCK_AFTER_RESTARTS: i32 = 2;

/// For how long a member must be well until what it runs is proven.
pub(crate) fn time_until_proven(desired: &Desired) -> SignedDuration {
    let (times, at_least) = UNTIL_PROVEN;
    (desired.soak * times).max(at_least)
}

/// What the spec asks of a member now.
fn wanted_target(context: &Context<'_>, member: &Member<'_>, present: &Target) -> Target {
    let version = versions::wanted(context, member, present.version);
    let tls = tls::wanted(context, present.tls.as_ref());
    of_spec(context, present, version, quota::wanted(context, member, present), tls)
}

/// What a member gets that is added for one whose settings differ, on this volume: what the spec asks for, where members that are
/// added otherwise get what the others have.
pub(super) fn wanted_of_successor(context: &Context<'_>, common: &Target, volume: &VolumeRequest) -> Target {
    let version = versions::of_successor(context, common.version);
    let tls = tls::wanted(context, common.tls.as_ref());
    of_spec(context, common, version, quota::of_new_member(context, common, volume), tls)
}

/// What the spec and requests ask for, instead of what is run now. The quota comes with whether the spec chose it.
fn of_spec(
    context: &Context<'_>,
    present: &Target,
    version: EtcdVersion,
    (quota_backend_bytes, is_quota_chosen): (Option<u64>, bool),
    tls: Option<MemberTls>,
) -> Target {
    let wanted = Target {
        is_quota_chosen,
        restart: context.requests.restart.clone().or_else(|| present.restart.clone()),
        ..Target::of_spec(context.desired, version, quota_backend_bytes, tls)
    };
    if !backup_first::is_awaited(context) {
        return wanted;
    }
    // A tag or a digest goes with the version that is in it.
    let (image_repository, image) = (present.image_repository.clone(), present.image.clone());
    Target { image_repository, image, ..wanted }
}

/// Whether a member should run, by its record, what the spec asks of it.
pub(super) fn is_as_specified(context: &Context<'_>, member: &Member<'_>) -> bool {
    let present = stateful_sets::target(context, member);
    present.is_same_as(&wanted_target(context, member, &present))
}

/// Whether a member is to be changed. One whose volume ends, or whose data would go with its pod, is replaced instead, and nobody is
/// where the spec is not followed.
fn is_behind(context: &Context<'_>, member: &Member<'_>) -> bool {
    context.follows_spec
        && member.has_storage()
        && !member.is_lost_with_its_pod()
        && member.facts.as_ref().is_some_and(|facts| facts.is_of(&context.world.cluster) && !facts.set_aside)
        && !is_as_specified(context, member)
}

/// Whether a member runs what the spec asks of it.
pub(super) fn is_updated(context: &Context<'_>, member: &Member<'_>) -> bool {
    // A version that is not reached yet, or is refused, is none that the member runs.
    let is_of_version =
        !context.follows_spec || stateful_sets::target(context, member).version == context.desired.version;
    let has_volume = !context.follows_spec || !leaving::has_other_volume(context, member);
    let has_arrived = !context.follows_spec || tls::has_arrived(context, member);
    is_of_version
        && has_volume
        && has_arrived
        && is_as_specified(context, member)
        && restart::is_in_step(context, member)
}

/// Whether a member cannot run as it is: its container keeps ending, or has not come up for a while. One whose pod is only being
/// made anew is not.
fn is_stuck(member: &Member<'_>) -> bool {
    let keeps_ending = container_restarts(member.pod) >= STUCK_AFTER_RESTARTS;
    let is_late = member.silent_for.is_some_and(|silent| silent >= STUCK_AFTER);
    !member.votes() && (keeps_ending || (is_late && !member.etcd_container_runs()))
}

/// Gives the next member its turn, of those that are not stuck.
pub(super) fn advance(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let is_next = |member: &&Member<'_>| is_behind(context, member) && !is_stuck(member);
    let mut behind: Vec<&Member<'_>> = context.world.listed().filter(is_next).collect();
    behind.sort_by_key(|member| restart::in_turn(context, member));
    let Some(next) = behind.first() else { return Flow::Next };
    match reason_to_wait(context, next).or_else(|| reason_not_to_disturb(context, next)) {
        Some(hold) => plan.hold(hold),
        None => set_target(context, plan, next),
    }
    Flow::Stop
}

/// A member that is stuck gets what the spec asks for before anybody is added or promoted, and whoever else is not well: what keeps
/// it may be what was changed, and it cannot be disturbed. What other members were changed to must be proven even so.
pub(super) fn to_stuck_members(context: &Context<'_>, plan: &mut Plan) -> Flow {
    // One in memory that was added for a change is dropped instead if that change is taken back.
    let is_dropped = |member: &Member<'_>| member.is_in_memory() && scale::is_to_drop(context, member);
    let is_next =
        |member: &&Member<'_>| is_stuck(member) && is_behind(context, member) && !is_dropped(member);
    let next = context.world.listed().find(is_next);
    if let Some(next) = next {
        match reason_to_wait(context, next) {
            Some(hold) => plan.hold(hold),
            None => set_target(context, plan, next),
        }
    }
    Flow::Next
}

/// Without a quorum nobody is well, and so nothing can be proven: the spec reaches those that are stuck, and each one only once the
/// containers of those before it run.
pub(super) fn to_stuck_members_without_quorum(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let used = || {
        let members = context.world.members.values();
        members.filter(|member| stateful_sets::has_used_volume(context, member))
    };
    let Some(next) = used().find(|member| is_stuck(member) && is_behind(context, member)) else {
        return Flow::Next;
    };
    let has_come_up = |member: &Member<'_>| {
        member.etcd_container_runs() && !is_stuck(member) && restart::is_in_step(context, member)
    };
    let unproven = used().find(|member| is_as_specified(context, member) && !has_come_up(member));
    match unproven.filter(|_| !goes_back(context, next)) {
        Some(unproven) => {
            let message = format!("{} does not run yet with what it was changed to", unproven.name);
            plan.wait(Wait::Turn { member: next.name.clone(), message });
        }
        None => set_target(context, plan, next),
    }
    Flow::Next
}

fn set_target(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    let Some(keeper) = member.live_keeper() else { return };
    let present = stateful_sets::target(context, member);
    let wanted = wanted_target(context, member, &present);
    // What it has never run well is nothing to go back to.
    let recorded = previous_target(member).filter(|_| !is_proven(context, member));
    let previous = recorded.cloned().unwrap_or_else(|| present.digest());
    let action = change::set_target(keeper, &wanted, Some(previous), "the spec has changed");
    plan.act_on_record(&member.name, action);
}

/// Whether something that was changed lately has yet to prove itself, so that going back may be what is needed.
pub(super) fn is_unproven(context: &Context<'_>) -> bool {
    let members = context.world.members.values();
    members.filter(|member| previous_target(member).is_some()).any(|member| !is_proven(context, member))
}

fn previous_target<'m>(member: &'m Member<'_>) -> Option<&'m String> {
    member.facts.as_ref()?.previous_target.as_ref()
}

/// Whether the spec asks a member for what it ran before: going back proves nothing new.
fn goes_back(context: &Context<'_>, member: &Member<'_>) -> bool {
    let wanted = wanted_target(context, member, &stateful_sets::target(context, member));
    previous_target(member) == Some(&wanted.digest())
}

/// Why the next member's turn has not come: what others were changed to has not proved itself.
fn reason_to_wait(context: &Context<'_>, next: &Member<'_>) -> Option<Hold> {
    if goes_back(context, next) {
        return None;
    }
    let is_changed = |member: &&Member<'_>| member.name != next.name && is_as_specified(context, member);
    let changed: Vec<&Member<'_>> = context.world.listed().filter(is_changed).collect();
    if let Some(stopped) = changed.iter().find_map(|member| stops_the_rollout(context, member)) {
        return Some(stopped);
    }
    if let Some(member) = changed.iter().find(|member| !restart::is_in_step(context, member)) {
        let message = format!("{} is being changed", member.name);
        return Some(Hold::Wait(Wait::Turn { member: next.name.clone(), message }));
    }
    if quota::is_remedy(context) {
        // No member is well while etcd accepts no writes, which is what the change ends.
        return None;
    }
    let soaking = changed.iter().find(|member| is_soaking(context, member))?;
    let message = format!(
        "it must be well for {} seconds before the next one is changed",
        context.desired.soak.as_secs()
    );
    Some(Hold::Wait(Wait::Soak { member: soaking.name.clone(), message }))
}

/// Why what the spec asks for goes no further, if a member that runs it has ended because of it.
pub(super) fn stopped(context: &Context<'_>) -> Option<Hold> {
    let mut changed = context.world.listed().filter(|member| is_as_specified(context, member));
    changed.find_map(|member| stops_the_rollout(context, member))
}

/// Whether what a member runs has yet to prove itself.
pub(super) fn is_soaking(context: &Context<'_>, member: &Member<'_>) -> bool {
    !is_proven(context, member) && well_for(context, member) < context.desired.soak
}

/// Why a member that runs may not be restarted now.
fn reason_not_to_disturb(context: &Context<'_>, next: &Member<'_>) -> Option<Hold> {
    let message =
        restart::reason_to_wait(context, next).or_else(|| versions::reason_to_wait(context, next))?;
    Some(Hold::Wait(Wait::Turn { member: next.name.clone(), message }))
}

/// A container that was restarted on what the spec asks for is a reason to ask no other member for it, until it is proven all the
/// same. Where it was proven before, as when a spec goes back, the restart has another cause.
fn stops_the_rollout(context: &Context<'_>, member: &Member<'_>) -> Option<Hold> {
    let needed = time_until_proven(context.desired);
    let has_restarted = restart::is_in_step(context, member) && container_restarts(member.pod) > 0;
    if !has_restarted || is_proven(context, member) || well_for(context, member) >= needed {
        return None;
    }
    let end = member.last_end().unwrap_or_else(|| "its container was restarted".to_owned());
    let message = format!(
        "{end}; it goes on when the spec is changed, or once that member has been well for {} minutes",
        needed.as_mins()
    );
    Some(Hold::Spec(SpecHold::RolloutStopped { member: member.name.clone(), message }))
}

/// Whether the member has been well for long enough with what it runs, ever, as the status remembers it.
fn is_proven(context: &Context<'_>, member: &Member<'_>) -> bool {
    let digest = stateful_sets::target(context, member).digest();
    recorded(context, member).is_some_and(|recorded| recorded.proven_target.as_ref() == Some(&digest))
}

fn recorded<'c>(context: &'c Context<'_>, member: &Member<'_>) -> Option<&'c MemberStatus> {
    context.world.status()?.members.iter().find(|one| one.name == member.name.as_str())
}

/// For how long a member has been well without interruption, as the status records it; not longer than its container runs.
fn well_for(context: &Context<'_>, member: &Member<'_>) -> SignedDuration {
    let recorded = recorded(context, member).and_then(|recorded| recorded.well_since.as_ref());
    match recorded.filter(|_| member.health() == Health::Healthy) {
        Some(since) => {
            let since = member.container_started_at().map_or(since.0, |started| since.0.max(started));
            context.world.observed.as_of.duration_since(since)
        }
        None => SignedDuration::ZERO,
    }
}
