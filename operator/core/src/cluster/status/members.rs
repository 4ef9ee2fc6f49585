//! The members in the status: each with its health as it was just seen. What could not be asked is unknown.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{EtcdClusterStatus, MemberHealth, MemberStatus};
use crate::cluster::desired::Desired;
use crate::cluster::observed::Answer;
use crate::cluster::plan;
use crate::cluster::render::quantity;
use crate::cluster::world::{Health, Issued, Member, World, container_restarts};
use crate::names::MemberName;

/// The members: those in the list; those with a used volume while the list is unknown.
pub(super) fn members(
    world: &World<'_>,
    desired: Option<&Desired>,
    before: &EtcdClusterStatus,
) -> Vec<MemberStatus> {
    let before: BTreeMap<&str, &MemberStatus> =
        before.members.iter().map(|member| (member.name.as_str(), member)).collect();
    world
        .members
        .values()
        .filter(|member| is_shown(world, member))
        .map(|member| {
            let before = before.get(member.name.as_str()).copied();
            let status = member_status(world, member, before);
            MemberStatus {
                pending: desired.and_then(|desired| pending(world, desired, member)),
                proven_target: proven_target(world, desired, member, &status, before),
                ..status
            }
        })
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
    let (health, message) = health(world, member);
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
        well_since: well_since(world, member, before),
        restarts: container_restarts(member.pod),
        database_size: member.etcd().and_then(|etcd| rounded_size(etcd.database_size)),
        pending: None,
        proven_target: None,
    }
}

/// Health and why, with what Kubernetes gives for a reason.
fn health(world: &World<'_>, member: &Member<'_>) -> (MemberHealth, Option<String>) {
    let (health, message) = match member.health() {
        Health::Healthy if member.is_volume_ending() => {
            return (
                MemberHealth::Healthy,
                Some("its volume is being deleted; it is replaced before it is restarted".to_owned()),
            );
        }
        Health::Healthy => return (MemberHealth::Healthy, None),
        Health::Unwell(message) | Health::NotRunning(message) => (MemberHealth::Unhealthy, message),
        Health::GateHolds(reason) => {
            (MemberHealth::Unhealthy, format!("its gate refuses to start etcd: {}", reason.as_str()))
        }
        Health::Unknown(message) => (MemberHealth::Unknown, message),
    };
    match member.trouble(world.observed) {
        Some(trouble) => (health, Some(format!("{message}: {trouble}"))),
        None => (health, Some(message)),
    }
}

/// Kept from the first observation that found it well to the next that does not, or that finds another run of its container.
fn well_since(world: &World<'_>, member: &Member<'_>, before: Option<&MemberStatus>) -> Option<Time> {
    if member.health() != Health::Healthy {
        return None;
    }
    let restarts = container_restarts(member.pod);
    let same_run = before.filter(|before| before.restarts == restarts);
    let since =
        same_run.and_then(|before| before.well_since.as_ref()).map_or(world.observed.as_of, |it| it.0);
    // A pod that was made anew between two looks has restarted nothing.
    Some(Time(member.container_started_at().map_or(since, |started| since.max(started))))
}

/// Kept for as long as the member should run the same.
fn proven_target(
    world: &World<'_>,
    desired: Option<&Desired>,
    member: &Member<'_>,
    now: &MemberStatus,
    before: Option<&MemberStatus>,
) -> Option<String> {
    let digest = member.target.as_ref()?.digest();
    let was_proven = before.is_some_and(|before| before.proven_target.as_ref() == Some(&digest));
    let well_for = now.well_since.as_ref().map(|since| world.observed.as_of.duration_since(since.0));
    let is_proven = |desired: &Desired| {
        well_for.is_some_and(|well_for| well_for >= plan::time_until_proven(desired))
            && plan::runs_its_target(world, desired, member)
    };
    (was_proven || desired.is_some_and(is_proven)).then_some(digest)
}

/// Up to the next power of two: a database that grows is no news at each look.
pub(crate) fn rounded_size(bytes: i64) -> Option<String> {
    let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
    Some(quantity::binary(bytes.next_power_of_two().max(1 << 20)))
}

/// What the member's next restart brings, or its replacement.
fn pending(world: &World<'_>, desired: &Desired, member: &Member<'_>) -> Option<String> {
    let next = if member.is_in_memory() { "replacement" } else { "next planned restart" };
    plan::is_rendered_earlier(world, desired, member).then(|| {
        format!("its pod was made by an earlier version of the operator; its {next} brings it up to date")
    })
}

/// Kept from the first observation without an answer to the next with one.
fn silent_since(world: &World<'_>, member: &Member<'_>, before: Option<&MemberStatus>) -> Option<Time> {
    match member.answer {
        Some(Answer::Etcd(_) | Answer::Gate(_) | Answer::Refused(_)) => None,
        Some(Answer::Silent(_)) | None => {
            Some(before.and_then(|before| before.silent_since.clone()).unwrap_or(Time(world.observed.as_of)))
        }
    }
}
