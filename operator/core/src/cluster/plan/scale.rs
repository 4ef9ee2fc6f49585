//! From the number of members that there are to the number that is wanted: learners are added and promoted one at a
//! time, and surplus voters are removed one at a time. A repair ends here too: the successor of a removed member is an
//! addition like any other. Where a voter's volume is being deleted while it runs, its successor is added first. Never deletes an
//! object.

use std::cmp::Reverse;

use super::creation::Creation;
use super::{
    Action, Concern, Context, Flow, Hold, Object, Plan, QuorumHold, Wait, cleanup, guards, leaving, quota,
    restart, rollout, safety, stateful_sets, tls, versions,
};
use crate::api::StorageMedium;
use crate::cluster::observed::KnownMembers;
use crate::cluster::render::{self, quantity};
use crate::cluster::target::Target;
use crate::cluster::world::{Issued, Member, Origin, VolumeRequest};
use crate::names::{MemberName, Role};

/// Members that there may be: the wanted ones, and one more while a voter is to go that serves.
pub(super) fn allowed_members(context: &Context<'_>) -> usize {
    context.desired.size + usize::from(leaving::is_any(context))
}

/// Promotes the learner once it has caught up, if the voters can bear one more.
pub(super) fn promote(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let (Some(list), Some(learner)) = (context.world.list, context.world.learner()) else {
        return Flow::Next;
    };
    if context.world.listed().count() > allowed_members(context) {
        return Flow::Next;
    }
    if let Some(because) = reason_to_drop(context, learner) {
        let Some(id) = learner.id() else { return Flow::Stop };
        let (member, planned_on) = (learner.name.clone(), Context::planned_on(list));
        plan.act(Concern::Membership, Action::RemoveMember { member, id, because, planned_on });
        return Flow::Stop;
    }
    let wait = |message: String| Wait::Learner { member: learner.name.clone(), message };
    let (Some(leader), Some(answer), Some(id)) =
        (context.world.leader_answer(), learner.etcd(), learner.id())
    else {
        let why = learner.trouble(context.world.observed).map(|trouble| format!(": {trouble}"));
        plan.wait(wait(format!("it, or the leader, does not answer yet{}", why.unwrap_or_default())));
        return Flow::Stop;
    };
    // Whoever votes is recorded on its claim; whoever is not, has never voted.
    let is_recorded = learner.facts.as_ref().is_some_and(|facts| facts.member_id == Some(id));
    if let Err(message) = safety::has_caught_up(leader, answer) {
        plan.wait(wait(message));
    } else if !is_recorded {
        plan.wait(wait("its ID is not recorded on its claim yet".to_owned()));
    } else if !context.world.votes().may_add() {
        let members = safety::unhealthy_voters(context);
        plan.wait(Wait::Health { members, what: "promoting a learner" });
    } else {
        let (member, planned_on) = (learner.name.clone(), Context::planned_on(list));
        plan.act(Concern::Membership, Action::PromoteMember { member, id, planned_on });
    }
    Flow::Stop
}

/// Why a learner must never vote. Another one takes its place; it has no vote that could be missed.
fn reason_to_drop(context: &Context<'_>, learner: &Member<'_>) -> Option<String> {
    if learner.is_corrupt {
        return Some("its data differs from the others'".to_owned());
    }
    if let Some(broken) = learner.broken_data() {
        return Some(broken.to_owned());
    }
    if learner.is_volume_ending() {
        return Some("its volume is being deleted before it votes".to_owned());
    }
    if context.requests.replaces(&learner.name) {
        return Some("its replacement was asked for".to_owned());
    }
    // One that was added for a change may be in the way of the next change, or of a repair, which has what the others have.
    let is_in_the_way = !learner.has_started() && context.world.voters().count() < context.desired.size;
    let common = context.world.common_volume_of_voters();
    let volume = learner.facts.as_ref().and_then(|facts| facts.volume.as_ref());
    let has_others_volume =
        volume.zip(common).is_some_and(|(volume, common)| volume.is_of_same_kind_as(&common));
    let reasons = if !has_others_volume {
        let is_unwanted = context.follows_spec && leaving::has_other_volume(context, learner);
        (
            is_unwanted,
            "its volume is not of the kind that the spec asks for",
            "its volume is not of the kind that",
        )
    } else if has_settings_of_its_own(context, learner) {
        let is_unwanted = context.follows_spec && !rollout::is_as_specified(context, learner);
        (is_unwanted, "it does not run what the spec asks for", "it does not run what")
    } else {
        return None;
    };
    match (reasons, is_in_the_way) {
        ((true, unwanted, _), _) => Some(unwanted.to_owned()),
        ((false, _, other), true) => {
            Some(format!("a voter must be replaced first, and {other} the others have"))
        }
        ((false, _, _), false) => None,
    }
}

/// Whether a learner must never vote.
pub(super) fn is_to_drop(context: &Context<'_>, member: &Member<'_>) -> bool {
    member.listed.is_some() && !member.is_voter() && reason_to_drop(context, member).is_some()
}

/// Whether a learner in memory was added with other settings than the voters have. Its quota may be larger because the database is,
/// and one that was changed since, because it was stuck, was added with theirs.
fn has_settings_of_its_own(context: &Context<'_>, learner: &Member<'_>) -> bool {
    let (Some(target), Some(common)) = (&learner.target, context.world.common_target_of_voters()) else {
        return false;
    };
    let was_changed = learner.facts.as_ref().is_some_and(|facts| facts.previous_target.is_some());
    let as_others = Target { quota_backend_bytes: target.quota_backend_bytes, ..common };
    learner.is_in_memory() && !was_changed && !target.is_same_as(&as_others)
}

/// Adds or removes one member if the number is not the wanted one.
pub(super) fn grow_or_shrink(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    let (listed, allowed) = (context.world.listed().count(), allowed_members(context));
    let has_successor = listed > context.desired.size && context.world.learner().is_none();
    if listed < allowed {
        grow(context, plan, list)
    } else if listed > allowed || has_successor {
        shrink(context, plan, list)
    } else {
        Flow::Next
    }
}

fn grow(context: &Context<'_>, plan: &mut Plan, list: &KnownMembers) -> Flow {
    if cleanup::is_cleaning(context) {
        return Flow::Stop;
    }
    if !context.world.votes().may_add() {
        let members = safety::unhealthy_voters(context);
        plan.wait(Wait::Health { members, what: "adding a member" });
        return Flow::Stop;
    }
    let is_extra = context.world.listed().count() >= context.desired.size;
    if let Some(hold) = leaving::reason_to_wait(context).filter(|_| is_extra) {
        plan.hold(hold);
        // What else is asked for may be what is waited for.
        return Flow::Next;
    }
    if versions::let_join(context, plan) == Flow::Stop {
        return Flow::Stop;
    }
    let volume = volume_of_new_member(context, is_extra);
    let target = target_of_new_member(context, is_extra, &volume);
    let member = prepare(context, plan, &volume, &target);
    let action = Action::AddLearner {
        peer_url: tls::of_addition(context, &member, &target),
        member,
        planned_on: Context::planned_on(list),
    };
    plan.act(Concern::Membership, action);
    Flow::Stop
}

/// Makes the objects of the member to be, before it is added: a crash in between leaves an unused volume that is found
/// again. Were it the other way round, an entry in the list without a volume could be one whose volume was lost.
fn prepare(context: &Context<'_>, plan: &mut Plan, volume: &VolumeRequest, target: &Target) -> MemberName {
    let intended = context.world.members.values().find(|member| cleanup::is_intended(context, member));
    if let Some(member) = intended {
        if member.stateful_set.is_none() {
            let target = stateful_sets::target(context, member);
            let rendering = context.rendering(&target, None);
            let stateful_set = render::stateful_set(&rendering, &member.name, Role::Learner);
            plan.act(Concern::Membership, Action::Create(Box::new(Object::StatefulSet(stateful_set))));
        }
        return member.name.clone();
    }
    let name = context.world.fresh_names(1).pop_first().expect("one name was asked for");
    let origin = Origin::Added { token: context.world.token(), naming: context.world.cluster.naming };
    let creation = Creation { member: &name, origin, target, volume, role: Role::Learner };
    for action in creation.actions(context) {
        plan.act(Concern::Membership, action);
    }
    name
}

/// Whether a member that is added comes for one that is to go because of what the spec asks for.
fn is_for_a_change(context: &Context<'_>, is_extra: bool) -> bool {
    is_extra && context.follows_spec && !leaving::is_repair(context)
}

/// As most others have it, for what the spec asks for may be what nobody can have; as the spec asks for where somebody is replaced
/// because of that, or because somebody asked for it.
fn volume_of_new_member(context: &Context<'_>, is_extra: bool) -> VolumeRequest {
    let wanted = guards::wanted_volume(context);
    let Some(common) = context.world.common_volume() else { return wanted };
    // Volumes do not shrink, so successors are no smaller either. What is in memory has nothing to keep.
    let is_smaller = quantity::is_above(&common.size, &wanted.size)
        && [common.medium, wanted.medium] == [StorageMedium::Disk; 2];
    if !is_for_a_change(context, is_extra) {
        common
    } else if is_smaller {
        VolumeRequest { size: common.size, ..wanted }
    } else {
        wanted
    }
}

/// As the others run; and a quota that the database of the others has outgrown would stop the new member at once. As the spec asks
/// for where its data will be in memory and somebody is replaced for a change: it could not be restarted for that later.
fn target_of_new_member(context: &Context<'_>, is_extra: bool, volume: &VolumeRequest) -> Target {
    let world = context.world;
    let version = world.version.unwrap_or(context.desired.version);
    let target =
        world.common_target().unwrap_or_else(|| Target::of_spec(context.desired, version, None, None));
    if volume.medium == StorageMedium::Memory && is_for_a_change(context, is_extra) {
        return rollout::wanted_of_successor(context, &target, volume);
    }
    let smallest = quota::smallest_bytes(world);
    let quota_backend_bytes = target.quota_backend_bytes.map(|quota| quota.max(smallest));
    Target { version: versions::of_addition(world, target.version), quota_backend_bytes, ..target }
}

fn shrink(context: &Context<'_>, plan: &mut Plan, list: &KnownMembers) -> Flow {
    let Some(victim) = superfluous(context) else { return Flow::Stop };
    if let Some(message) = reason_to_see_it_first(victim) {
        plan.wait(Wait::Learner { member: victim.name.clone(), message });
        return Flow::Stop;
    }
    let others = safety::unhealthy_voters(context).into_iter().filter(|name| *name != victim.name);
    let unhealthy: Vec<MemberName> = others.collect();
    if victim.is_voter() && !unhealthy.is_empty() {
        plan.wait(Wait::Health { members: unhealthy, what: "removing a member" });
        return Flow::Stop;
    }
    if let Err(message) = safety::may_remove(context, victim) {
        plan.hold(Hold::Quorum(QuorumHold::AtRisk { member: victim.name.clone(), message }));
        return Flow::Stop;
    }
    let Some(id) = victim.id() else { return Flow::Stop };
    // Who is not well may not be able to hand anything over.
    if let Some(action) = restart::successor(context, victim).filter(|_| victim.votes()) {
        plan.act(Concern::Membership, action);
        return Flow::Stop;
    }
    let because = match leaving::because(context, victim) {
        Some(because) => because.to_string(),
        None => format!("{} members are wanted", context.desired.size),
    };
    let (member, planned_on) = (victim.name.clone(), Context::planned_on(list));
    plan.act(Concern::Membership, Action::RemoveMember { member, id, because, planned_on });
    Flow::Stop
}

/// A learner that has its permit may or may not have written to its volume. It is seen to run before it is removed, so
/// that its volume is known to be its own afterwards and need not be kept.
fn reason_to_see_it_first(victim: &Member<'_>) -> Option<String> {
    let facts = victim.facts.as_ref().filter(|_| !victim.is_in_memory())?;
    let is_unseen = !victim.is_voter() && facts.issued != Issued::Never && facts.member_id.is_none();
    is_unseen.then(|| "it is not wanted any more, and is removed once it was seen to run".to_owned())
}

/// Who goes first: who is known to be corrupt, then a learner, then a voter whose volume is being deleted, then one that is to be
/// replaced, then one that is not healthy, then the newest. The leader is last, so that shrinking never needs an election.
fn superfluous<'c, 'a>(context: &'c Context<'a>) -> Option<&'c Member<'a>> {
    context.world.listed().min_by_key(|member| {
        let newest_first = Reverse(member.recorded_since());
        let is_leader = context.world.leads(member);
        let is_to_go = leaving::because(context, member).is_some();
        let stays =
            (!member.is_corrupt, member.is_voter(), !member.is_volume_ending(), !is_to_go, member.votes());
        (stays, is_leader, newest_first, member.name.clone())
    })
}
