//! What happens next: the ordered table of steps, and nothing else. Each step looks at the world and adds actions or
//! holds; some end the plan, because what follows must see their result first. Never does anything.

mod action;
mod backup_first;
mod bootstrap;
pub(crate) mod change;
mod cleanup;
mod creation;
mod describe;
mod guards;
mod hold;
mod leaders;
mod leaving;
mod logs;
mod permits;
mod quota;
mod records;
mod replace;
mod restart;
mod restore;
mod retained;
mod roles;
mod rollout;
pub mod safety;
mod scale;
mod services;
mod setback;
mod stateful_sets;
mod tls;
mod unchanged;
mod versions;
mod volumes;

pub use action::{
    Action, Concern, Delete, DowngradeRequest, Evict, Kind, Object, Patch, PatchOperation, PatchPurpose,
    Planned, PlannedOn, Target,
};
pub use hold::{Hold, HoldReason, Notice, ObjectHold, QuorumHold, SpecHold, Wait};
pub(crate) use rollout::time_until_proven;
pub use setback::{Setback, SetbackKind};
pub(crate) use tls::{is_rotated, may_wait_for, time_until_due};
pub use unchanged::of_invalid;

use crate::cluster::desired::{Course, Desired};
use crate::cluster::observed::{KnownMembers, Observed};
use crate::cluster::render::Rendering;
use crate::cluster::requests::Requests;
use crate::cluster::target;
use crate::cluster::world::{Member, World};
use crate::names::MemberName;

/// What happens next, and what does not and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Carried out in order; a failure ends those about the same, and the next plan starts from what is there.
    pub actions: Vec<Planned>,
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
    world: &'a World<'a>,
    desired: &'a Desired,
    /// Whether what the spec asks for is carried out; if it cannot be, the cluster is kept as it runs.
    follows_spec: bool,
    /// What is asked for once.
    requests: Requests,
    /// How the members come to the version that the spec asks for.
    course: Course,
}

/// One step.
type Step = fn(&Context<'_>, &mut Plan) -> Flow;

/// Before the cluster has formed: all first members at once, from a frozen list.
const FORMING: &[Step] = &[
    guards::spec,
    retained::hold_or_notice,
    bootstrap::freeze,
    bootstrap::set_earlier_attempts_aside,
    permits::spent,
    services::peers_and_budget,
    tls::before_first,
    restore::seed,
    bootstrap::create_members,
    tls::certificates,
    bootstrap::permits,
    bootstrap::restart_outdated,
];

/// The cluster has formed and no quorum answers: old pods come back on old volumes, and nothing is taken away.
const WITHOUT_QUORUM: &[Step] = &[
    guards::spec,
    retained::notice,
    permits::spent,
    services::peers_and_budget,
    services::clients,
    stateful_sets::of_volumes,
    tls::certificates,
    tls::say_lost,
    roles::on_pods_of_volumes,
    rollout::to_stuck_members_without_quorum,
    restart::stopped_pods,
    guards::members_unheard,
];

/// A quorum answers: everything may change, in this order, and the membership by one step at a time.
const WITH_QUORUM: &[Step] = &[
    guards::spec,
    retained::notice,
    services::peers_and_budget,
    services::clients,
    roles::on_pods,
    guards::identity,
    quota::guard,
    versions::guard,
    permits::of_listed,
    permits::spent,
    records::on_claims,
    logs::record,
    volumes::grow,
    stateful_sets::of_listed,
    tls::certificates,
    guards::alarms_and_authentication,
    guards::data,
    cleanup::alarms,
    replace::lost_members,
    cleanup::objects_of_removed,
    tls::note,
    tls::rotate,
    leaders::move_by_request,
    rollout::to_stuck_members,
    restart::stopped_pods,
    scale::promote,
    tls::update,
    scale::grow_or_shrink,
    restart::outdated_pods,
    backup_first::take,
    versions::lower,
    rollout::advance,
];

/// Decides what happens next. Depends on its arguments alone.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    if let Some(plan) = of_deleted(observed) {
        return plan;
    }
    let world = World::read(observed, desired.cluster.clone());
    take_steps(&Context::following(&world, desired))
}

/// The plan for a cluster that is being deleted: none, and why.
fn of_deleted(observed: &Observed) -> Option<Plan> {
    observed.cluster.metadata.deletion_timestamp.as_ref()?;
    Some(Plan { actions: Vec::new(), holds: vec![Hold::Wait(Wait::BeingDeleted)] })
}

/// Takes step after step, until one must see its result first.
fn take_steps(context: &Context<'_>) -> Plan {
    let steps = match (context.world.formed, context.world.list) {
        (false, _) => FORMING,
        (true, None) => WITHOUT_QUORUM,
        (true, Some(_)) => WITH_QUORUM,
    };
    let mut plan = Plan::default();
    for step in steps {
        if step(context, &mut plan) == Flow::Stop {
            break;
        }
    }
    plan.sort_holds();
    plan
}

/// Members that run what the spec asks for: by their record, and in the pod that is there.
pub fn updated<'w>(world: &'w World<'_>, desired: &Desired) -> Vec<&'w MemberName> {
    let context = Context::following(world, desired);
    let listed = world.listed().filter(|member| rollout::is_updated(&context, member));
    listed.map(|member| &member.name).collect()
}

/// Whether a member's pod lacks what only this operator renders differently from an earlier one.
pub fn is_rendered_earlier(world: &World<'_>, desired: &Desired, member: &Member<'_>) -> bool {
    let context = Context::following(world, desired);
    stateful_sets::is_rendered_earlier(&context, member)
}

/// Whether a member's pod was made from what the member should run.
pub(crate) fn runs_its_target(world: &World<'_>, desired: &Desired, member: &Member<'_>) -> bool {
    let context = Context::following(world, desired);
    restart::is_in_step(&context, member)
}

impl<'a> Context<'a> {
    /// Of a spec that can be carried out.
    fn following(world: &'a World<'a>, desired: &'a Desired) -> Context<'a> {
        Context::of(world, desired, true)
    }

    fn of(world: &'a World<'a>, desired: &'a Desired, follows_spec: bool) -> Context<'a> {
        let requests = Requests::read(&world.observed.cluster);
        let course = versions::course_of(world, desired);
        Context { world, desired, follows_spec, requests, course }
    }

    /// What a member's objects are rendered from by this operator. `memory` is how much of it holds the data, if not a claim does.
    fn rendering<'r>(&'r self, target: &'r target::Target, memory: Option<&'r str>) -> Rendering<'r> {
        Rendering {
            cluster: &self.world.cluster,
            target,
            operator_image: &self.world.observed.settings.operator_image,
            memory,
        }
    }

    /// What a change of membership planned now is planned on.
    fn planned_on(list: &KnownMembers) -> PlannedOn {
        let mut members: Vec<_> = list.members.iter().map(|member| member.id).collect();
        members.sort();
        PlannedOn { cluster_id: list.cluster_id, members }
    }
}

impl Plan {
    fn act(&mut self, concern: Concern, action: Action) {
        self.actions.push(Planned { concern, action });
    }

    fn act_on_member(&mut self, member: &MemberName, action: Action) {
        self.act(Concern::Member(member.clone()), action);
    }

    fn act_on_record(&mut self, member: &MemberName, action: Action) {
        self.act(Concern::Record(member.clone()), action);
    }

    fn act_on_template(&mut self, member: &MemberName, action: Action) {
        self.act(Concern::Template(member.clone()), action);
    }

    fn act_on_pod(&mut self, member: &MemberName, action: Action) {
        self.act(Concern::Pod(member.clone()), action);
    }

    fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    fn wait(&mut self, wait: Wait) {
        self.holds.push(Hold::Wait(wait));
    }

    /// Adds what happened to its actions: those that failed are held back now.
    pub fn add_setbacks<'s>(&mut self, setbacks: impl IntoIterator<Item = &'s Setback>) {
        self.holds.extend(setbacks.into_iter().filter_map(Setback::to_hold));
        self.sort_holds();
    }

    fn sort_holds(&mut self) {
        self.holds.sort();
        self.holds.dedup();
    }
}
