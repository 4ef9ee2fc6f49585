//! Plans that break a rule of which only time tells: everything comes right in the end, too late or at somebody's cost.

use etcd_operator_core::cluster::desired::identity;
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::plan::{Action, Concern, Evict, Kind, Object, Plan, Planned};
use etcd_operator_core::cluster::world::World;
use etcd_operator_core::names::LABEL_MEMBER;
use kube::ResourceExt;

use crate::plan::{deletion, evicted, target};

/// A lost member is given so long before anything is done about it.
const LATE_SECONDS: i64 = 150;
/// A restless operator restarts somebody once in so many seconds.
const RESTLESS_SECONDS: i64 = 20;

/// Nobody is removed while the lost member's pod is young: it might come back.
pub(crate) fn wait_before_healing(observed: &Observed, mut plan: Plan) -> Plan {
    let young = |pod: &&k8s_openapi::api::core::v1::Pod| {
        let created = pod.metadata.creation_timestamp.as_ref();
        created.is_some_and(|created| observed.as_of.as_second() - created.0.as_second() < LATE_SECONDS)
    };
    plan.actions.retain(|planned| match &planned.action {
        Action::RemoveMember { member, .. } => {
            !observed.pods.iter().filter(young).any(|pod| pod.name_any() == member.pod())
        }
        _ => true,
    });
    plan
}

/// The leader is restarted as it is.
pub(crate) fn restart_instead_of_moving(observed: &Observed, mut plan: Plan) -> Plan {
    for planned in &mut plan.actions {
        let Action::MoveLeader { from, .. } = &planned.action else { continue };
        let Some(pod) = observed.pods.iter().find(|pod| pod.name_any() == from.pod()) else { continue };
        let because = "it was made from an outdated template".to_owned();
        planned.action = Action::Evict(Evict { target: target(Kind::Pod, pod), because });
    }
    plan
}

/// Whoever is restarted takes another voter along.
pub(crate) fn restart_two(observed: &Observed, mut plan: Plan) -> Plan {
    let Some(evicted) = evicted(&plan) else { return plan };
    let Ok(identity) = identity(&observed.cluster) else { return plan };
    let world = World::read(observed, identity);
    let others = world.voters().filter(|member| member.votes() && member.name.pod() != evicted);
    if let Some(pod) = others.filter_map(|member| member.live_pod()).next() {
        plan.actions.push(deletion(Concern::Alarms, target(Kind::Pod, pod), "while we are at it"));
    }
    plan
}

/// When there is nothing to do, a follower is restarted now and then.
pub(crate) fn restart_for_no_reason(observed: &Observed, mut plan: Plan) -> Plan {
    let Ok(identity) = identity(&observed.cluster) else { return plan };
    let world = World::read(observed, identity);
    let all_well = world.voters().all(|member| member.votes());
    if !plan.actions.is_empty() || !all_well || observed.as_of.as_second() % RESTLESS_SECONDS > 2 {
        return plan;
    }
    let followers = world.voters().filter(|member| !world.leads(member));
    if let Some(pod) = followers.filter_map(|member| member.live_pod()).next() {
        let because = "for no reason".to_owned();
        plan.actions.push(Planned {
            concern: Concern::Alarms,
            action: Action::Evict(Evict { target: target(Kind::Pod, pod), because }),
        });
    }
    plan
}

/// The client Service is made to lead to one member, and stays so.
pub(crate) fn lead_to_one_member(observed: &Observed, mut plan: Plan) -> Plan {
    let Ok(identity) = identity(&observed.cluster) else { return plan };
    let world = World::read(observed, identity);
    let first = world.voters().next().map(|member| member.name.to_string());
    plan.actions.retain(
        |planned| !matches!(&planned.action, Action::Patch(patch) if patch.target.kind == Kind::Service),
    );
    for planned in &mut plan.actions {
        if let (Action::Create(object), Some(first)) = (&mut planned.action, &first)
            && let Object::Service(service) = object.as_mut()
            && service.name_any() == observed.cluster.name_any()
            && let Some(selector) = service.spec.as_mut().and_then(|spec| spec.selector.as_mut())
        {
            selector.insert(LABEL_MEMBER.to_owned(), first.clone());
        }
    }
    plan
}
