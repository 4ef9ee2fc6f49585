//! From the number of members that there are to the number that is wanted: learners are added and promoted one at a
//! time, and surplus voters are removed one at a time. A repair ends here too: the successor of a removed member is an
//! addition like any other. Never deletes an object.

use super::{Action, Context, Flow, Hold, Object, Plan, cleanup, safety};
use crate::mutant::Mutant;
use crate::names::{MemberName, Role};
use crate::observed::KnownMembers;
use crate::render;
use crate::world::{Issued, Member, Origin};

/// Promotes the learner once it has caught up, if the voters can bear one more.
pub(super) fn promote(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let (Some(list), Some(learner)) = (context.world.list, context.world.learner()) else {
        return Flow::Next;
    };
    if context.world.listed().count() > context.desired.size {
        return Flow::Next;
    }
    let hold = |message: String| Hold::WaitingForLearner { member: learner.name.clone(), message };
    let (Some(leader), Some(answer), Some(id)) =
        (context.world.leader_answer(), learner.etcd(), learner.id())
    else {
        plan.hold(hold("it, or the leader, does not answer yet".to_owned()));
        return Flow::Stop;
    };
    if let Err(message) = safety::has_caught_up(leader, answer) {
        plan.hold(hold(message));
    } else if !context.world.votes().may_add() {
        let members = safety::unhealthy_voters(context);
        plan.hold(Hold::WaitingForHealth { members, what: "promoting a learner" });
    } else {
        let (member, planned_on) = (learner.name.clone(), Context::planned_on(list));
        plan.act(Action::PromoteMember { member, id, planned_on });
    }
    Flow::Stop
}

/// Adds or removes one member if the number is not the wanted one.
pub(super) fn grow_or_shrink(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    match context.world.listed().count().cmp(&context.desired.size) {
        std::cmp::Ordering::Less => grow(context, plan, list),
        std::cmp::Ordering::Equal => Flow::Next,
        std::cmp::Ordering::Greater => shrink(context, plan, list),
    }
}

fn grow(context: &Context<'_>, plan: &mut Plan, list: &KnownMembers) -> Flow {
    let is_cleaning = plan.holds.iter().any(|hold| matches!(hold, Hold::WaitingForCleanup { .. }));
    if is_cleaning {
        return Flow::Stop;
    }
    if !context.world.votes().may_add() {
        let members = safety::unhealthy_voters(context);
        plan.hold(Hold::WaitingForHealth { members, what: "adding a member" });
        return Flow::Stop;
    }
    let member = prepare(context, plan);
    plan.act(Action::AddLearner {
        peer_url: context.world.cluster.peer_url(&member),
        member,
        planned_on: Context::planned_on(list),
    });
    Flow::Stop
}

/// Makes the objects of the member to be, before it is added: a crash in between leaves an unused volume that is found
/// again. Were it the other way round, an entry in the list without a volume could be one whose volume was lost.
fn prepare(context: &Context<'_>, plan: &mut Plan) -> MemberName {
    let intended = context.world.members.values().find(|member| cleanup::is_intended(member));
    let name = match intended {
        Some(member) => member.name.clone(),
        None => context.world.fresh_names(1).pop_first().expect("one name was asked for"),
    };
    if intended.is_none() {
        let origin = Origin::Added { token: context.world.token() };
        plan.act(Action::Create(Box::new(Object::Claim(render::claim(&context.common, &name, &origin)))));
    }
    if intended.is_none_or(|member| member.stateful_set.is_none()) {
        let stateful_set = render::stateful_set(&context.common, &name, Role::Learner);
        plan.act(Action::Create(Box::new(Object::StatefulSet(stateful_set))));
    }
    name
}

fn shrink(context: &Context<'_>, plan: &mut Plan, list: &KnownMembers) -> Flow {
    let Some(victim) = superfluous(context) else { return Flow::Stop };
    if let Some(message) = reason_to_see_it_first(victim) {
        plan.hold(Hold::WaitingForLearner { member: victim.name.clone(), message });
        return Flow::Stop;
    }
    let others = safety::unhealthy_voters(context).into_iter().filter(|name| *name != victim.name);
    let unhealthy: Vec<MemberName> = others.collect();
    if victim.is_voter() && !unhealthy.is_empty() {
        plan.hold(Hold::WaitingForHealth { members: unhealthy, what: "removing a member" });
        return Flow::Stop;
    }
    if let Err(message) = safety::may_remove(context, victim) {
        plan.hold(Hold::QuorumAtRisk { member: victim.name.clone(), message });
        return Flow::Stop;
    }
    if context.is_mutant(Mutant::ShrinkPodsFirst) && victim.has_objects() {
        shrink_pods_first(context, plan);
        return Flow::Stop;
    }
    let Some(id) = victim.id() else { return Flow::Stop };
    plan.act(Action::RemoveMember {
        member: victim.name.clone(),
        id,
        because: format!("{} members are wanted", context.desired.size),
        planned_on: Context::planned_on(list),
    });
    Flow::Stop
}

/// A learner that has its permit may or may not have written to its volume. It is seen to run before it is removed, so
/// that its volume is known to be its own afterwards and need not be kept.
fn reason_to_see_it_first(victim: &Member<'_>) -> Option<String> {
    let facts = victim.facts.as_ref()?;
    let is_unseen = !victim.is_voter() && facts.issued != Issued::Never && facts.member_id.is_none();
    is_unseen.then(|| "it is not wanted any more, and is removed once it was seen to run".to_owned())
}

/// Who goes first: a learner, then a voter that is not healthy, then the newest. The leader is last, so that shrinking
/// never needs an election.
fn superfluous<'c, 'a>(context: &'c Context<'a>) -> Option<&'c Member<'a>> {
    surplus(context).into_iter().next()
}

fn surplus<'c, 'a>(context: &'c Context<'a>) -> Vec<&'c Member<'a>> {
    let mut members: Vec<&Member<'a>> = context.world.listed().collect();
    let created =
        |member: &Member<'_>| member.claim.and_then(|claim| claim.metadata.creation_timestamp.clone());
    members.sort_by_key(|member| {
        let newest_first = std::cmp::Reverse(created(member).map(|time| time.0));
        (member.is_voter(), member.votes(), context.world.leads(member), newest_first, member.name.clone())
    });
    let count = members.len().saturating_sub(context.desired.size);
    members.truncate(count);
    members
}

/// The rule broken on purpose: the objects of all surplus members go while etcd still counts on them.
fn shrink_pods_first(context: &Context<'_>, plan: &mut Plan) {
    for member in surplus(context) {
        if let Some(live) = member.stateful_set {
            plan.act(super::change::delete(super::Kind::StatefulSet, live, "fewer members are wanted"));
        }
        if let Some(pod) = member.live_pod() {
            plan.act(super::change::delete(super::Kind::Pod, pod, "fewer members are wanted"));
        }
        if let Some(claim) = member.live_claim() {
            plan.act(super::change::delete(
                super::Kind::PersistentVolumeClaim,
                claim,
                "fewer members are wanted",
            ));
        }
    }
}
