//! The leadership moves to the member that somebody asked for. Never restarts anybody.

use super::{Action, Concern, Context, Flow, Plan, Wait};

/// Moves it, once the member can lead. Who leads already, or is no voter, is left as it is: the status acknowledges that.
pub(super) fn move_by_request(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let world = context.world;
    let Some(list) = world.list else { return Flow::Stop };
    let asked_for = world.voters().find(|member| context.requests.moves_leader_to(&member.name));
    let Some(to) = asked_for.filter(|member| !world.leads(member)) else { return Flow::Next };
    let from = world.voters().find(|member| world.leads(member));
    let (Some(from), Some(to_id), true) = (from, to.id(), to.votes()) else {
        let message = if from.is_none() { "no leader is known" } else { "it is not healthy" };
        plan.wait(Wait::Leadership { member: to.name.clone(), message: message.to_owned() });
        return Flow::Next;
    };
    let Some(from_id) = from.id() else { return Flow::Next };
    let planned_on = Context::planned_on(list);
    let (from, to) = (from.name.clone(), to.name.clone());
    plan.act(Concern::Membership, Action::MoveLeader { from, from_id, to, to_id, planned_on });
    // Whoever leads restarts last, so what follows must see who does.
    Flow::Stop
}
