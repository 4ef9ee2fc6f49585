//! TLS of members: which of its stages each comes to next, and whom it trusts. A member is changed by the rollout, as by every other change
//! of the spec; here it is said to what. Authorities, certificates and peer URLs have files of their own.
//!
//! On: every member serves both, then every peer URL is changed, then applications have time, then every member serves TLS alone. Off: the
//! same way back. Members at
//! neighbouring stages understand each other, and nobody goes on before all others have come so far.

mod authorities;
mod certificates;
mod due;
mod peer_urls;
mod rotation;
mod switching;

pub(super) use authorities::{State, state};
pub(super) use certificates::certificates;
pub(crate) use due::time_until_due;
pub(super) use peer_urls::{of_addition, of_listed, update};
pub(crate) use rotation::is_rotated;
pub(super) use rotation::{rotate, say_lost};
pub(crate) use switching::may_wait_for;
pub(super) use switching::note;

use super::{Context, Flow, Hold, Kind, ObjectHold, Plan};
use crate::cluster::world::Member;
use crate::names::secrets::{PEER_CLIENT, PEER_SERVER, SERVER};
use crate::names::{AuthorityKind, CLUSTER_UID, Pair, Scheme};
use crate::tls::facts::SecretFacts;
use crate::tls::{Authorities, MemberTls, Serves};

/// How a member should use TLS next, who uses it like this now.
pub(super) fn wanted(context: &Context<'_>, present: Option<&MemberTls>) -> Option<MemberTls> {
    // While it is not known who the members are, nobody knows whom the others understand.
    if !context.follows_spec || context.world.list.is_none() {
        return present.cloned();
    }
    let serves = stage(context, present.map(|tls| tls.serves))?;
    let authorities = trusted(context, present.map(|tls| &tls.authorities))?;
    let of_present = || present.map(|tls| tls.client_certificates).unwrap_or_default();
    let client_certificates =
        context.desired.tls.as_ref().map_or_else(of_present, |tls| tls.client_certificates);
    Some(MemberTls { serves, authorities, client_certificates })
}

/// How the first members use TLS: nobody is there who would have to understand plain text.
pub(super) fn of_first(context: &Context<'_>) -> Option<MemberTls> {
    let desired = context.desired.tls.as_ref()?;
    Some(MemberTls {
        serves: Serves::TlsAlone,
        authorities: trusted(context, None)?,
        client_certificates: desired.client_certificates,
    })
}

/// Makes the authorities before the first members, which are told of them; and waits until they are there.
pub(super) fn before_first(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if context.desired.tls.is_none() {
        return Flow::Next;
    }
    rotation::make_missing(context, plan);
    if trusted(context, None).is_some() { Flow::Next } else { Flow::Stop }
}

/// Whom a member is to trust, who trusts these now. Nothing as long as an authority is missing that it needs.
fn trusted(context: &Context<'_>, present: Option<&Authorities>) -> Option<Authorities> {
    let of = |kind: AuthorityKind| {
        let present = present.map(|authorities| authorities.of(kind).as_slice()).unwrap_or_default();
        let trusted = authorities::trusted(context, kind, present);
        (!trusted.is_empty()).then_some(trusted)
    };
    Some(Authorities { peers: of(AuthorityKind::Peers)?, clients: of(AuthorityKind::Clients)? })
}

/// The next stage of a member that is at this one; plain text if `None`.
fn stage(context: &Context<'_>, present: Option<Serves>) -> Option<Serves> {
    match (context.desired.tls.is_some(), present) {
        (true, None) => Some(Serves::Both),
        (true, Some(Serves::Both)) if may_plain_text_go(context) && switching::is_over(context) => {
            Some(Serves::TlsAlone)
        }
        (true, Some(serves)) => Some(serves),
        (false, None) => None,
        (false, Some(Serves::TlsAlone)) => Some(Serves::Both),
        (false, Some(Serves::Both)) if may_tls_go(context) && switching::is_over(context) => None,
        (false, Some(Serves::Both)) => Some(Serves::Both),
    }
}

/// Whether a member has come to the last stage of what the spec asks for, or to the one at which applications are waited for.
pub(super) fn has_arrived(context: &Context<'_>, member: &Member<'_>) -> bool {
    match (context.desired.tls.is_some(), recorded(member).map(|tls| tls.serves)) {
        (true, Some(Serves::TlsAlone)) | (false, None) => true,
        (true | false, Some(Serves::Both)) => switching::waits_for_applications(context),
        (true, None) | (false, Some(Serves::TlsAlone)) => false,
    }
}

/// Whether every member is reached by its peers by TLS, and all of them speak it; or have, when the first of them went on.
fn may_plain_text_go(context: &Context<'_>) -> bool {
    let has_gone_on = |serves: Option<Serves>| serves == Some(Serves::TlsAlone);
    are_peer_urls(context, Scheme::Https) && (is_any(context, has_gone_on) || all_speak_tls(context))
}

/// Whether every member is reached by its peers in plain text, and all of them serve that, too; or have, when the first of them went on.
fn may_tls_go(context: &Context<'_>) -> bool {
    are_peer_urls(context, Scheme::Http)
        && (is_any(context, |serves| serves.is_none()) || all_serve_plain_text(context))
}

/// Whether a member is on record with something.
fn is_any(context: &Context<'_>, is_so: impl Fn(Option<Serves>) -> bool) -> bool {
    context.world.listed().any(|member| is_so(recorded(member).map(|tls| tls.serves)))
}

fn recorded<'m>(member: &'m Member<'_>) -> Option<&'m MemberTls> {
    member.target.as_ref()?.tls.as_ref()
}

/// Whether every voter runs with certificates, and handshakes with both of its ports were completed just now. A learner has yet to start.
fn all_speak_tls(context: &Context<'_>) -> bool {
    let speaks = |member: &Member<'_>| {
        let runs = runs(member).is_some_and(|tls| tls.is_some());
        let is_seen =
            || AuthorityKind::ALL.into_iter().all(|kind| handshake(context, member, kind).is_some());
        recorded(member).is_some() && (!member.is_voter() || (runs && is_seen()))
    };
    context.world.strangers.is_empty() && context.world.listed().all(speaks)
}

fn all_serve_plain_text(context: &Context<'_>) -> bool {
    let is_plain = |tls: Option<&MemberTls>| tls.is_none_or(|tls| tls.serves == Serves::Both);
    // Whoever does not run will, by its pod.
    let will = |member: &Member<'_>| member.told.as_ref().is_none_or(|told| is_plain(told.as_ref()));
    let serves = |member: &Member<'_>| member.target.is_some() && is_plain(recorded(member)) && will(member);
    context.world.strangers.is_empty() && context.world.listed().all(serves)
}

fn are_peer_urls(context: &Context<'_>, scheme: Scheme) -> bool {
    context.world.listed().all(|member| peer_urls::is_reached_by(context, member, scheme))
}

/// How the member's etcd uses TLS that answers now, as its pod says; nothing is known of one that does not answer.
fn runs<'m>(member: &'m Member<'_>) -> Option<Option<&'m MemberTls>> {
    member.etcd()?;
    Some(member.told.as_ref()?.as_ref())
}

/// What came of the handshake with a port of the member's pod.
fn handshake<'c>(
    context: &'c Context<'_>,
    member: &Member<'_>,
    kind: AuthorityKind,
) -> Option<&'c crate::tls::facts::Handshake> {
    context.world.observed.tls.handshakes.get(member.live_pod_uid()?)?.of(kind)
}

/// Whether TLS is wanted, or any member uses it.
fn is_concerned(context: &Context<'_>) -> bool {
    context.desired.tls.is_some() || context.world.members.values().any(|member| recorded(member).is_some())
}

/// Whether a Secret was made for this cluster object: those of members belong to their StatefulSets, so that the label tells.
fn is_own(context: &Context<'_>, secret: &SecretFacts) -> bool {
    let uid = secret.metadata.labels.as_ref().and_then(|labels| labels.get(CLUSTER_UID));
    uid == Some(&context.world.cluster.uid)
}

/// Why a member's pod is not made anew yet: it would wait for its certificates.
pub(super) fn reason_to_wait(context: &Context<'_>, member: &Member<'_>) -> Option<String> {
    recorded(member).filter(|_| context.world.observed.tls.is_read)?;
    let secret = context.world.observed.tls.secrets.get(&member.name.certificates());
    let has = |pair: &Pair| {
        secret.is_some_and(|secret| {
            let certificate = secret.certificate(pair.certificate);
            certificate.is_some_and(|certificate| secret.key(pair.key) == Some(&certificate.key))
        })
    };
    let is_complete = [SERVER, PEER_SERVER, PEER_CLIENT].iter().all(has);
    (!is_complete).then(|| "its certificates are not made yet".to_owned())
}

/// Says that somebody else's Secret has a name that the cluster needs.
fn hold_name_taken(plan: &mut Plan, name: &str) {
    plan.hold(Hold::Object(ObjectHold::NameTaken { kind: Kind::Secret, name: name.to_owned() }));
}
