//! Permits: at most one for an incarnation, recorded on the claim before it is given to the pod. The record names the
//! pod; if that pod is gone and never spent it, the incarnation is burned, because nobody can prove that it did not.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::{Action, Context, Flow, Kind, PatchPurpose, Plan, change, safety};
use crate::gate::{self, ClusterState, InitialMember, Permit};
use crate::mutant::Mutant;
use crate::names::{ANNOTATION_PERMIT, ANNOTATION_PERMIT_ISSUED, MemberName, PermitId};
use crate::observed::IssuedPermit;
use crate::world::{Issued, Member};

/// What a permit says besides whom it is for.
pub(super) struct Terms {
    pub(super) state: ClusterState,
    pub(super) token: String,
    pub(super) initial_cluster: Vec<InitialMember>,
}

/// To members that were added and have never started. The list itself says that they have not: a member publishes where
/// its clients reach it at its first start.
pub(super) fn of_added(context: &Context<'_>, plan: &mut Plan) -> Flow {
    // A surplus member is about to be removed; one that never started leaves a volume that is known to be empty. One whose permit
    // is recorded gets it all the same: nobody can prove that it did not, so it is seen to run before it is removed.
    let is_surplus = context.world.listed().count() > context.desired.size;
    let terms = Terms {
        state: ClusterState::Existing,
        token: context.world.token(),
        initial_cluster: initial_cluster(context, context.world.listed().map(|member| &member.name)),
    };
    for member in context.world.listed() {
        if context.is_mutant(Mutant::SecondPermit) && safety::gate_says_lost(member) {
            give_second(context, plan, member, &terms);
            return Flow::Stop;
        }
        let is_awaited = member.is_voter() || !is_surplus || was_issued(member);
        if !member.has_started() && is_awaited {
            give_first(context, plan, member, &terms);
        }
    }
    Flow::Next
}

fn was_issued(member: &Member<'_>) -> bool {
    member.facts.as_ref().is_some_and(|facts| facts.issued != Issued::Never)
}

/// Entries of etcd's `initial-cluster`.
pub(super) fn initial_cluster<'m>(
    context: &Context<'_>,
    members: impl Iterator<Item = &'m MemberName>,
) -> Vec<InitialMember> {
    let entry = |name: &MemberName| InitialMember {
        name: name.clone(),
        peer_url: context.world.cluster.peer_url(name),
    };
    members.map(entry).collect()
}

/// Gives the incarnation its permit, if it has a pod to give it to and never got one; and gives it again to the same pod
/// if it was recorded and the pod does not bear it.
pub(super) fn give_first(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, terms: &Terms) {
    let (Some(pod), Some(pod_uid), Some(facts)) = (member.live_pod(), member.live_pod_uid(), &member.facts)
    else {
        return;
    };
    let is_usable = member.live_claim().is_some() && facts.is_of(&context.world.cluster) && !facts.set_aside;
    if !is_usable || member.gate().is_some_and(|report| !report.spent_permits.is_empty()) {
        return;
    }
    match &facts.issued {
        Issued::Never if borne_permit(pod).is_none() => {
            let id = context.world.observed.entropy.permit_id(&member.name);
            record(plan, member, &id, pod_uid);
            give(context, plan, member, pod, &id, terms);
        }
        Issued::To(issued) if issued.pod_uid == pod_uid && borne_permit(pod).as_ref() != Some(&issued.id) => {
            give(context, plan, member, pod, &issued.id, terms);
        }
        // A permit on the pod without its record, or a record that names another pod or none: not ours to give again.
        Issued::Never | Issued::To(_) | Issued::Unreadable => {}
    }
}

/// The rule broken on purpose: a permit for an incarnation that lost its disk, instead of its replacement.
fn give_second(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, terms: &Terms) {
    let (Some(pod), Some(pod_uid)) = (member.live_pod(), member.live_pod_uid()) else { return };
    let spent = member.gate().map(|report| report.spent_permits.as_slice()).unwrap_or_default();
    let borne = borne_permit(pod);
    if borne.is_some_and(|id| !spent.contains(&id)) {
        return;
    }
    let id = context.world.observed.entropy.permit_id(&member.name);
    record(plan, member, &id, pod_uid);
    give(context, plan, member, pod, &id, terms);
}

/// The permit that the pod bears, if its annotation is one.
fn borne_permit(pod: &Pod) -> Option<PermitId> {
    let annotation = pod.metadata.annotations.as_ref()?.get(ANNOTATION_PERMIT)?;
    serde_json::from_str::<Permit>(annotation).ok().map(|permit| permit.id)
}

fn record(plan: &mut Plan, member: &Member<'_>, id: &PermitId, pod_uid: &str) {
    let Some(claim) = member.live_claim() else { return };
    let issued = IssuedPermit { id: id.clone(), pod_uid: pod_uid.to_owned() };
    let value = serde_json::to_string(&issued).expect("a permit's record is plain data");
    let annotation: BTreeMap<String, String> = [(ANNOTATION_PERMIT_ISSUED.to_owned(), value)].into();
    // `at most once` rests on this test: of two operators that both saw no record, one fails here.
    let operations =
        [vec![change::unchanged(claim)], change::annotate(&claim.metadata, &annotation)].concat();
    let purpose = PatchPurpose::RecordPermit { permit: id.to_string(), pod_uid: pod_uid.to_owned() };
    plan.act(change::patch(change::target(Kind::PersistentVolumeClaim, claim), operations, purpose));
}

fn give(
    context: &Context<'_>,
    plan: &mut Plan,
    member: &Member<'_>,
    pod: &Pod,
    id: &PermitId,
    terms: &Terms,
) {
    let permit = Permit {
        format: gate::FORMAT,
        oldest_reader: gate::OLDEST_READER,
        id: id.clone(),
        pod_uid: pod.metadata.uid.clone().unwrap_or_default(),
        cluster_uid: context.world.cluster.uid.clone(),
        cluster_id: context.world.list.map(|list| list.cluster_id),
        member: member.name.clone(),
        member_id: member.id(),
        token: terms.token.clone(),
        state: terms.state,
        initial_cluster: terms.initial_cluster.clone(),
        fence_epoch: 0,
    };
    let value = serde_json::to_string(&permit).expect("a permit is plain data");
    let annotation: BTreeMap<String, String> = [(ANNOTATION_PERMIT.to_owned(), value)].into();
    let operations = change::annotate(&pod.metadata, &annotation);
    let purpose = PatchPurpose::GivePermit { permit: id.to_string() };
    let action: Action = change::patch(change::target(Kind::Pod, pod), operations, purpose);
    plan.act(action);
}
