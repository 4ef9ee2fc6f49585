//! The first members: chosen once, frozen with their token, started all at once. Until the cluster has formed they follow the
//! spec. An attempt that can no longer form a cluster, or no longer the one that is wanted, is abandoned as a whole: new names, a
//! new token, and its used volumes set aside. Never runs once the cluster has formed.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::creation::Creation;
use super::permits::{self, Terms};
use super::{
    Action, Concern, Context, Flow, Hold, Kind, PatchPurpose, Plan, QuorumHold, SpecHold, Wait, change,
    guards, restart, restore, stateful_sets, tls,
};
use crate::api::{BootstrapRecord, StorageMedium};
use crate::cluster::target::{self, Target};
use crate::cluster::world::{Bootstrap, Issued, Member, Origin, container_restarts};
use crate::gate::{ClusterState, GateHoldReason};
use crate::names::{ANNOTATION_SET_ASIDE, MemberName, Role, Scheme};
use crate::quorum::quorum;

/// Chooses the first members and writes them down before anything is made, so that two operators cannot choose twice.
pub(super) fn freeze(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let world = context.world;
    let goes_on = |bootstrap: &Bootstrap| {
        can_form(context, bootstrap)
            && forms_what_is_wanted(context, bootstrap)
            && !has_lost_a_record(context, bootstrap)
    };
    if world.bootstrap.as_ref().is_some_and(goes_on) {
        return Flow::Next;
    }
    if let Some(hold) = world.bootstrap.as_ref().and_then(|bootstrap| reason_to_pause(context, bootstrap)) {
        plan.hold(hold);
        return Flow::Stop;
    }
    let attempt = world.next_attempt();
    let chosen = Bootstrap {
        attempt,
        token: world.cluster.token(attempt),
        members: world.fresh_names(restore::first_members(context)),
        restore: restore::digest(context),
    };
    let action = Action::RecordBootstrap {
        record: chosen.to_record(),
        resource_version: world.observed.cluster.metadata.resource_version.clone().unwrap_or_default(),
    };
    plan.act(Concern::Bootstrap, action);
    Flow::Stop
}

/// After a first attempt that failed the next one waits for so long, after the second twice as long, and so on.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// Why the next attempt does not begin yet: what ended this one would end it, too. A spec that was changed meanwhile is tried at once.
fn reason_to_pause(context: &Context<'_>, bootstrap: &Bootstrap) -> Option<Hold> {
    let wanted = wanted_target(context);
    let first = || bootstrap.members.iter().filter_map(|name| context.world.member(name));
    let is_corrected =
        first().filter_map(|member| member.target.as_ref()).any(|target| !target.is_same_as(&wanted));
    if can_form(context, bootstrap) || !forms_what_is_wanted(context, bootstrap) || is_corrected {
        return None;
    }
    let began = first().filter_map(Member::recorded_since).max()?;
    let doublings = u32::try_from(bootstrap.attempt - 1).unwrap_or_default().min(8);
    let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
    let trouble = first().find_map(|member| {
        let end = member.last_end().or_else(|| member.trouble(context.world.observed))?;
        Some(format!("{}: {end}", member.name))
    });
    (context.world.observed.as_of.duration_since(began) < pause).then(|| {
        Hold::Spec(SpecHold::FormingFails {
            attempts: bootstrap.attempt,
            message: trouble.unwrap_or_else(|| "its members ended before they wrote anything".to_owned()),
        })
    })
}

fn can_form(context: &Context<'_>, bootstrap: &Bootstrap) -> bool {
    let dead = bootstrap.members.iter().filter(|name| is_dead(context, name)).count();
    bootstrap.members.len() - dead >= quorum(bootstrap.members.len())
}

/// Whether a first member can never start any more: its volume is gone, or its gate found no log after its permit.
fn is_dead(context: &Context<'_>, name: &MemberName) -> bool {
    context.world.member(name).is_some_and(|member| {
        let lost_volume = !member.has_storage() && member.has_objects();
        let is_lost = lost_volume || member.is_memory_gone();
        (is_lost && member.etcd().is_none()) || super::safety::gate_says_lost(member)
    })
}

/// Whether all that there was of a first member in memory is gone, and with it what permit it had: made again, it could get another
/// one. The status tells that it was there; so does the permit of another one, since none is given before all are there.
fn has_lost_a_record(context: &Context<'_>, bootstrap: &Bootstrap) -> bool {
    let first = || bootstrap.members.iter().filter_map(|name| context.world.member(name));
    let issued = |member: &Member<'_>| member.facts.as_ref().is_some_and(|it| it.issued != Issued::Never);
    let has_begun = first().any(issued);
    let is_lost = |name: &MemberName| !has_objects(context, name) && (has_begun || is_shown(context, name));
    guards::wanted_volume(context).medium == StorageMedium::Memory && bootstrap.members.iter().any(is_lost)
}

fn has_objects(context: &Context<'_>, name: &MemberName) -> bool {
    context.world.member(name).is_some_and(Member::has_objects)
}

/// Whether the status says that a first member's objects have been seen.
fn is_shown(context: &Context<'_>, name: &MemberName) -> bool {
    let shown = context.world.status().map(|status| status.members.as_slice()).unwrap_or_default();
    shown.iter().any(|member| member.name == name.as_str())
}

/// Whether the attempt still leads to what the spec asks for. Volumes cannot be changed, so others are made. A version cannot
/// be changed once a member may have written with it. More members than are wanted would have to start before one could be
/// removed; fewer form sooner, and the rest is added.
fn forms_what_is_wanted(context: &Context<'_>, bootstrap: &Bootstrap) -> bool {
    let wanted = guards::wanted_volume(context);
    let facts: Vec<_> = bootstrap
        .members
        .iter()
        .filter_map(|name| context.world.member(name)?.facts.as_ref())
        .filter(|facts| facts.is_of(&context.world.cluster))
        .collect();
    let cannot_follow =
        |name: &MemberName| context.world.member(name).is_some_and(|member| cannot_follow(context, member));
    let has_begun = facts.iter().any(|facts| facts.issued != Issued::Never);
    let is_other_version =
        facts.iter().any(|facts| facts.version.is_some_and(|it| it != context.desired.version));
    // Members are known to each other by their URLs, and an ID is made of them.
    let wants_tls = context.desired.tls.is_some();
    let first = || bootstrap.members.iter().filter_map(|name| context.world.member(name)?.target.as_ref());
    let is_other_scheme = first().any(|target| target.tls.is_some() != wants_tls);
    bootstrap.members.len() <= context.desired.size
        && bootstrap.restore == restore::digest(context)
        && facts.iter().all(|facts| guards::different(facts, &wanted).is_none())
        && !((has_begun || bootstrap.restore.is_some()) && (is_other_version || is_other_scheme))
        && !bootstrap.members.iter().any(cannot_follow)
}

/// Whether a first member in memory cannot run as it is, and cannot be given what the spec asks for either: it would be lost. One that
/// runs is let alone, for the cluster may be about to form.
fn cannot_follow(context: &Context<'_>, member: &Member<'_>) -> bool {
    let wanted = wanted_target(context);
    let cannot_run = !member.etcd_container_runs() || container_restarts(member.pod) > 0;
    let is_other = member.target.as_ref().is_some_and(|target| !target.is_same_as(&wanted));
    member.is_lost_with_its_pod() && member.etcd().is_none() && cannot_run && is_other
}

/// Ends what an abandoned attempt left: its pods go, its volumes stay for a person to look at.
pub(super) fn set_earlier_attempts_aside(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    restore::end_earlier_jobs(context, plan, bootstrap);
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
        plan.act_on_member(&member.name, change::delete(Kind::StatefulSet, live, BECAUSE));
    }
    if let Some(pod) = member.live_pod() {
        plan.act_on_member(&member.name, change::delete(Kind::Pod, pod, BECAUSE));
    }
    let (Some(claim), Some(facts)) = (member.live_claim(), &member.facts) else { return };
    if facts.set_aside {
        return;
    }
    // Nothing was written, or nothing that is there any more.
    if facts.issued == Issued::Never || super::safety::gate_says_lost(member) {
        plan.act_on_member(&member.name, change::delete(Kind::PersistentVolumeClaim, claim, BECAUSE));
        return;
    }
    let value: BTreeMap<String, String> = [(ANNOTATION_SET_ASIDE.to_owned(), BECAUSE.to_owned())].into();
    let operations = change::annotate(&claim.metadata, &value);
    let purpose = PatchPurpose::SetAside { because: BECAUSE.to_owned() };
    let target = change::target(Kind::PersistentVolumeClaim, claim);
    plan.act_on_member(&member.name, change::patch(target, operations, purpose));
}

/// What every first member should run.
pub(super) fn wanted_target(context: &Context<'_>) -> Target {
    let chosen = context.desired.etcd.quota_backend_bytes;
    let present = restore::database_bytes(context);
    let quota = chosen.or_else(|| target::fitting_quota_bytes(&context.desired.storage_size.0, present));
    Target::of_spec(context.desired, context.desired.version, quota, tls::of_first(context))
}

/// Makes what is missing of each first member, and lets what is there follow the spec. A claim is made only before its
/// StatefulSet, so that a lost one is never taken for one that was not made yet.
pub(super) fn create_members(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    let wanted = wanted_target(context);
    let mut waiting_for = Vec::new();
    for name in &bootstrap.members {
        waiting_for.push(name.clone());
        match context.world.member(name).filter(|member| member.has_objects()) {
            None => create_member(context, plan, bootstrap, name, &wanted),
            Some(member) => follow_spec(context, plan, member, &wanted),
        }
    }
    plan.wait(Wait::Forming { waiting_for });
    Flow::Next
}

fn create_member(
    context: &Context<'_>,
    plan: &mut Plan,
    bootstrap: &Bootstrap,
    name: &MemberName,
    wanted: &Target,
) {
    let cluster = &context.world.cluster;
    let record = bootstrap.to_record();
    let BootstrapRecord { attempt, token, members, restore } = record;
    let origin = Origin::First { attempt, token, members, naming: cluster.naming, restore };
    let volume = guards::wanted_volume(context);
    let creation = Creation { member: name, origin, target: wanted, volume: &volume, role: Role::Voter };
    for action in creation.actions(context) {
        plan.act_on_member(name, action);
    }
}

/// The volume of the first member that is restored, with its record and without its StatefulSet: nothing may start on it yet.
pub(super) fn create_volume(
    context: &Context<'_>,
    plan: &mut Plan,
    bootstrap: &Bootstrap,
    name: &MemberName,
) {
    let mut whole = Plan::default();
    create_member(context, &mut whole, bootstrap, name, &wanted_target(context));
    let is_claim = |action: &Action| matches!(action, Action::Create(object) if object.kind() == Kind::PersistentVolumeClaim);
    plan.actions.extend(whole.actions.into_iter().filter(|planned| is_claim(&planned.action)));
}

fn follow_spec(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, wanted: &Target) {
    if let Some(keeper) = member.live_keeper().filter(|_| member.has_storage()) {
        let is_other = member.target.as_ref().is_some_and(|target| !target.is_same_as(wanted));
        let is_ours = member.facts.as_ref().is_some_and(|facts| facts.is_of(&context.world.cluster));
        if is_other && is_ours && !member.is_lost_with_its_pod() {
            plan.act_on_record(
                &member.name,
                change::set_target(keeper, wanted, None, "the spec has changed"),
            );
        }
        stateful_sets::keep(context, plan, member, Role::Voter);
    }
    match member.gate().map(|report| report.reason) {
        Some(reason @ (GateHoldReason::Foreign | GateHoldReason::Fenced)) => {
            plan.hold(Hold::Quorum(QuorumHold::GateRefuses { member: member.name.clone(), reason }));
        }
        Some(GateHoldReason::Lost) | None => {}
    }
}

/// By what the first members reach each other.
pub(super) fn scheme_of_first(context: &Context<'_>) -> Scheme {
    if context.desired.tls.is_some() { Scheme::Https } else { Scheme::Http }
}

/// Gives each first member whose gate waits its permit to form the cluster.
pub(super) fn permits(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    let terms = Terms {
        state: ClusterState::New,
        token: bootstrap.token.clone(),
        initial_cluster: permits::initial_cluster(
            context,
            bootstrap.members.iter(),
            scheme_of_first(context),
        ),
    };
    // Of a member in memory nothing is left when its StatefulSet is deleted: others must tell then that there was one.
    let are_all_there = bootstrap.members.iter().all(|name| has_objects(context, name));
    for member in bootstrap.members.iter().filter_map(|name| context.world.member(name)) {
        let is_remembered = are_all_there && is_shown(context, &member.name);
        if (is_remembered || !member.is_in_memory()) && !is_to_restart(context, member) {
            permits::give_first(context, plan, member, &terms);
        }
    }
    Flow::Next
}

/// Makes pods anew that were made from an earlier template. One that may be about to spend its permit is let alone: without
/// the pod nobody could prove that it did not.
pub(super) fn restart_outdated(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(bootstrap) = &context.world.bootstrap else { return Flow::Stop };
    for member in bootstrap.members.iter().filter_map(|name| context.world.member(name)) {
        if is_to_restart(context, member) {
            restart::delete_pod(plan, member);
        }
    }
    Flow::Next
}

fn is_to_restart(context: &Context<'_>, member: &Member<'_>) -> bool {
    let may_be_spending = member.facts.as_ref().is_some_and(|facts| match &facts.issued {
        Issued::Never => false,
        Issued::To(issued) => !issued.spent,
        Issued::Unreadable => true,
    });
    let is_disturbed = member.etcd_container_runs() && may_be_spending;
    member.has_storage()
        && !member.is_lost_with_its_pod()
        && restart::is_outdated(context, member)
        && !is_disturbed
}
