//! A spec that cannot be carried out. A cluster that has formed goes on as it is: lost members are replaced, and what somebody
//! changed is put back, by what the members run. Never forms a cluster, and never changes one.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{Context, Hold, Plan, SpecHold, of_deleted, take_steps};
use crate::cluster::desired::{self, Desired, DesiredEtcd, DesiredImage, DesiredTls, Invalid};
use crate::cluster::observed::Observed;
use crate::cluster::world::World;

/// The plan, with the reason why nothing is changed.
pub fn of_invalid(observed: &Observed, invalid: &Invalid) -> Plan {
    if let Some(plan) = of_deleted(observed) {
        return plan;
    }
    let mut plan = Plan::default();
    if let Ok(identity) = desired::identity(&observed.cluster) {
        let world = World::read(observed, identity);
        if let Some(desired) = as_it_runs(&world).filter(|_| world.formed) {
            plan = take_steps(&Context::of(&world, &desired, false));
        }
    }
    plan.hold(Hold::Spec(SpecHold::Invalid { message: invalid.to_string() }));
    plan.sort_holds();
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
        access_mode: volume.access_mode,
        medium: volume.medium,
        etcd: DesiredEtcd { options: target.etcd, quota_backend_bytes: target.quota_backend_bytes },
        resources: target.resources,
        image: DesiredImage {
            repository: target.image_repository,
            tag: target.image.tag,
            digest: target.image.digest,
            pull_policy: target.image.pull_policy,
            pull_secrets: target.image.pull_secrets,
        },
        suspend: false,
        may_form_beside_retained_volumes: false,
        restore: None,
        soak: SignedDuration::ZERO,
        user: target.user,
        pod: target.pod,
        tls: target
            .tls
            .is_some()
            .then(|| DesiredTls::of_spec_or_usual(world.observed.cluster.spec.tls.as_ref())),
        // Services touch no member, so what the spec says of them is followed all the same.
        service: world.observed.cluster.spec.service.clone(),
        peer_service: world.observed.cluster.spec.peer_service.clone(),
    })
}
