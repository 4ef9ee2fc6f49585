//! Certificates and authorities that break a rule: never renewed, forgotten or replaced too early, made anew where they are trusted; and ways on which
//! members do not understand each other.

use etcd_operator_core::cluster::desired::identity;
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::plan::{
    Action, Concern, Kind, Patch, PatchOperation, PatchPurpose, Plan, Planned, PlannedOn,
};
use etcd_operator_core::cluster::render::compare::escape;
use etcd_operator_core::cluster::world::{Member, World};
use etcd_operator_core::names::secrets::{OWN, PREVIOUS};
use etcd_operator_core::names::{ANNOTATION_TARGET, AuthorityKind, CLUSTER_UID, MemberId, Scheme};
use etcd_operator_core::tls::request::Validity;
use etcd_operator_core::tls::written::{SecretBase, SecretEntry, SecretType, SecretWrite};
use etcd_operator_core::tls::{MemberTls, Serves};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

use crate::plan::target;

/// Certificates end when they end.
pub(crate) fn never_renew(mut plan: Plan) -> Plan {
    let renews = |write: &SecretWrite| write.because.contains("a third of its certificate's life");
    plan.actions.retain(|planned| !matches!(&planned.action, Action::WriteSecret(write) if renews(write)));
    plan
}

/// The authority before is gone as soon as the next one signs.
pub(crate) fn forget_the_one_before(mut plan: Plan) -> Plan {
    for planned in &mut plan.actions {
        let Action::WriteSecret(write) = &mut planned.action else { continue };
        let moves = |entry: &SecretEntry| matches!(entry, SecretEntry::Move { to, .. } if *to == PREVIOUS);
        if write.entries.iter().any(moves) {
            write.entries.push(SecretEntry::Remove { at: PREVIOUS.certificate.to_owned() });
        }
    }
    plan
}

/// Applications get no time.
pub(crate) fn without_trust_period(mut observed: Observed) -> Observed {
    if let Some(tls) = &mut observed.cluster.spec.tls {
        tls.trust_period_seconds = 0;
    }
    observed
}

/// Where the Secret of an authority is gone, another one is made.
pub(crate) fn replace_what_is_lost(observed: &Observed, mut plan: Plan) -> Plan {
    let Some(world) = world(observed).filter(|world| world.formed && observed.tls.is_read) else {
        return plan;
    };
    for kind in AuthorityKind::ALL {
        let name = world.cluster.authority_secret(kind);
        if observed.tls.secrets.contains_key(&name) || world.listed().all(|member| tls_of(member).is_none()) {
            continue;
        }
        let validity = Validity::from_now(observed.as_of, SignedDuration::from_hours(24 * 365), None);
        let owner = OwnerReference {
            kind: "EtcdCluster".to_owned(),
            name: world.cluster.name.clone(),
            uid: world.cluster.uid.clone(),
            ..OwnerReference::default()
        };
        let write = SecretWrite {
            namespace: world.cluster.namespace.clone(),
            name: name.clone(),
            base: SecretBase::New {
                owner: Box::new(owner),
                labels: [(CLUSTER_UID.to_owned(), world.cluster.uid.clone())].into(),
                secret_type: SecretType::Opaque,
            },
            entries: vec![SecretEntry::Authority { at: OWN, common_name: "another".to_owned(), validity }],
            annotations: Default::default(),
            because: "it was gone".to_owned(),
        };
        let action = Action::WriteSecret(Box::new(write));
        plan.actions.push(Planned { concern: Concern::Certificates(name), action });
    }
    plan
}

/// Whoever is to serve both serves TLS alone.
pub(crate) fn skip_both(mut plan: Plan) -> Plan {
    for planned in &mut plan.actions {
        let Action::Patch(Patch { operations, purpose: PatchPurpose::SetTarget { .. }, .. }) =
            &mut planned.action
        else {
            continue;
        };
        for operation in operations {
            if let PatchOperation::Add { value: Value::String(value), .. } = operation {
                *value = value.replace("\"serves\":\"both\"", "\"serves\":\"tlsAlone\"");
            }
        }
    }
    plan
}

/// Peer URLs change as soon as TLS is asked for.
pub(crate) fn move_peers_at_once(observed: &Observed, mut plan: Plan) -> Plan {
    let (Some(world), Some(_)) = (world(observed), &observed.cluster.spec.tls) else { return plan };
    let Some(list) = world.list else { return plan };
    let is_plain = |member: &&Member<'_>| {
        member.listed.is_some_and(|listed| listed.peer_urls.iter().all(|url| url.starts_with("http://")))
    };
    let Some((member, id)) = world.voters().find(is_plain).and_then(|member| Some((member, member.id()?)))
    else {
        return plan;
    };
    if plan.actions.iter().any(|planned| planned.action.changes_membership()) {
        return plan;
    }
    let mut members: Vec<MemberId> = list.members.iter().map(|member| member.id).collect();
    members.sort();
    let action = Action::UpdatePeerUrl {
        member: member.name.clone(),
        id,
        peer_url: world.cluster.peer_url(Scheme::Https, &member.name),
        planned_on: PlannedOn { cluster_id: list.cluster_id, members },
    };
    plan.actions.push(Planned { concern: Concern::Membership, action });
    plan
}

/// A member stops to serve plain text while its peers still reach it by that.
pub(crate) fn drop_plain_text_early(observed: &Observed, mut plan: Plan) -> Plan {
    let Some(world) = world(observed) else { return plan };
    let serves_both = |member: &&Member<'_>| tls_of(member).is_some_and(|tls| tls.serves == Serves::Both);
    let next = world.voters().find(|member| serves_both(member) && !world.leads(member));
    let change = next.and_then(|member| {
        let mut changed = member.target.clone()?;
        changed.tls.as_mut()?.serves = Serves::TlsAlone;
        let claim = member.live_claim()?;
        let target = target(Kind::PersistentVolumeClaim, claim);
        let path = format!("/metadata/annotations/{}", escape(ANNOTATION_TARGET));
        let operations = vec![
            PatchOperation::Test { path: "/metadata/uid".to_owned(), value: json!(target.uid) },
            PatchOperation::Add { path, value: json!(changed.to_annotation()) },
        ];
        let purpose = PatchPurpose::SetTarget { because: "plain text is to go".to_owned() };
        let action = Action::Patch(Patch { target, operations, purpose });
        Some(Planned { concern: Concern::Record(member.name.clone()), action })
    });
    plan.actions.extend(change);
    plan
}

fn tls_of<'m>(member: &'m Member<'_>) -> Option<&'m MemberTls> {
    member.target.as_ref()?.tls.as_ref()
}

fn world(observed: &Observed) -> Option<World<'_>> {
    Some(World::read(observed, identity(&observed.cluster).ok()?))
}
