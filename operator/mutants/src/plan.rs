//! Plans that break a rule.

use etcd_operator_core::cluster::desired::identity;
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::plan::{Action, Concern, Delete, Kind, Plan, Planned, Target};
use etcd_operator_core::cluster::world::{Member, World};
use kube::{Resource, ResourceExt};

/// While all voters are still listed, a healthy one goes before the lost one.
pub(crate) fn remove_a_healthy_voter_instead(observed: &Observed, mut plan: Plan) -> Plan {
    let Ok(identity) = identity(&observed.cluster) else { return plan };
    let world = World::read(observed, identity);
    let wanted = usize::try_from(observed.cluster.spec.size).unwrap_or_default();
    if world.voters().count() < wanted {
        return plan;
    }
    let healthy = world.voters().find(|member| member.votes());
    let Some((healthy, healthy_id)) = healthy.and_then(|member| Some((&member.name, member.id()?))) else {
        return plan;
    };
    for planned in &mut plan.actions {
        if let Action::RemoveMember { member, id, .. } = &mut planned.action {
            member.clone_from(healthy);
            *id = healthy_id;
        }
    }
    plan
}

/// A Service that somebody changed stays as it is.
pub(crate) fn without_repairs_of_services(mut plan: Plan) -> Plan {
    plan.actions.retain(
        |planned| !matches!(&planned.action, Action::Patch(patch) if patch.target.kind == Kind::Service),
    );
    plan
}

/// The objects of all surplus members go while etcd still counts on them.
pub(crate) fn delete_objects_instead_of_removing(observed: &Observed, mut plan: Plan) -> Plan {
    let Ok(identity) = identity(&observed.cluster) else { return plan };
    let world = World::read(observed, identity);
    let wanted = usize::try_from(observed.cluster.spec.size).unwrap_or_default();
    let surplus = world.listed().count().saturating_sub(wanted);
    let removes = |planned: &Planned| matches!(planned.action, Action::RemoveMember { .. });
    if surplus == 0 || !plan.actions.iter().any(removes) {
        return plan;
    }
    plan.actions.retain(|planned| !removes(planned));
    let mut victims: Vec<&Member<'_>> = world.listed().collect();
    victims.sort_by_key(|member| (world.leads(member), member.name.clone()));
    victims.into_iter().take(surplus).for_each(|victim| plan.actions.extend(deletions(victim)));
    plan
}

fn deletions(member: &Member<'_>) -> Vec<Planned> {
    let all = [
        member.stateful_set.map(|live| target(Kind::StatefulSet, live)),
        member.live_pod().map(|live| target(Kind::Pod, live)),
        member.live_claim().map(|live| target(Kind::PersistentVolumeClaim, live)),
    ];
    let delete = |target| deletion(Concern::Membership, target, "fewer members are wanted");
    all.into_iter().flatten().map(delete).collect()
}

/// Deletes an object as it is.
pub(crate) fn deletion(concern: Concern, target: Target, because: &str) -> Planned {
    let because = because.to_owned();
    let delete = Delete { target, resource_version: None, grace_period_seconds: None, because };
    Planned { concern, action: Action::Delete(delete) }
}

pub(crate) fn target(kind: Kind, object: &impl Resource) -> Target {
    Target {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

/// The pod that a plan restarts.
pub(crate) fn evicted(plan: &Plan) -> Option<String> {
    plan.actions.iter().find_map(|planned| match &planned.action {
        Action::Evict(evict) => Some(evict.target.name.clone()),
        _ => None,
    })
}
