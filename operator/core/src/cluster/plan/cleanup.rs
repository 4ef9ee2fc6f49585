//! What removed members leave behind: alarms, and those of others whose cause is gone; and their StatefulSet, pod and volume, in
//! this order. A member counts as removed only by the linearizable list of this very observation. Never removes a member from etcd.

use k8s_openapi::api::core::v1::Pod;

use super::{
    Action, Concern, Context, Delete, Flow, Hold, Kind, Notice, ObjectHold, Plan, Wait, change, quota,
    safety, scale,
};
use crate::cluster::observed::AlarmKind;
use crate::cluster::world::{ClaimFacts, Member, Origin};
use crate::gate::GateHoldReason;

const BECAUSE: &str = "its member was removed";

/// Disarms alarms of members that are no more, and those whose cause is gone: nobody else would. That data differs etcd says for
/// nobody in the list, too: for the member with ID 0 if it cannot tell for whom.
pub(super) fn alarms(context: &Context<'_>, plan: &mut Plan) -> Flow {
    let Some(list) = context.world.list else { return Flow::Stop };
    for alarm in &list.alarms {
        let is_of_nobody = list.members.iter().all(|member| member.id != alarm.member_id);
        let is_over = match alarm.kind {
            AlarmKind::NoSpace => is_of_nobody || quota::has_room_again(context),
            AlarmKind::Corrupt => is_of_nobody && context.world.has_same_data(),
        };
        if is_over {
            let action = Action::DisarmAlarm { member_id: alarm.member_id, alarm: alarm.kind };
            plan.act(Concern::Alarms, action);
        }
    }
    Flow::Next
}

/// Deletes the objects of members that were removed. While any are left that go, nobody is added.
pub(super) fn objects_of_removed(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in removed(context) {
        delete_objects(context, plan, member);
    }
    Flow::Next
}

/// Whether anything of a removed member still has to be taken away. A volume that is being deleted already may take as long as it
/// likes: nothing has its name again.
pub(super) fn is_cleaning(context: &Context<'_>) -> bool {
    removed(context).any(|member| {
        let volume_goes = member.live_claim().is_some() && fate(context, member) == Fate::Goes;
        member.stateful_set.is_some() || member.pod.is_some() || volume_goes
    })
}

fn removed<'c, 'a>(context: &'c Context<'a>) -> impl Iterator<Item = &'c Member<'a>> {
    context.world.members.values().filter(|member| is_removed(context, member))
}

/// Whether a member is no more and has left something.
fn is_removed(context: &Context<'_>, member: &Member<'_>) -> bool {
    let is_ours = member.facts.as_ref().is_none_or(|facts| facts.is_of(&context.world.cluster));
    let is_wanted =
        is_intended(context, member) && context.world.listed().count() < scale::allowed_members(context);
    let is_kept = member.facts.as_ref().is_some_and(|facts| facts.set_aside)
        && member.stateful_set.is_none()
        && member.pod.is_none();
    member.listed.is_none() && member.has_objects() && is_ours && !is_wanted && !is_kept
}

/// Whether a member was made to be added, and has not been: the operator stopped between making its objects and adding
/// it to etcd. Such a volume was never used, so the member may still be added under its name. A claim of another cluster object is
/// never one.
pub(super) fn is_intended(context: &Context<'_>, member: &Member<'_>) -> bool {
    let is_unused = |facts: &ClaimFacts| {
        matches!(facts.origin, Some(Origin::Added { .. }))
            && facts.is_of(&context.world.cluster)
            // That the cluster formed is recorded on listed ones: whoever was a member once never comes back.
            && !facts.may_hold_data()
            && !facts.set_aside
    };
    member.listed.is_none() && member.has_storage() && member.facts.as_ref().is_some_and(is_unused)
}

/// Deletes StatefulSet, pod and volume, as far as they are there.
fn delete_objects(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    if let Some(live) = member.stateful_set.filter(|live| live.metadata.deletion_timestamp.is_none()) {
        plan.act_on_member(&member.name, change::delete(Kind::StatefulSet, live, BECAUSE));
    }
    delete_pod(context, plan, member);
    let fate = fate(context, member);
    delete_volume(plan, member, &fate);
    if fate == Fate::Goes || member.stateful_set.is_some() || member.pod.is_some() {
        plan.wait(Wait::Cleanup { member: member.name.clone() });
    }
}

fn delete_pod(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    let Some(pod) = member.pod else { return };
    if member.live_pod().is_some() {
        plan.act_on_member(&member.name, change::delete(Kind::Pod, pod, BECAUSE));
    } else if safety::is_overdue(context, member) && member.listed.is_none() && !is_forced(pod) {
        // Its node may never answer again. The member is out of the list, so a second copy of it can do no harm.
        let delete = Delete {
            target: change::target(Kind::Pod, pod),
            resource_version: None,
            grace_period_seconds: Some(0),
            because: format!("{BECAUSE}, and its pod does not end"),
        };
        plan.act_on_member(&member.name, Action::Delete(delete));
    }
}

/// Whether the pod's end is not waited for any more, and only a finalizer keeps the object.
fn is_forced(pod: &Pod) -> bool {
    pod.metadata.deletion_grace_period_seconds == Some(0)
}

/// What becomes of a removed member's volume.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// There is none, or it stays as it was set aside.
    Nothing,
    /// It is deleted, or is being deleted.
    Goes,
    /// It stays until as many members vote as are wanted: the member may have been well, only silent.
    KeptUntilWhole,
    /// It stays, because it may hold somebody's data; says what is not known.
    Conflict(String),
}

fn fate(context: &Context<'_>, member: &Member<'_>) -> Fate {
    let of_claim = member.facts.as_ref().filter(|facts| member.claim.is_some() && !facts.set_aside);
    let Some(facts) = of_claim else { return Fate::Nothing };
    if member.is_volume_ending() {
        return Fate::Goes;
    }
    let is_empty =
        facts.is_unused() || member.gate().is_some_and(|report| report.reason == GateHoldReason::Lost);
    match safety::may_delete_volume(context, member) {
        Err(message) => Fate::Conflict(message),
        Ok(()) if is_empty || safety::is_whole(context) => Fate::Goes,
        Ok(()) => Fate::KeptUntilWhole,
    }
}

fn delete_volume(plan: &mut Plan, member: &Member<'_>, fate: &Fate) {
    let Some(claim) = member.live_claim() else { return };
    match fate {
        Fate::Nothing => {}
        Fate::Goes => {
            let delete = change::delete(Kind::PersistentVolumeClaim, claim, BECAUSE);
            plan.act_on_member(&member.name, delete);
        }
        Fate::KeptUntilWhole => plan.hold(Hold::Notice(Notice::VolumeKept { claim: member.name.claim() })),
        Fate::Conflict(message) => plan.hold(Hold::Object(ObjectHold::VolumeConflict {
            claim: member.name.claim(),
            message: message.clone(),
        })),
    }
}
