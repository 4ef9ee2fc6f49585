//! The status: what was just seen, in conditions with reasons. Nothing is called healthy, available or ready that did not
//! answer in this very observation; what could not be asked is unknown. Never repeats an old answer as a present one.

mod conditions;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{EtcdClusterStatus, HoldStatus, MemberHealth, MemberStatus};
use crate::desired;
use crate::mutant::Mutant;
use crate::names::MemberName;
use crate::observed::{Answer, Observed};
use crate::plan::Plan;
use crate::world::{Health, Issued, Member, World};

/// The status that follows from what was seen and what is planned. It equals the observed one if nothing changed, and
/// then nothing need be written.
///
/// Write it on the condition that the cluster object is the one observed (its resourceVersion), and not after a plan with
/// [`crate::plan::Action::RecordBootstrap`], whose record it does not know yet.
pub fn status(observed: &Observed, plan: &Plan) -> EtcdClusterStatus {
    let before = observed.cluster.status.clone().unwrap_or_default();
    let Ok(identity) = desired::identity(&observed.cluster) else {
        return before;
    };
    let world = World::read(observed, identity);
    let mut status = EtcdClusterStatus {
        observed_generation: observed.cluster.metadata.generation,
        formed: world.formed,
        cluster_id: world.cluster_id.filter(|_| world.formed).map(|id| id.to_string()),
        version: world.version.map(|version| version.to_string()),
        leader: leader(&world),
        ready_members: 0,
        members: members(&world, &before),
        bootstrap: world.bootstrap.as_ref().filter(|_| !world.formed).map(|bootstrap| bootstrap.to_record()),
        holds: holds(plan),
        conditions: Vec::new(),
    };
    if observed.settings.mutant == Some(Mutant::ReadyWithoutLooking) {
        claim_health(&mut status);
    }
    let healthy =
        status.members.iter().filter(|member| !member.learner && member.health == MemberHealth::Healthy);
    status.ready_members = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    status.conditions = conditions::conditions(&world, plan, &status, &before);
    status
}

fn holds(plan: &Plan) -> Vec<HoldStatus> {
    let shown =
        |hold: &crate::plan::Hold| HoldStatus { reason: hold.reason().to_owned(), message: hold.to_string() };
    plan.holds.iter().map(shown).collect()
}

/// The member that leads, if it said so itself just now or another's fresh answer names it.
fn leader(world: &World<'_>) -> Option<String> {
    world.listed().find(|member| world.leads(member)).map(|member| member.name.to_string())
}

/// The members: those in the list; those with a used volume while the list is unknown.
fn members(world: &World<'_>, before: &EtcdClusterStatus) -> Vec<MemberStatus> {
    let before: BTreeMap<&str, &MemberStatus> =
        before.members.iter().map(|member| (member.name.as_str(), member)).collect();
    world
        .members
        .values()
        .filter(|member| is_shown(world, member))
        .map(|member| member_status(world, member, before.get(member.name.as_str()).copied()))
        .collect()
}

fn is_shown(world: &World<'_>, member: &Member<'_>) -> bool {
    let is_first =
        |name: &MemberName| world.bootstrap.as_ref().is_some_and(|first| first.members.contains(name));
    let has_used_volume = member.facts.as_ref().is_some_and(|facts| {
        facts.is_of(&world.cluster) && !facts.set_aside && facts.issued != Issued::Never
    });
    match (world.list, world.formed) {
        (Some(_), _) => member.listed.is_some(),
        (None, true) => has_used_volume,
        (None, false) => is_first(&member.name),
    }
}

fn member_status(world: &World<'_>, member: &Member<'_>, before: Option<&MemberStatus>) -> MemberStatus {
    let (health, message) = match member.health() {
        Health::Healthy => (MemberHealth::Healthy, None),
        Health::Unwell(message) | Health::NotRunning(message) => (MemberHealth::Unhealthy, Some(message)),
        Health::GateHolds(reason) => {
            (MemberHealth::Unhealthy, Some(format!("its gate refuses to start etcd: {}", reason.as_str())))
        }
        Health::Unknown(message) => (MemberHealth::Unknown, Some(message)),
    };
    MemberStatus {
        name: member.name.to_string(),
        id: member
            .id()
            .map(|id| id.to_string())
            .or_else(|| before?.id.clone().filter(|_| world.list.is_none())),
        version: member.etcd().map(|etcd| etcd.version.clone()).or_else(|| before?.version.clone()),
        leader: world.leads(member),
        learner: match member.listed {
            Some(listed) => listed.is_learner,
            None => before.is_some_and(|before| before.learner),
        },
        health,
        message,
        silent_since: silent_since(world, member, before),
    }
}

/// Kept from the first observation without an answer to the next with one.
fn silent_since(world: &World<'_>, member: &Member<'_>, before: Option<&MemberStatus>) -> Option<Time> {
    match member.answer {
        Some(Answer::Etcd(_) | Answer::Gate(_)) => None,
        Some(Answer::Silent(_)) | None => {
            Some(before.and_then(|before| before.silent_since.clone()).unwrap_or(Time(world.observed.as_of)))
        }
    }
}

/// The rule broken on purpose: everybody is called healthy.
fn claim_health(status: &mut EtcdClusterStatus) {
    for member in &mut status.members {
        member.health = MemberHealth::Healthy;
        member.message = None;
    }
}
