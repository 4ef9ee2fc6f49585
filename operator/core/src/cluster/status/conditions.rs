//! The conditions. Each is computed from this observation alone; the status before it lends only the time since
//! when a condition has been what it is. Never reads a condition to decide another.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{backups, tls};
use crate::api::condition::{ConditionReason, ConditionType};
use crate::api::{EtcdCluster, EtcdClusterStatus, MemberHealth};
use crate::cluster::observed::MemberList;
use crate::cluster::plan::{Hold, HoldReason, Plan};
use crate::cluster::world::{Health, World};
use crate::conditions::{About, Finding, Truth};

pub(super) fn finding(status: Truth, reason: ConditionReason, message: impl Into<String>) -> Finding {
    Finding { status, reason: reason.as_str(), message: message.into() }
}

/// All conditions, in their fixed order.
pub(super) fn conditions(
    world: &World<'_>,
    plan: &Plan,
    status: &EtcdClusterStatus,
    before: &EtcdClusterStatus,
) -> Vec<Condition> {
    let about = about(&world.observed.cluster, world.observed.as_of, before);
    ConditionType::ALL
        .into_iter()
        .filter_map(|kind| {
            let finding = match kind {
                ConditionType::Available => available(world),
                ConditionType::Ready => ready(world, plan, status),
                ConditionType::Progressing => progressing(plan),
                ConditionType::Degraded => degraded(world, plan, status),
                ConditionType::BackedUp => backups::backed_up(world.observed, plan, status)?,
                ConditionType::CertificatesValid => tls::certificates_valid(world)?,
            };
            Some(about.condition(kind.as_str(), finding))
        })
        .collect()
}

/// The conditions of a cluster whose objects could not be read.
pub(super) fn unobserved(
    cluster: &EtcdCluster,
    as_of: Timestamp,
    why: &str,
    before: &EtcdClusterStatus,
) -> Vec<Condition> {
    let about = about(cluster, as_of, before);
    let unknown = |kind: ConditionType| {
        let finding = finding(Truth::Unknown, ConditionReason::ObservationFailed, why);
        about.condition(kind.as_str(), finding)
    };
    let is_told = |kind: &ConditionType| match kind {
        ConditionType::BackedUp => cluster.spec.backup.is_some(),
        ConditionType::CertificatesValid => cluster.spec.tls.is_some(),
        ConditionType::Available
        | ConditionType::Ready
        | ConditionType::Progressing
        | ConditionType::Degraded => true,
    };
    ConditionType::ALL.into_iter().filter(is_told).map(unknown).collect()
}

fn about<'a>(cluster: &EtcdCluster, as_of: Timestamp, before: &'a EtcdClusterStatus) -> About<'a> {
    About { generation: cluster.metadata.generation, before: &before.conditions, as_of }
}

/// Available rests on one fact: a linearizable read went through just now.
fn available(world: &World<'_>) -> Finding {
    if world.list.is_some() {
        return finding(Truth::True, ConditionReason::QuorumServes, "a quorum answered a linearizable read");
    }
    if world.has_quorum() {
        let message =
            "a quorum confirmed a linearizable read, which etcd then refused because it requires credentials";
        return finding(Truth::True, ConditionReason::QuorumServes, message);
    }
    if !world.formed {
        return finding(
            Truth::False,
            ConditionReason::Forming,
            "the first members have not formed a cluster yet",
        );
    }
    let why = match &world.observed.member_list {
        MemberList::Unknown(message) => message.clone(),
        MemberList::Known(_) => {
            return finding(Truth::Unknown, ConditionReason::ProbeTooOld, "the last answer is too old");
        }
    };
    let answered = world.members.values().any(|member| member.etcd().is_some() || member.refusal().is_some());
    let all_stopped = world
        .members
        .values()
        .all(|member| matches!(member.health(), Health::NotRunning(_) | Health::GateHolds(_)));
    if answered {
        finding(Truth::False, ConditionReason::QuorumLost, why)
    } else if all_stopped {
        finding(Truth::False, ConditionReason::NoMemberRuns, "no member is running")
    } else {
        finding(Truth::Unknown, ConditionReason::MembersUnreachable, why)
    }
}

fn ready(world: &World<'_>, plan: &Plan, status: &EtcdClusterStatus) -> Finding {
    let available = available(world);
    let is_forming = !world.formed;
    if available.status != Truth::True && !is_forming {
        return available;
    }
    let held = |hold: &&Hold| hold.keeps_from_ready() && hold.wants_a_person();
    if let Some(hold) = plan.holds.iter().find(held) {
        return Finding { status: Truth::False, reason: hold.reason().as_str(), message: hold.to_string() };
    }
    if is_forming {
        return available;
    }
    if let Some(message) = size_differs(world, status) {
        return finding(Truth::False, ConditionReason::SizeDiffers, message);
    }
    if let Some(message) = unhealthy(status) {
        return finding(Truth::False, ConditionReason::MemberUnhealthy, message);
    }
    if let Some(message) = volume_ending(world) {
        return finding(Truth::False, ConditionReason::VolumeEnding, message);
    }
    if let Some(hold) = plan.holds.iter().find(|hold| hold.keeps_from_ready()) {
        return Finding { status: Truth::False, reason: hold.reason().as_str(), message: hold.to_string() };
    }
    if let Some(action) = plan.actions.first() {
        return finding(Truth::False, ConditionReason::Changing, action.to_string());
    }
    let updated = usize::try_from(status.updated_members).unwrap_or_default();
    if updated < status.members.len() {
        let message = format!("{updated} of {} members run what the spec asks for", status.members.len());
        return finding(Truth::False, ConditionReason::Changing, message);
    }
    finding(Truth::True, ConditionReason::AsSpecified, "every member is healthy and all is as the spec says")
}

/// Members that run while their volume goes: a loss that has not happened yet, and cannot be undone.
fn volume_ending(world: &World<'_>) -> Option<String> {
    let ending: Vec<&str> = world
        .listed()
        .filter(|member| member.is_volume_ending())
        .map(|member| member.name.as_str())
        .collect();
    (!ending.is_empty()).then(|| format!("the volume is being deleted for: {}", ending.join(", ")))
}

fn size_differs(world: &World<'_>, status: &EtcdClusterStatus) -> Option<String> {
    let voters = status.members.iter().filter(|member| !member.learner).count();
    let wanted = usize::try_from(world.observed.cluster.spec.size).unwrap_or_default();
    let learners = status.members.len() - voters;
    (voters != wanted || learners > 0)
        .then(|| format!("{voters} voters and {learners} learners; {wanted} voters are wanted"))
}

fn unhealthy(status: &EtcdClusterStatus) -> Option<String> {
    let describe = |member: &crate::api::MemberStatus| match &member.message {
        Some(message) => format!("{}: {message}", member.name),
        None => member.name.clone(),
    };
    let members: Vec<String> =
        status.members.iter().filter(|member| member.health != MemberHealth::Healthy).map(describe).collect();
    (!members.is_empty()).then(|| members.join("; "))
}

fn progressing(plan: &Plan) -> Finding {
    if let Some(hold) = plan.holds.iter().find(|hold| hold.wants_a_person()) {
        return Finding { status: Truth::False, reason: hold.reason().as_str(), message: hold.to_string() };
    }
    if let Some(action) = plan.actions.first() {
        return finding(Truth::True, ConditionReason::Changing, action.to_string());
    }
    match plan.holds.iter().find(|hold| matches!(hold, Hold::Wait(_))) {
        Some(hold) => {
            Finding { status: Truth::True, reason: hold.reason().as_str(), message: hold.to_string() }
        }
        None => finding(Truth::False, ConditionReason::AsSpecified, "nothing is left to do"),
    }
}

fn degraded(world: &World<'_>, plan: &Plan, status: &EtcdClusterStatus) -> Finding {
    if !world.formed {
        return finding(Truth::False, ConditionReason::Forming, "the cluster has not formed yet");
    }
    let available = available(world);
    match available.status {
        Truth::Unknown => available,
        Truth::False => Finding { status: Truth::True, ..available },
        Truth::True => degraded_while_available(world, plan, status),
    }
}

fn degraded_while_available(world: &World<'_>, plan: &Plan, status: &EtcdClusterStatus) -> Finding {
    // Each member for itself may seem well then.
    if let Some(hold) = plan.holds.iter().find(|hold| hold.reason() == HoldReason::DataDiffers) {
        return Finding { status: Truth::True, reason: hold.reason().as_str(), message: hold.to_string() };
    }
    if let Some(message) = volume_ending(world) {
        return finding(Truth::True, ConditionReason::VolumeEnding, message);
    }
    match (unhealthy(status), size_differs(world, status)) {
        (Some(message), _) => finding(Truth::True, ConditionReason::MemberUnhealthy, message),
        (None, Some(message)) => finding(Truth::True, ConditionReason::SizeDiffers, message),
        (None, None) => finding(Truth::False, ConditionReason::AllMembersHealthy, "every member is healthy"),
    }
}
