//! A spec that cannot be carried out. A cluster that has formed goes on as it is: lost members are replaced, and what somebody
//! changed is put back, by what the members run. Never forms a cluster, and never changes one.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{
    Context, Hold, Plan, SpecHold, Step, Wait, cleanup, follow, guards, permits, records, replace, restart,
    retained, roles, scale, services, stateful_sets,
};
use crate::desired::{self, Desired, Invalid};
use crate::observed::Observed;
use crate::world::World;

const WITHOUT_QUORUM: &[Step] = &[
    retained::notice,
    permits::spent,
    services::peers_and_budget,
    services::clients,
    stateful_sets::of_volumes,
    roles::on_pods_of_volumes,
    restart::stopped_pods,
    guards::members_unheard,
];

const WITH_QUORUM: &[Step] = &[
    retained::notice,
    services::peers_and_budget,
    services::clients,
    roles::on_pods,
    guards::identity,
    permits::of_added,
    permits::spent,
    records::on_claims,
    stateful_sets::of_listed,
    guards::alarms_and_authentication,
    cleanup::alarms,
    replace::lost_members,
    cleanup::objects_of_removed,
    restart::stopped_pods,
    scale::promote,
    scale::grow_or_shrink,
    restart::outdated_pods,
];

/// The plan, with the reason why nothing is changed.
pub fn of_invalid(observed: &Observed, invalid: &Invalid) -> Plan {
    if observed.cluster.metadata.deletion_timestamp.is_some() {
        return Plan { actions: Vec::new(), holds: vec![Hold::Wait(Wait::BeingDeleted)] };
    }
    let mut plan = Plan::default();
    if let Ok(identity) = desired::identity(&observed.cluster) {
        let world = World::read(observed, identity);
        if let Some(desired) = as_it_runs(&world).filter(|_| world.formed) {
            let steps = if world.list.is_some() { WITH_QUORUM } else { WITHOUT_QUORUM };
            plan = follow(steps, &Context { world, desired: &desired });
        }
    }
    plan.hold(Hold::Spec(SpecHold::Invalid { message: invalid.to_string() }));
    plan.holds.sort();
    plan.holds.dedup();
    plan
}

/// What most members run, on as many members as there were, unless the spec says a number that can be carried out.
fn as_it_runs(world: &World<'_>) -> Option<Desired> {
    let target = world.common_target()?;
    let volume = world.common_volume()?;
    let shown = world.status().map_or(0, |status| status.members.iter().filter(|one| !one.learner).count());
    let size = desired::parse_size(world.observed.cluster.spec.size);
    Some(Desired {
        cluster: world.cluster.clone(),
        size: size.unwrap_or_else(|_| world.voters().count().max(shown)),
        version: target.version,
        storage_size: Quantity(volume.size),
        storage_class_name: volume.storage_class_name,
        resources: target.resources,
        image_repository: target.image_repository,
        suspend: false,
        may_form_beside_retained_volumes: false,
        soak: SignedDuration::ZERO,
        user: target.user,
    })
}
