//! Upgrades that break a rule: in the wrong order, too many at once, too far, too early, or unknown to etcd.

use std::collections::BTreeSet;

use etcd_operator_core::cluster::desired::{EtcdVersion, Line, identity};
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::plan::{
    Action, Concern, DowngradeRequest, Kind, Object, Patch, PatchOperation, PatchPurpose, Plan, Planned,
};
use etcd_operator_core::cluster::render::compare::escape;
use etcd_operator_core::cluster::target::Target;
use etcd_operator_core::cluster::world::{Member, World};
use etcd_operator_core::names::{ANNOTATION_LOG_LINE, ANNOTATION_TARGET, ANNOTATION_VERSION};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use crate::plan::{deletion, evicted, target};
use crate::timing;

/// The first minor whose entries every later one reads.
const READABLE: Line = Line { major: 3, minor: 6 };

/// A changed member need not prove itself.
pub(crate) fn without_soak(mut observed: Observed) -> Observed {
    observed.cluster.spec.rollout.soak_seconds = 0;
    observed
}

/// Every log looks as if a snapshot covered what etcd 3.5 has written.
pub(crate) fn with_readable_logs(mut observed: Observed) -> Observed {
    let wanted = EtcdVersion::parse(&observed.cluster.spec.version);
    if wanted.is_some_and(|wanted| wanted.line() > READABLE) {
        for claim in &mut observed.claims {
            claim.annotations_mut().insert(ANNOTATION_LOG_LINE.to_owned(), READABLE.to_string());
        }
    }
    observed
}

/// The leader is the first whose version changes, and restarts as the leader.
pub(crate) fn leader_first(observed: &Observed, mut plan: Plan) -> Plan {
    let Some(world) = world(observed) else { return plan };
    let leader = world.voters().find(|member| world.leads(member));
    let waiting = leader.filter(|member| is_to_change(observed, member));
    for planned in &mut plan.actions {
        if let (Some(leader), Some(version)) = (waiting, changed_version(&planned.action))
            && let Some(changed) = change_of(leader, version)
        {
            *planned = changed;
        }
    }
    timing::restart_instead_of_moving(observed, plan)
}

/// With one member the next one is changed, and restarts with it.
pub(crate) fn two_at_once(observed: &Observed, mut plan: Plan) -> Plan {
    let Some(version) = plan.actions.iter().find_map(|planned| changed_version(&planned.action)) else {
        return plan;
    };
    let claims: BTreeSet<String> = plan.actions.iter().filter_map(patched_claim).collect();
    let Some(world) = world(observed) else { return plan };
    let mut others = world.voters().filter(|member| {
        is_to_change(observed, member) && !world.leads(member) && !claims.contains(&member.name.claim())
    });
    plan.actions.extend(others.next().and_then(|member| change_of(member, version)));
    plan
}

/// Whoever restarts for another version takes the other changed members along.
pub(crate) fn restart_all_changed(observed: &Observed, mut plan: Plan) -> Plan {
    let (Some(first), Some(world)) = (evicted(&plan), world(observed)) else { return plan };
    let others = world.voters().filter(|member| is_outdated(member) && member.name.pod() != first);
    let others = others.filter(|member| !world.leads(member)).filter_map(|member| member.live_pod());
    let deletions =
        others.map(|pod| deletion(Concern::Alarms, target(Kind::Pod, pod), "both are due anyway"));
    plan.actions.extend(deletions);
    plan
}

/// Where the spec asks for a version that no single step leads to, a member is changed to it all the same.
pub(crate) fn skip_a_minor(observed: &Observed, mut plan: Plan) -> Plan {
    let (Some(world), Some(version)) = (world(observed), EtcdVersion::parse(&observed.cluster.spec.version))
    else {
        return plan;
    };
    let is_far = |member: &Member<'_>| {
        running(member).is_some_and(|running| running.line().minor + 1 < version.line().minor)
    };
    let in_step =
        |member: &Member<'_>| running(member) == member.target.as_ref().map(|target| target.version);
    if world.voters().all(in_step) {
        let first = world.voters().find(|member| is_far(member) && !world.leads(member));
        plan.actions.extend(first.and_then(|member| change_of(member, version)));
    }
    plan
}

/// A member that takes a lost one's place gets the version that the others are only coming to.
pub(crate) fn heal_at_new_version(observed: &Observed, mut plan: Plan) -> Plan {
    let Some(version) = EtcdVersion::parse(&observed.cluster.spec.version) else { return plan };
    let Some(world) = world(observed) else { return plan };
    let Some(lowest) = world.listed().filter_map(|one| Some(one.target.as_ref()?.version)).min() else {
        return plan;
    };
    for planned in &mut plan.actions {
        let Action::Create(object) = &mut planned.action else { continue };
        match object.as_mut() {
            Object::Claim(claim) => {
                let Some(target) = recorded(claim) else { continue };
                let target = Target { version, ..target }.to_annotation();
                let annotations = claim.annotations_mut();
                annotations.insert(ANNOTATION_TARGET.to_owned(), target);
                annotations.insert(ANNOTATION_VERSION.to_owned(), version.to_string());
            }
            Object::StatefulSet(live) => {
                let text = serde_json::to_string(live).unwrap_or_default();
                let changed = text.replace(&lowest.to_string(), &version.to_string());
                if let Ok(changed) = serde_json::from_str(&changed) {
                    *live = changed;
                }
            }
            Object::Service(_) | Object::DisruptionBudget(_) | Object::Backup(_) | Object::Job(_) => {}
        }
    }
    plan
}

/// The upgrade goes on while a member is not healthy.
pub(crate) fn go_on_while_unhealthy(observed: &Observed, mut plan: Plan) -> Plan {
    let (Some(world), Some(version)) = (world(observed), EtcdVersion::parse(&observed.cluster.spec.version))
    else {
        return plan;
    };
    if world.voters().all(Member::votes) {
        return plan;
    }
    let followers = || world.voters().filter(|member| member.votes() && !world.leads(member));
    let changed = followers().find(|member| is_to_change(observed, member));
    plan.actions.extend(changed.and_then(|member| change_of(member, version)));
    if let Some(pod) = followers().find(is_outdated).and_then(|member| member.live_pod()) {
        plan.actions.push(deletion(Concern::Alarms, target(Kind::Pod, pod), "an upgrade must not wait"));
    }
    plan
}

/// Members are brought to an earlier minor, and nobody tells etcd.
pub(crate) fn forget_the_downgrade(observed: &Observed, mut plan: Plan) -> Plan {
    let (Some(world), Some(version)) = (world(observed), EtcdVersion::parse(&observed.cluster.spec.version))
    else {
        return plan;
    };
    let before = plan.actions.len();
    let tells = |planned: &Planned| matches!(planned.action, Action::Downgrade(DowngradeRequest::Enable(line)) if line == version.line());
    plan.actions.retain(|planned| !tells(planned));
    let is_first = world.voters().all(|member| is_to_change(observed, member));
    if plan.actions.len() < before && is_first {
        let first = world.voters().find(|member| !world.leads(member));
        plan.actions.extend(first.and_then(|member| change_of(member, version)));
    }
    plan
}

fn world(observed: &Observed) -> Option<World<'_>> {
    Some(World::read(observed, identity(&observed.cluster).ok()?))
}

/// The version that a member answers with.
fn running(member: &Member<'_>) -> Option<EtcdVersion> {
    EtcdVersion::parse(&member.etcd()?.version)
}

/// Whether a member should run another version than the spec asks for.
fn is_to_change(observed: &Observed, member: &Member<'_>) -> bool {
    let wanted = EtcdVersion::parse(&observed.cluster.spec.version);
    member.target.as_ref().is_some_and(|target| Some(target.version) != wanted)
}

/// Whether a member still runs another version than its record has.
fn is_outdated(member: &&Member<'_>) -> bool {
    running(member).is_some_and(|runs| member.target.as_ref().is_some_and(|target| target.version != runs))
}

/// The version that an action has a member run next, if it is a change of what members run.
fn changed_version(action: &Action) -> Option<EtcdVersion> {
    let Action::Patch(Patch { operations, purpose: PatchPurpose::SetTarget { .. }, .. }) = action else {
        return None;
    };
    operations.iter().find_map(|operation| match operation {
        PatchOperation::Add { path, value } if *path == path_of(ANNOTATION_TARGET) => {
            serde_json::from_str::<Target>(value.as_str()?).ok().map(|target| target.version)
        }
        PatchOperation::Add { .. } | PatchOperation::Test { .. } | PatchOperation::Remove { .. } => None,
    })
}

fn patched_claim(planned: &Planned) -> Option<String> {
    match &planned.action {
        Action::Patch(patch) if patch.target.kind == Kind::PersistentVolumeClaim => {
            Some(patch.target.name.clone())
        }
        _ => None,
    }
}

fn path_of(annotation: &str) -> String {
    format!("/metadata/annotations/{}", escape(annotation))
}

fn recorded(claim: &PersistentVolumeClaim) -> Option<Target> {
    serde_json::from_str(claim.annotations().get(ANNOTATION_TARGET)?).ok()
}

/// Records on a member's claim that it runs another version next.
fn change_of(member: &Member<'_>, version: EtcdVersion) -> Option<Planned> {
    let claim = member.live_claim()?;
    let wanted = Target { version, ..recorded(claim)? };
    let add = |annotation: &str, value: String| PatchOperation::Add {
        path: path_of(annotation),
        value: serde_json::Value::String(value),
    };
    let operations =
        vec![add(ANNOTATION_TARGET, wanted.to_annotation()), add(ANNOTATION_VERSION, version.to_string())];
    let purpose = PatchPurpose::SetTarget { because: "the spec has changed".to_owned() };
    let action =
        Action::Patch(Patch { target: target(Kind::PersistentVolumeClaim, claim), operations, purpose });
    Some(Planned { concern: Concern::Record(member.name.clone()), action })
}
