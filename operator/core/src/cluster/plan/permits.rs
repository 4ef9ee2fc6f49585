//! Permits: at most one for an incarnation, recorded with its member before it is given to the pod. The record names the
//! pod; if that pod is gone and never spent it, the incarnation is burned, because nobody can prove that it did not.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{Action, Context, Flow, Kind, PatchPurpose, Plan, change, scale, tls};
use crate::cluster::observed::{EtcdAnswer, IssuedPermit};
use crate::cluster::world::{Issued, Member, Origin};
use crate::gate::{self, ClusterState, InitialMember, Permit};
use crate::names::{ANNOTATION_PERMIT, ANNOTATION_PERMIT_ISSUED, MemberName, PermitId, Scheme};

/// What a permit says besides whom it is for.
pub(super) struct Terms {
    pub(super) state: ClusterState,
    pub(super) token: String,
    pub(super) initial_cluster: Vec<InitialMember>,
}

/// To members of a cluster that has formed, which have never started themselves. The list itself says that they have not: a member
/// publishes where its clients reach it at its first start.
pub(super) fn of_listed(context: &Context<'_>, plan: &mut Plan) -> Flow {
    // A surplus member is about to be removed; one that never started leaves a volume that is known to be empty. One whose permit
    // is recorded gets it all the same: nobody can prove that it did not, so it is seen to run before it is removed.
    let is_surplus = context.world.listed().count() > scale::allowed_members(context);
    for member in context.world.listed() {
        let is_awaited = member.is_voter() || !is_surplus || was_issued(member);
        if !member.has_started() && is_awaited {
            give_first(context, plan, member, &terms_of(context, member));
        }
    }
    Flow::Next
}

/// A first member that is later than the others forms the cluster as they did, as long as they are all that is listed. Whoever joins
/// a cluster that exists asks the others for its version, which etcd decides some moments after it has formed, and ends for good
/// without an answer (etcd, `isCompatibleWithCluster`): its permit would be spent for nothing.
fn terms_of(context: &Context<'_>, member: &Member<'_>) -> Terms {
    let listed: BTreeSet<&MemberName> = context.world.listed().map(|member| &member.name).collect();
    let are_all = |members: &[String]| {
        let first: BTreeSet<&str> = members.iter().map(String::as_str).collect();
        first == listed.iter().map(|name| name.as_str()).collect()
    };
    let (state, token) = match member.facts.as_ref().and_then(|facts| facts.origin.as_ref()) {
        Some(Origin::First { token, members, .. }) if are_all(members) => (ClusterState::New, token.clone()),
        Some(Origin::First { .. } | Origin::Added { .. }) | None => {
            (ClusterState::Existing, context.world.token())
        }
    };
    Terms { state, token, initial_cluster: initial_cluster(context, listed.into_iter(), Scheme::Http) }
}

fn was_issued(member: &Member<'_>) -> bool {
    member.facts.as_ref().is_some_and(|facts| facts.issued != Issued::Never)
}

/// Entries of etcd's `initial-cluster`.
pub(super) fn initial_cluster<'m>(
    context: &Context<'_>,
    members: impl Iterator<Item = &'m MemberName>,
    first: Scheme,
) -> Vec<InitialMember> {
    let entry = |name: &MemberName| InitialMember {
        name: name.clone(),
        peer_url: tls::of_listed(context, name, first),
    };
    members.map(entry).collect()
}

/// Records that permits were spent, and then takes them off their pods: the mark of spending is in the pod's own directory, and a
/// node that is wiped in place would lose it together with the disk, and start a blank member by the permit that is still there.
pub(super) fn spent(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for member in context.world.members.values() {
        let Some(Issued::To(issued)) = member.facts.as_ref().map(|facts| &facts.issued) else { continue };
        if issued.spent {
            take(plan, member);
        } else if is_proven_spent(member, issued) {
            record_spent(plan, member, issued);
        }
    }
    Flow::Next
}

/// The gate's own word, or etcd's answer: etcd runs on a volume of ours only after its permit was spent.
fn is_proven_spent(member: &Member<'_>, issued: &IssuedPermit) -> bool {
    let gate_says_so = member.gate().is_some_and(|report| report.spent_permits.contains(&issued.id));
    let runs_as_listed = |etcd: &EtcdAnswer| member.id().is_none_or(|id| id == etcd.member_id);
    gate_says_so || member.etcd().is_some_and(runs_as_listed)
}

fn record_spent(plan: &mut Plan, member: &Member<'_>, issued: &IssuedPermit) {
    let Some(keeper) = member.live_keeper() else { return };
    let metadata = keeper.metadata();
    let annotations = metadata.annotations.as_ref();
    let Some(before) = annotations.and_then(|all| all.get(ANNOTATION_PERMIT_ISSUED)) else { return };
    let value = annotation(&IssuedPermit { spent: true, ..issued.clone() });
    let operations =
        [vec![change::annotation_is(ANNOTATION_PERMIT_ISSUED, before)], change::annotate(metadata, &value)]
            .concat();
    let purpose = PatchPurpose::RecordFacts { facts: vec![format!("permit {} is spent", issued.id)] };
    let target = change::target_of_keeper(keeper);
    plan.act_on_record(&member.name, change::patch(target, operations, purpose));
}

fn take(plan: &mut Plan, member: &Member<'_>) {
    let Some(pod) = member.live_pod().filter(|pod| pod.annotations().contains_key(ANNOTATION_PERMIT)) else {
        return;
    };
    let operations = vec![change::remove_annotation(ANNOTATION_PERMIT)];
    let target = change::target(Kind::Pod, pod);
    plan.act_on_pod(&member.name, change::patch(target, operations, PatchPurpose::TakePermit));
}

/// Gives the incarnation its permit, if its gate waits for one and it never got one; and gives it again to the same pod if it was
/// recorded and the pod does not bear it.
pub(super) fn give_first(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>, terms: &Terms) {
    let (Some(pod), Some(pod_uid), Some(facts)) = (member.live_pod(), member.live_pod_uid(), &member.facts)
    else {
        return;
    };
    let is_usable = member.has_storage() && facts.is_of(&context.world.cluster) && !facts.set_aside;
    if !is_usable || member.gate().is_some_and(|report| !report.spent_permits.is_empty()) {
        return;
    }
    // A container that has not started spends nothing. Its pod may be made anew for as long as it has no permit.
    let waits = member.gate().is_some() || member.etcd_container_runs();
    match &facts.issued {
        Issued::Never if waits && borne_permit(pod).is_none() => {
            let id = context.world.observed.entropy.permit_id(&member.name);
            record(plan, member, &id, pod_uid);
            give(context, plan, member, pod, &id, terms);
        }
        Issued::To(issued)
            if !issued.spent
                && issued.pod_uid == pod_uid
                && borne_permit(pod).as_ref() != Some(&issued.id) =>
        {
            give(context, plan, member, pod, &issued.id, terms);
        }
        // A permit on the pod without its record, a record that names another pod or none, or one that says that it was spent:
        // not ours to give again.
        Issued::Never | Issued::To(_) | Issued::Unreadable => {}
    }
}

/// The permit that the pod bears, if its annotation is one.
pub(super) fn borne_permit(pod: &Pod) -> Option<PermitId> {
    let annotation = pod.metadata.annotations.as_ref()?.get(ANNOTATION_PERMIT)?;
    serde_json::from_str::<Permit>(annotation).ok().map(|permit| permit.id)
}

/// A permit's record, as it stands on what keeps the member.
pub(super) fn annotation(issued: &IssuedPermit) -> BTreeMap<String, String> {
    let value = serde_json::to_string(issued).expect("a permit's record is plain data");
    [(ANNOTATION_PERMIT_ISSUED.to_owned(), value)].into()
}

fn record(plan: &mut Plan, member: &Member<'_>, id: &PermitId, pod_uid: &str) {
    let Some(keeper) = member.live_keeper() else { return };
    let metadata = keeper.metadata();
    let issued = IssuedPermit { id: id.clone(), pod_uid: pod_uid.to_owned(), spent: false };
    // `at most once` rests on this test: of two operators that both saw no record, one fails here.
    let operations =
        [vec![change::unchanged(metadata)], change::annotate(metadata, &annotation(&issued))].concat();
    let purpose = PatchPurpose::RecordPermit { permit: id.to_string(), pod_uid: pod_uid.to_owned() };
    let target = change::target_of_keeper(keeper);
    plan.act_on_member(&member.name, change::patch(target, operations, purpose));
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
    let permit_annotation: BTreeMap<String, String> = [(ANNOTATION_PERMIT.to_owned(), value)].into();
    let operations = change::annotate(&pod.metadata, &permit_annotation);
    let purpose = PatchPurpose::GivePermit { permit: id.to_string() };
    let action: Action = change::patch(change::target(Kind::Pod, pod), operations, purpose);
    plan.act_on_member(&member.name, action);
}
