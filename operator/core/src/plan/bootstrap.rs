//! The first members: chosen once, frozen with their token, started all at once. An attempt that can no longer form a
//! cluster is abandoned as a whole: new names, a new token, and its volumes set aside. Never runs once the cluster has
//! formed.

use std::collections::BTreeMap;

use super::permits::{self, Terms};
use super::{Action, Context, Flow, Hold, Kind, Object, PatchPurpose, Plan, change, stateful_sets};
use crate::gate::{ClusterState, GateHoldReason};
use crate::names::{ANNOTATION_SET_ASIDE, MemberName, Role};
use crate::quorum::quorum;
use crate::render;
use crate::world::{Bootstrap, Issued, Member, Origin};

/// Chooses the first members and writes them down before anything is made, so that two operators cannot choose twice.
pub(super) fn freeze(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let world = &context.world;
    let can_form = |bootstrap: &Bootstrap| {
        let dead = bootstrap.members.iter().filter(|name| is_dead(context, name)).count();
        bootstrap.members.len() - dead >= quorum(bootstrap.members.len())
    };
    if world.bootstrap.as_ref().is_some_and(can_form) {
        return Flow::Next;
    }
    let attempt = world.next_attempt();
    let chosen = Bootstrap {
        attempt,
        token: world.cluster.token(attempt),
        members: world.fresh_names(context.desired.size),
    };
    plan.act(Action::RecordBootstrap {
        record: chosen.to_record(),
        resource_version: world.observed.cluster.metadata.resource_version.clone().unwrap_or_default(),
    });
    Flow::Stop
}

/// Whether a first member can never start any more: its volume is gone, or its gate found no log after its permit.
fn is_dead(context: &Context<'_>, name: &MemberName) -> bool {
    context.world.members.get(name).is_some_and(|member| {
        let lost_volume = member.live_claim().is_none() && member.has_objects() && member.etcd().is_none();
        lost_volume || super::safety::gate_says_lost(member)
    })
}

/// Ends what an abandoned attempt left: its pods go, its volumes stay for a person to look at.
pub(super) fn set_earlier_attempts_aside(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    for member in context.world.members.values().filter(|member| !bootstrap.members.contains(&member.name)) {
        let is_ours = member.facts.as_ref().is_none_or(|facts| facts.is_of(&context.world.cluster));
        if is_ours {
            set_aside(plan, member);
        }
    }
    Flow::Next
}

fn set_aside(plan: &mut Plan, member: &Member<'_>) {
    const BECAUSE: &str = "the attempt to form the cluster was abandoned";
    if let Some(live) = member.stateful_set.filter(|live| live.metadata.deletion_timestamp.is_none()) {
        plan.act(change::delete(Kind::StatefulSet, live, BECAUSE));
    }
    if let Some(pod) = member.live_pod() {
        plan.act(change::delete(Kind::Pod, pod, BECAUSE));
    }
    let (Some(claim), Some(facts)) = (member.live_claim(), &member.facts) else { return };
    if facts.set_aside {
        return;
    }
    if facts.issued == Issued::Never {
        plan.act(change::delete(Kind::PersistentVolumeClaim, claim, BECAUSE));
        return;
    }
    let value: BTreeMap<String, String> = [(ANNOTATION_SET_ASIDE.to_owned(), BECAUSE.to_owned())].into();
    let operations = change::annotate(&claim.metadata, &value);
    let purpose = PatchPurpose::SetAside { because: BECAUSE.to_owned() };
    plan.act(change::patch(change::target(Kind::PersistentVolumeClaim, claim), operations, purpose));
}

/// Makes what is missing of each first member. A claim is made only before its StatefulSet, so that a lost one is never
/// taken for one that was not made yet.
pub(super) fn create_members(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    let record = bootstrap.to_record();
    let origin = Origin::First {
        attempt: record.attempt,
        token: record.token.clone(),
        members: record.members.clone(),
    };
    let mut waiting_for = Vec::new();
    for name in &bootstrap.members {
        waiting_for.push(name.clone());
        let Some(member) = context.world.members.get(name).filter(|member| member.has_objects()) else {
            plan.act(Action::Create(Box::new(Object::Claim(render::claim(&context.common, name, &origin)))));
            let stateful_set = render::stateful_set(&context.common, name, Role::Voter);
            plan.act(Action::Create(Box::new(Object::StatefulSet(stateful_set))));
            continue;
        };
        if member.live_claim().is_some() {
            stateful_sets::keep(context, plan, member, Role::Voter);
        }
        hold_for_gate(plan, member);
    }
    plan.hold(Hold::Forming { waiting_for });
    Flow::Next
}

fn hold_for_gate(plan: &mut Plan, member: &Member<'_>) {
    match member.gate().map(|report| report.reason) {
        Some(reason @ (GateHoldReason::Foreign | GateHoldReason::Fenced)) => {
            plan.hold(Hold::GateRefuses { member: member.name.clone(), reason });
        }
        Some(GateHoldReason::Lost) | None => {}
    }
}

/// Gives each first member that has a pod its permit to form the cluster.
pub(super) fn permits(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    let terms = Terms {
        state: ClusterState::New,
        token: bootstrap.token.clone(),
        initial_cluster: permits::initial_cluster(context, bootstrap.members.iter()),
    };
    for member in bootstrap.members.iter().filter_map(|name| context.world.members.get(name)) {
        permits::give_first(context, plan, member, &terms);
    }
    Flow::Next
}
