//! What removed members leave behind: alarms, and their StatefulSet, pod and volume, in this order. A member counts as
//! removed only by the linearizable list of this very observation. Never removes a member from etcd.

use super::{Action, Context, Delete, Flow, Hold, Kind, Plan, change, safety};
use crate::world::{Issued, Member, Origin};

/// Disarms alarms of members that are no more: nobody else would.
pub(super) fn alarms(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    for alarm in &list.alarms {
        if list.members.iter().all(|member| member.id != alarm.member_id) {
            plan.act(Action::DisarmAlarm { member_id: alarm.member_id, alarm: alarm.kind });
        }
    }
    Flow::Next
}

/// Deletes the objects of members that were removed. While any are left nobody is added.
pub(super) fn objects_of_removed(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.members.values() {
        if is_removed(context, member) {
            delete_objects(context, plan, member, "its member was removed");
        }
    }
    Flow::Next
}

/// Whether a member is no more and has left something.
fn is_removed(context: &Context<'_>, member: &Member<'_>) -> bool {
    let is_ours = member.facts.as_ref().is_none_or(|facts| facts.is_of(&context.world.cluster));
    let is_wanted = is_intended(member) && context.world.listed().count() < context.desired.size;
    let is_kept = member.facts.as_ref().is_some_and(|facts| facts.set_aside)
        && member.stateful_set.is_none()
        && member.pod.is_none();
    member.listed.is_none() && member.has_objects() && is_ours && !is_wanted && !is_kept
}

/// Whether a member was made to be added, and has not been: the operator stopped between making its objects and adding
/// it to etcd. Such a volume was never used, so the member may still be added under its name.
pub(super) fn is_intended(member: &Member<'_>) -> bool {
    member.listed.is_none()
        && member.live_claim().is_some()
        && member.facts.as_ref().is_some_and(|facts| {
            matches!(facts.origin, Some(Origin::Added { .. }))
                && facts.issued == Issued::Never
                && facts.member_id.is_none()
                && !facts.set_aside
        })
}

/// Deletes StatefulSet, pod and volume, as far as they are there.
pub(super) fn delete_objects(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, because: &str) {
    if let Some(live) = member.stateful_set.filter(|live| live.metadata.deletion_timestamp.is_none()) {
        plan.act(change::delete(Kind::StatefulSet, live, because));
    }
    delete_pod(context, plan, member, because);
    let is_conflict = delete_volume(context, plan, member, because);
    let only_the_volume = member.stateful_set.is_none() && member.pod.is_none();
    if !(is_conflict && only_the_volume) {
        plan.hold(Hold::WaitingForCleanup { member: member.name.clone() });
    }
}

fn delete_pod(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, because: &str) {
    let Some(pod) = member.pod else { return };
    if member.live_pod().is_some() {
        plan.act(change::delete(Kind::Pod, pod, because));
    } else if safety::is_overdue(context, member) && member.listed.is_none() {
        // Its node may never answer again. The member is out of the list, so a second copy of it can do no harm.
        plan.act(Action::Delete(Delete {
            target: change::target(Kind::Pod, pod),
            resource_version: None,
            grace_period_seconds: Some(0),
            because: format!("{because}, and its pod does not end"),
        }));
    }
}

/// Returns whether the volume stays, because it may hold somebody's data.
fn delete_volume(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, because: &str) -> bool {
    let Some(claim) = member.live_claim() else { return false };
    if member.facts.as_ref().is_some_and(|facts| facts.set_aside) {
        return true;
    }
    match safety::may_delete_volume(context, member) {
        Ok(()) => {
            plan.act(change::delete(Kind::PersistentVolumeClaim, claim, because));
            false
        }
        Err(message) => {
            plan.hold(Hold::VolumeConflict { claim: member.name.claim(), message });
            true
        }
    }
}
