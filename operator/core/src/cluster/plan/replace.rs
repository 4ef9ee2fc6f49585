//! Lost members are removed from etcd, one in each plan. Their objects go and their successor comes in later plans, when
//! the list, read again, shows the removal. Never deletes an object.

use super::safety::Silence;
use super::{Action, Concern, Context, Flow, Hold, Plan, QuorumHold, Wait, restart, safety};
use crate::gate::GateHoldReason;

/// Removes the first lost member that the others can do without.
pub(super) fn lost_members(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    let refusing = safety::refusing_gates(context);
    if refusing.len() > 1 {
        plan.hold(Hold::Quorum(QuorumHold::SeveralGatesRefuse { members: refusing }));
        return Flow::Next;
    }
    hold_for_others(context, plan);
    for (member, loss) in
        context.world.listed().filter_map(|m| safety::loss(context, m).map(|loss| (m, loss)))
    {
        if let Err(message) = safety::may_remove(context, member) {
            plan.hold(Hold::Quorum(QuorumHold::AtRisk { member: member.name.clone(), message }));
            continue;
        }
        // Who leads gives its data to whoever joins; and whoever still can hands over first.
        if let Some(action) = restart::successor(context, member).filter(|_| member.etcd().is_some()) {
            plan.act(Concern::Membership, action);
            return Flow::Stop;
        }
        let Some(id) = member.id() else { continue };
        let action = Action::RemoveMember {
            member: member.name.clone(),
            id,
            because: loss.to_string(),
            planned_on: Context::planned_on(list),
        };
        plan.act(Concern::Membership, action);
        return Flow::Stop;
    }
    Flow::Next
}

/// Says who is waited for, and whose gate wants a person.
fn hold_for_others(context: &Context<'_>, plan: &mut Plan) {
    for member in context.world.listed().filter(|member| safety::loss(context, member).is_none()) {
        let name = member.name.clone();
        match member.gate().map(|report| report.reason) {
            Some(reason @ (GateHoldReason::Foreign | GateHoldReason::Fenced)) => {
                plan.hold(Hold::Quorum(QuorumHold::GateRefuses { member: name, reason }));
                continue;
            }
            // An empty disk that waits for its permit.
            Some(GateHoldReason::Lost) => continue,
            None => {}
        }
        match safety::silence(context, member) {
            Silence::Answers | Silence::TooLong => {}
            Silence::NoEvidence(_) if !member.has_started() => {}
            Silence::NoEvidence(message) => plan.wait(Wait::SilentMember { member: name, message }),
            Silence::Exhausted(attempts) => {
                plan.hold(Hold::Quorum(QuorumHold::ReplacementsFail { member: name, attempts }));
            }
        }
    }
}
