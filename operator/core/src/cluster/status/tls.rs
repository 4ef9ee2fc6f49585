//! What the status says of TLS: how many members serve it alone, and until when certificates are good. Never reads a key.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::finding;
use super::count;
use crate::api::TlsStatus;
use crate::api::condition::ConditionReason;
use crate::cluster::world::{Member, World};
use crate::conditions::{Finding, Truth};
use crate::names::AuthorityKind;
use crate::names::secrets::{OWN, PEER_CLIENT, PEER_SERVER, SERVER};
use crate::tls::Serves;
use crate::tls::facts::CertificateFacts;

/// Where it is asked for, or still used.
pub(super) fn status(world: &World<'_>) -> Option<TlsStatus> {
    if !is_concerned(world) {
        return None;
    }
    let is_alone = |member: &&Member<'_>| serves(member) == Some(Serves::TlsAlone);
    Some(TlsStatus {
        members_on_tls_alone: count(members(world).filter(is_alone).count()),
        certificates_expire: certificates(world).map(|(_, found)| found.not_after).min().map(Time),
        peer_authority_expires: authority(world, AuthorityKind::Peers),
        client_authority_expires: authority(world, AuthorityKind::Clients),
    })
}

/// Whether every certificate is good and was renewed in time. A sixth of its life is left when that is said to be late: by then it should have been
/// renewed for half of the time that there is for it.
pub(super) fn certificates_valid(world: &World<'_>) -> Option<Finding> {
    if !is_concerned(world) {
        return None;
    }
    let as_of = world.observed.as_of;
    let authorities = AuthorityKind::ALL.into_iter().filter_map(|kind| {
        let secret = world.cluster.authority_secret(kind);
        let found = world.observed.tls.secrets.get(&secret)?.certificate(OWN.certificate)?;
        Some((secret, found))
    });
    let all: Vec<(String, &CertificateFacts)> = certificates(world).chain(authorities).collect();
    let Some((first, found)) = all.iter().min_by_key(|(_, found)| found.not_after) else {
        let message = "no certificate has been seen yet";
        return Some(finding(Truth::Unknown, ConditionReason::CertificatesUnknown, message));
    };
    let late = all.iter().find(|(_, found)| is_late(found, as_of));
    Some(match late {
        Some((secret, late)) => {
            let message = format!(
                "a certificate in Secret {secret} ends at {} and has not been renewed",
                late.not_after
            );
            finding(Truth::False, ConditionReason::CertificateExpires, message)
        }
        None => {
            let message = format!("the first to end is in Secret {first}, at {}", found.not_after);
            finding(Truth::True, ConditionReason::CertificatesGood, message)
        }
    })
}

fn is_late(found: &CertificateFacts, as_of: Timestamp) -> bool {
    let left = found.not_after.duration_since(as_of);
    let life: SignedDuration = found.not_after.duration_since(found.not_before);
    left < life / 6
}

fn is_concerned(world: &World<'_>) -> bool {
    world.observed.cluster.spec.tls.is_some() || world.members.values().any(|member| serves(member).is_some())
}

/// Members; while the list is not known, whoever is on record of this cluster.
fn members<'w>(world: &'w World<'_>) -> impl Iterator<Item = &'w Member<'w>> {
    world.members.values().filter(|member| match world.list {
        Some(_) => member.listed.is_some(),
        None => member.facts.as_ref().is_some_and(|facts| facts.is_of(&world.cluster) && !facts.set_aside),
    })
}

fn serves(member: &Member<'_>) -> Option<Serves> {
    member.target.as_ref()?.tls.as_ref().map(|tls| tls.serves)
}

/// Those that members, applications and the operator show, with the names of their Secrets.
fn certificates<'w>(world: &'w World<'_>) -> impl Iterator<Item = (String, &'w CertificateFacts)> {
    let of_member = [SERVER, PEER_SERVER, PEER_CLIENT];
    let members = members(world).map(|member| member.name.certificates());
    let clients = [world.cluster.client_secret(), world.cluster.operator_secret()];
    let named = members.flat_map(move |name| of_member.map(|pair| (name.clone(), pair)));
    let all = named.chain(clients.map(|name| (name, OWN)));
    all.filter_map(|(name, pair)| {
        let found = world.observed.tls.secrets.get(&name)?.certificate(pair.certificate)?;
        Some((name, found))
    })
}

fn authority(world: &World<'_>, kind: AuthorityKind) -> Option<Time> {
    let secret = world.observed.tls.secrets.get(&world.cluster.authority_secret(kind))?;
    secret.certificate(OWN.certificate).map(|found| Time(found.not_after))
}
