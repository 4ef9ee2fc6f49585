//! Worlds that were not seen so.

use etcd_operator_core::cluster::desired::identity;
use etcd_operator_core::cluster::observed::{Answer, MemberList, Observed};
use etcd_operator_core::cluster::world::World;
use etcd_operator_core::gate::{GateHoldReason, Permit};
use etcd_operator_core::names::{ANNOTATION_PERMIT, ANNOTATION_PERMIT_ISSUED, MemberName, PermitId};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// A listed member whose disk is lost looks as if it had never started: its permit is forgotten, and so it gets another.
pub(crate) fn forget_permits_of_lost_disks(mut observed: Observed) -> Observed {
    for (member, spent) in lost(&observed) {
        let pod = observed.pods.iter_mut().find(|pod| pod.name_any() == member.pod());
        let waits_for_a_second = pod.is_some_and(|pod| forget_borne_permit(pod, &spent));
        if !waits_for_a_second {
            let mut claims = observed.claims.iter_mut().filter(|claim| claim.name_any() == member.claim());
            claims.by_ref().for_each(|claim| drop(claim.annotations_mut().remove(ANNOTATION_PERMIT_ISSUED)));
        }
        forget_start(&mut observed, &member);
    }
    observed
}

/// Listed members whose gate says that the disk is lost, with the permits that were spent for them.
fn lost(observed: &Observed) -> Vec<(MemberName, Vec<PermitId>)> {
    let Ok(identity) = identity(&observed.cluster) else { return Vec::new() };
    let world = World::read(observed, identity);
    let spent = |member: &etcd_operator_core::cluster::world::Member<'_>| {
        let report = member.gate().filter(|report| report.reason == GateHoldReason::Lost)?;
        member.has_started().then(|| (member.name.clone(), report.spent_permits.clone()))
    };
    world.listed().filter_map(spent).collect()
}

/// Returns whether the pod bears a permit that has not been spent.
fn forget_borne_permit(pod: &mut Pod, spent: &[PermitId]) -> bool {
    let borne =
        pod.annotations().get(ANNOTATION_PERMIT).and_then(|text| serde_json::from_str::<Permit>(text).ok());
    let is_unspent = borne.is_some_and(|permit| !spent.contains(&permit.id));
    if !is_unspent {
        pod.annotations_mut().remove(ANNOTATION_PERMIT);
    }
    is_unspent
}

fn forget_start(observed: &mut Observed, member: &MemberName) {
    if let MemberList::Known(known) = &mut observed.member_list {
        let own = format!("http://{}.", member.pod());
        let listed =
            known.members.iter_mut().filter(|one| one.peer_urls.iter().any(|url| url.starts_with(&own)));
        listed.for_each(|one| one.client_urls.clear());
    }
    let uid = observed.pods.iter().find(|pod| pod.name_any() == member.pod()).and_then(ResourceExt::uid);
    if let Some(Answer::Gate(report)) =
        uid.and_then(|uid| observed.probes.get_mut(&uid)).map(|probe| &mut probe.answer)
    {
        report.spent_permits.clear();
    }
}
