//! Lost members are removed from etcd, one in each plan. Their objects go and their successor comes in later plans, when
//! the list, read again, shows the removal. Never deletes an object.

use super::{Action, Context, Flow, Hold, Plan, safety};
use crate::gate::GateHoldReason;
use crate::mutant::Mutant;
use crate::world::Member;

/// Removes the first lost member that the others can do without.
pub(super) fn lost_members(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    let refusing = safety::refusing_gates(context);
    if refusing.len() > 1 {
        plan.hold(Hold::SeveralGatesRefuse { members: refusing });
        return Flow::Next;
    }
    hold_for_others(context, plan);
    for (member, loss) in
        context.world.listed().filter_map(|m| safety::loss(context, m).map(|loss| (m, loss)))
    {
        if let Err(message) = safety::may_remove(context, member) {
            plan.hold(Hold::QuorumAtRisk { member: member.name.clone(), message });
            continue;
        }
        let victim = healthy_instead(context).unwrap_or(member);
        let Some(id) = victim.id() else { continue };
        plan.act(Action::RemoveMember {
            member: victim.name.clone(),
            id,
            because: loss.to_string(),
            planned_on: Context::planned_on(list),
        });
        return Flow::Stop;
    }
    Flow::Next
}

/// The rule broken on purpose: while all voters are still listed, a healthy one goes before the lost one.
fn healthy_instead<'c, 'a>(context: &'c Context<'a>) -> Option<&'c Member<'a>> {
    let is_complete = context.world.voters().count() >= context.desired.size;
    let is_wrong = context.is_mutant(Mutant::RemovesHealthyFirst) && is_complete;
    context.world.voters().find(|member| is_wrong && member.votes())
}

/// Says who is waited for, and whose gate wants a person.
fn hold_for_others(context: &Context<'_>, plan: &mut Plan) {
    for member in context.world.listed().filter(|member| safety::loss(context, member).is_none()) {
        match member.gate().map(|report| report.reason) {
            Some(reason @ (GateHoldReason::Foreign | GateHoldReason::Fenced)) => {
                plan.hold(Hold::GateRefuses { member: member.name.clone(), reason });
            }
            // An empty disk that waits for its permit.
            Some(GateHoldReason::Lost) => {}
            None if member.etcd().is_none() && member.has_started() => {
                plan.hold(Hold::WaitingForSilentMember { member: member.name.clone() });
            }
            None => {}
        }
    }
}
