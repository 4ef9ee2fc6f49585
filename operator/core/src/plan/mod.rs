//! What happens next: the ordered table of steps, and nothing else. Each step looks at the world and adds actions or
//! holds; some end the plan, because what follows must see their result first. Never does anything.

mod action;
mod bootstrap;
mod change;
mod cleanup;
mod guards;
mod hold;
mod permits;
mod records;
mod replace;
mod restart;
mod roles;
pub mod safety;
mod scale;
mod services;
mod stateful_sets;

pub use action::{Action, Delete, Kind, Object, Patch, PatchOperation, PatchPurpose, PlannedOn, Target};
pub use hold::Hold;

use crate::desired::{Desired, Invalid};
use crate::mutant::Mutant;
use crate::observed::{KnownMembers, Observed};
use crate::render::Common;
use crate::world::World;

/// What happens next, and what does not and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Carried out in order; the first failure ends the pass, and the next plan starts from what is there.
    pub actions: Vec<Action>,
    /// Shown to the user.
    pub holds: Vec<Hold>,
}

/// Whether the steps after this one are looked at in the same plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// They are.
    Next,
    /// They must see the result of this one first.
    Stop,
}

/// All that a step looks at.
struct Context<'a> {
    world: World<'a>,
    desired: &'a Desired,
    common: Common<'a>,
}

/// One step.
type Step = fn(&Context<'_>, &mut Plan) -> Flow;

/// Before the cluster has formed: all first members at once, from a frozen list.
const FORMING: &[Step] = &[
    guards::spec,
    bootstrap::freeze,
    bootstrap::set_earlier_attempts_aside,
    services::peers_and_budget,
    bootstrap::create_members,
    bootstrap::permits,
];

/// The cluster has formed and no quorum answers: old pods come back on old volumes, and nothing is taken away.
const WITHOUT_QUORUM: &[Step] = &[
    guards::spec,
    services::peers_and_budget,
    services::clients,
    stateful_sets::of_volumes,
    restart::stopped_pods,
    guards::quorum_unknown,
];

/// A quorum answers: everything may change, in this order, and the membership by one step at a time.
const WITH_QUORUM: &[Step] = &[
    guards::spec,
    guards::identity,
    permits::of_added,
    records::on_claims,
    services::peers_and_budget,
    services::clients,
    stateful_sets::of_listed,
    roles::on_pods,
    cleanup::alarms,
    replace::lost_members,
    cleanup::objects_of_removed,
    scale::promote,
    scale::grow_or_shrink,
    restart::outdated_pods,
];

/// Decides what happens next. Depends on its arguments alone.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    if observed.cluster.metadata.deletion_timestamp.is_some() {
        return Plan { actions: Vec::new(), holds: vec![Hold::BeingDeleted] };
    }
    let world = World::read(observed, desired.cluster.clone());
    let steps = match (world.formed, world.list) {
        (false, _) => FORMING,
        (true, None) => WITHOUT_QUORUM,
        (true, Some(_)) => WITH_QUORUM,
    };
    let context = Context::new(world, desired);
    let mut plan = Plan::default();
    for step in steps {
        if step(&context, &mut plan) == Flow::Stop {
            break;
        }
    }
    plan.holds.sort();
    plan.holds.dedup();
    plan
}

/// The plan for a spec that cannot be carried out: nothing, and the reason why.
pub fn of_invalid(invalid: &Invalid) -> Plan {
    Plan { actions: Vec::new(), holds: vec![Hold::InvalidSpec { message: invalid.to_string() }] }
}

impl<'a> Context<'a> {
    fn new(world: World<'a>, desired: &'a Desired) -> Context<'a> {
        let common = Common {
            desired,
            version: world.version.unwrap_or(desired.version),
            operator_image: &world.observed.settings.operator_image,
        };
        Context { world, desired, common }
    }

    fn is_mutant(&self, mutant: Mutant) -> bool {
        self.world.observed.settings.mutant == Some(mutant)
    }

    /// What a change of membership planned now is planned on.
    fn planned_on(list: &KnownMembers) -> PlannedOn {
        let mut members: Vec<_> = list.members.iter().map(|member| member.id).collect();
        members.sort();
        PlannedOn { cluster_id: list.cluster_id, members }
    }
}

impl Plan {
    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }
}
