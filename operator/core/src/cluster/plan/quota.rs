//! etcd's own limit of its database: what the spec says, else what fits the volume. Never below 1.2 times the database that is
//! there, which would stop accepting writes at once. Never changes a member.

use super::{Context, Flow, Hold, Plan, SpecHold, stateful_sets};
use crate::cluster::observed::AlarmKind;
use crate::cluster::render::quantity;
use crate::cluster::target::{Target, fitting_quota_bytes, smallest_quota_bytes};
use crate::cluster::world::{Keeper, Member, VolumeRequest, World};

/// etcd's limit where it is told none (`DefaultQuotaBytes` in `server/storage/quota.go`).
const DEFAULT_QUOTA_BYTES: u64 = 2 << 30;

/// The smallest quota under which the largest database of all goes on accepting writes.
pub(super) fn smallest_bytes(world: &World<'_>) -> u64 {
    smallest_quota_bytes(world.largest_database_bytes())
}

/// The quota that a member should have, and whether the spec chose it.
pub(super) fn wanted(context: &Context<'_>, member: &Member<'_>, present: &Target) -> (Option<u64>, bool) {
    let smallest = smallest_bytes(context.world);
    let unchanged = (present.quota_backend_bytes, present.is_quota_chosen);
    match (context.desired.etcd.quota_backend_bytes, present.quota_backend_bytes) {
        (Some(chosen), _) if chosen >= smallest => (Some(chosen), true),
        (Some(_), _) => unchanged,
        (None, _) if !context.follows_spec => unchanged,
        // Formed by an operator that left it to etcd.
        (None, None) => unchanged,
        (None, Some(present_bytes)) => {
            match volume(member).and_then(|volume| fitting_quota_bytes(&volume, 0)) {
                Some(fitting) if present.is_quota_chosen && fitting >= smallest => (Some(fitting), false),
                // Volumes grow, and what was once given for the sake of the database stays.
                Some(fitting) if !present.is_quota_chosen => (Some(fitting.max(present_bytes)), false),
                Some(_) | None => unchanged,
            }
        }
    }
}

/// The quota of a member that is added as the spec asks for, and whether the spec chose it.
pub(super) fn of_new_member(
    context: &Context<'_>,
    common: &Target,
    volume: &VolumeRequest,
) -> (Option<u64>, bool) {
    let smallest = smallest_bytes(context.world);
    match context.desired.etcd.quota_backend_bytes {
        Some(chosen) if chosen >= smallest => (Some(chosen), true),
        Some(_) => (common.quota_backend_bytes.map(|quota| quota.max(smallest)), common.is_quota_chosen),
        None => (fitting_quota_bytes(&volume.size, context.world.largest_database_bytes()), false),
    }
}

/// How much a member's volume holds: as it was asked for, or less while it has not grown yet.
fn volume(member: &Member<'_>) -> Option<String> {
    let asked = member.facts.as_ref()?.volume.as_ref()?.size.clone();
    let capacity = match member.live_keeper()? {
        Keeper::Claim(claim) => claim.status.as_ref().and_then(|it| it.capacity.as_ref()?.get("storage")),
        Keeper::StatefulSet(_) => None,
    };
    Some(match capacity {
        Some(capacity) if quantity::is_above(&asked, &capacity.0) => capacity.0.clone(),
        Some(_) | None => asked,
    })
}

/// Whether every member is to have more room than the database takes.
pub(super) fn makes_room(context: &Context<'_>) -> bool {
    let smallest = smallest_bytes(context.world);
    let has_room = |member: &Member<'_>| {
        let present = stateful_sets::target(context, member);
        wanted(context, member, &present).0.is_some_and(|quota| quota >= smallest)
    };
    context.follows_spec && context.world.listed().all(has_room)
}

/// Whether all that is amiss is a full database, and room is being made in it.
pub(super) fn is_remedy(context: &Context<'_>) -> bool {
    let mut alarms = context.world.raised_alarms().map(|(_, kind)| kind).peekable();
    alarms.peek().is_some() && alarms.all(|kind| kind == AlarmKind::NoSpace) && makes_room(context)
}

/// Says why a quota is not applied.
pub(super) fn guard(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let smallest = smallest_bytes(context.world);
    let chosen = context.desired.etcd.quota_backend_bytes.filter(|_| context.follows_spec);
    if let Some(quota) = chosen.filter(|quota| *quota < smallest) {
        plan.hold(Hold::Spec(SpecHold::QuotaTooSmall {
            quota: quantity::binary(quota),
            database: quantity::binary(context.world.largest_database_bytes()),
            smallest: quantity::binary(smallest),
        }));
    }
    Flow::Next
}

/// Whether every member answers that there is room in its database again.
pub(super) fn has_room_again(context: &Context<'_>) -> bool {
    let has_room = |member: &Member<'_>| {
        let target = stateful_sets::target(context, member);
        let quota = target.quota_backend_bytes.unwrap_or(DEFAULT_QUOTA_BYTES);
        let size = member.etcd().and_then(|etcd| u64::try_from(etcd.database_size).ok());
        size.is_some_and(|size| smallest_quota_bytes(size) <= quota)
            && super::restart::is_in_step(context, member)
    };
    context.world.listed().all(has_room)
}
