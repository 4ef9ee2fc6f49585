//! The way from one authority to the next: a next one is made, all members trust both, it signs, all members show what it signed, and the one
//! before is trusted no more. Every step is written to the authority's Secret and rests on what all members were seen to do; a crash between any
//! two of them changes nothing. Never makes an authority in the place of one that members trust.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::{Action, Concern, Context, Flow, Hold, Notice, ObjectHold, Plan};
use super::authorities::{Authority, State, state, trusted_by, users};
use super::switching::period;
use super::{certificates, handshake, hold_name_taken, is_concerned, runs};
use crate::cluster::render;
use crate::cluster::requests::ClientsReady;
use crate::cluster::world::{Member, World};
use crate::names::secrets::{NEXT, OWN, PREVIOUS};
use crate::names::{
    ANNOTATION_ROTATION_ASKED, ANNOTATION_SHOWN_SINCE, ANNOTATION_TRUSTED_SINCE, AuthorityKind,
};
use crate::tls::facts::{CertificateFacts, SecretFacts};
use crate::tls::request::Validity;
use crate::tls::written::{SecretEntry, SecretType, SecretWrite};

const GONE: &str = "its Secret is gone";

/// Makes authorities that nobody ever had, and leads each one that is there a step further.
pub(in super::super) fn rotate(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !is_concerned(context) || !context.follows_spec {
        return Flow::Next;
    }
    make_missing(context, plan);
    for kind in AuthorityKind::ALL {
        match state(context, kind) {
            // What has begun goes on when TLS is asked for again.
            State::Sound(_) if context.desired.tls.is_none() => {}
            State::Sound(authority) => advance(context, plan, kind, authority),
            State::Damaged(secret, message) => replace_lost(context, plan, kind, Some(secret), message),
            State::Missing if is_trusted(context, kind) => {
                replace_lost(context, plan, kind, None, GONE.to_owned());
            }
            State::Missing | State::NotRead | State::NotOurs => {}
        }
    }
    Flow::Next
}

/// Says that an authority is lost, where nothing can be done about it.
pub(in super::super) fn say_lost(context: &Context<'_>, plan: &mut Plan) -> Flow {
    for kind in AuthorityKind::ALL {
        let message = match state(context, kind) {
            State::Damaged(_, message) => message,
            State::Missing if is_trusted(context, kind) => GONE.to_owned(),
            State::Missing | State::NotRead | State::NotOurs | State::Sound(_) => continue,
        };
        hold_lost(context, plan, kind, message);
    }
    Flow::Next
}

/// Makes the authorities that are not there and that nobody trusts yet. Of a cluster that has not formed nobody's data hangs on any.
pub(super) fn make_missing(context: &Context<'_>, plan: &mut Plan) {
    let Some(desired) = &context.desired.tls else { return };
    for kind in AuthorityKind::ALL {
        let name = context.world.cluster.authority_secret(kind);
        let live = match state(context, kind) {
            State::Missing if !context.world.formed || !is_trusted(context, kind) => None,
            State::Damaged(secret, _) if !context.world.formed => Some(secret),
            State::NotOurs => {
                hold_name_taken(plan, &name);
                continue;
            }
            State::Missing | State::Damaged(..) | State::NotRead | State::Sound(_) => continue,
        };
        let entry = authority(context, kind, OWN, desired.authority_lifetime);
        write(context, plan, kind, live, vec![entry], BTreeMap::new(), "there is none");
    }
}

/// Whether what the annotation asks for has been carried out for both authorities, and members are on record to trust nobody else.
pub(crate) fn is_rotated(world: &World<'_>, asked: &str) -> bool {
    let secrets = &world.observed.tls.secrets;
    AuthorityKind::ALL.into_iter().all(|kind| {
        let secret = secrets.get(&world.cluster.authority_secret(kind));
        secret.is_some_and(|secret| {
            let is_over = [NEXT, PREVIOUS].iter().all(|pair| !secret.entries.contains_key(pair.certificate));
            let own = secret.certificate(OWN.certificate).map(|own| &own.pem);
            let trusts_it_alone = |member: &Member<'_>| {
                let trusted = trusted_by(member, kind);
                trusted.is_some_and(|trusted| trusted.iter().map(Some).eq([own]))
            };
            annotation(secret, ANNOTATION_ROTATION_ASKED) == Some(asked)
                && is_over
                && world.listed().all(trusts_it_alone)
        })
    })
}

/// Whether any member is on record to trust somebody.
fn is_trusted(context: &Context<'_>, kind: AuthorityKind) -> bool {
    users(context).filter_map(|member| trusted_by(member, kind)).any(|trusted| !trusted.is_empty())
}

/// The authority that all members trust; of several the one whose certificates they show.
fn common<'c>(context: &'c Context<'_>, kind: AuthorityKind) -> Option<&'c CertificateFacts> {
    let is_common = |known: &&CertificateFacts| {
        let mut bundles = users(context).filter_map(|member| trusted_by(member, kind)).peekable();
        bundles.peek().is_some() && bundles.all(|trusted| trusted.contains(&known.pem))
    };
    let known = context.world.observed.tls.authorities.iter().filter(is_common);
    known.max_by_key(|known| certificates::has_signed(context, kind, &known.key))
}

/// The word that asks for a rotation of this authority, if any does.
fn asked(context: &Context<'_>, secret: Option<&SecretFacts>) -> Option<String> {
    let done = secret.and_then(|secret| annotation(secret, ANNOTATION_ROTATION_ASKED));
    context.requests.rotate_authorities.clone().filter(|word| Some(word.as_str()) != done)
}

/// One step of an authority that is as it should be.
fn advance(context: &Context<'_>, plan: &mut Plan, kind: AuthorityKind, authority: Authority<'_>) {
    let as_of = context.world.observed.as_of;
    match (authority.next, authority.previous) {
        (Some(next), _) => let_it_sign(context, plan, kind, authority, next),
        (None, Some(previous)) => forget(context, plan, kind, authority, previous),
        (None, None) => {
            let asked = asked(context, Some(authority.secret));
            if asked.is_some() || authority.own.is_to_be_renewed(as_of) {
                begin(context, plan, kind, (Some(authority.secret), None), asked);
            }
        }
    }
}

/// Makes the next authority. `lost` is the certificate of one whose Secret is to be put back with it.
fn begin(
    context: &Context<'_>,
    plan: &mut Plan,
    kind: AuthorityKind,
    (secret, lost): (Option<&SecretFacts>, Option<&CertificateFacts>),
    asked: Option<String>,
) {
    let Some(desired) = &context.desired.tls else { return };
    let because = if asked.is_some() { "its rotation was asked for" } else { "a third of its life is left" };
    let put_back =
        lost.map(|lost| SecretEntry::Text { at: OWN.certificate.to_owned(), value: lost.pem.0.clone() });
    // A key that is still there of what is put back is what was missed.
    let is_its_key =
        |lost: &&CertificateFacts| secret.and_then(|found| found.key(OWN.key)) == Some(&lost.key);
    let other_key = lost.filter(|lost| !is_its_key(lost));
    let without_key = other_key.map(|_| SecretEntry::Remove { at: OWN.key.to_owned() });
    let next = authority(context, kind, NEXT, desired.authority_lifetime);
    let entries = put_back.into_iter().chain(without_key).chain([next]).collect();
    let word = asked.map(|word| (ANNOTATION_ROTATION_ASKED.to_owned(), word));
    write(context, plan, kind, secret, entries, word.into_iter().collect(), because);
}

/// An authority that is lost is never made anew by itself: what it signed would count no more. By request a next one is made beside it.
fn replace_lost(
    context: &Context<'_>,
    plan: &mut Plan,
    kind: AuthorityKind,
    secret: Option<&SecretFacts>,
    message: String,
) {
    match (asked(context, secret), common(context, kind)) {
        (Some(word), Some(lost)) => begin(context, plan, kind, (secret, Some(lost)), Some(word)),
        (Some(_) | None, _) => hold_lost(context, plan, kind, message),
    }
}

fn hold_lost(context: &Context<'_>, plan: &mut Plan, kind: AuthorityKind, message: String) {
    let secret = context.world.cluster.authority_secret(kind);
    plan.hold(Hold::Object(ObjectHold::AuthorityLost { secret, message }));
}

/// Lets the next authority sign, once all members trust it and applications had time to.
fn let_it_sign(
    context: &Context<'_>,
    plan: &mut Plan,
    kind: AuthorityKind,
    authority: Authority<'_>,
    next: &CertificateFacts,
) {
    // Who cannot start without a certificate is not waited for by who is to sign it.
    let counts = |member: &&Member<'_>| authority.can_sign || member.etcd_container_runs();
    let mut members = context.world.listed().filter(counts);
    if let Some(member) = members.find(|member| !trusts(context, member, kind, next)) {
        let message = format!("{} does not accept what the next authority signs yet", member.name);
        plan.hold(Hold::Notice(Notice::AuthorityRotates { kind, message }));
        return;
    }
    let mark = (ANNOTATION_TRUSTED_SINCE, next, ClientsReady::NewAuthority);
    if !has_waited(context, plan, kind, authority.secret, mark) {
        return;
    }
    let entries = vec![
        SecretEntry::Move { from: OWN, to: PREVIOUS },
        SecretEntry::Move { from: NEXT, to: OWN },
        // It signs nothing any more.
        SecretEntry::Remove { at: PREVIOUS.key.to_owned() },
    ];
    let because = "all members trust the next authority";
    write(context, plan, kind, Some(authority.secret), entries, BTreeMap::new(), because);
}

/// Takes the one before out of what is trusted, once nobody shows what it signed.
fn forget(
    context: &Context<'_>,
    plan: &mut Plan,
    kind: AuthorityKind,
    authority: Authority<'_>,
    previous: &CertificateFacts,
) {
    let own = authority.own;
    let is_shown = |member: &Member<'_>| {
        let shown = handshake(context, member, kind).map(|handshake| handshake.serial.as_str());
        shown.is_some() && shown == certificates::shown_by(context, member, kind)
    };
    let are_signed = certificates::all_are_signed_by(context, kind, &own.key);
    let behind = context.world.listed().find(|member| !is_shown(member));
    if let (false, _) | (true, Some(_)) = (are_signed, behind) {
        let who = behind.map_or_else(|| "somebody".to_owned(), |member| member.name.to_string());
        let message = format!("{who} does not show what the new authority signed yet");
        plan.hold(Hold::Notice(Notice::AuthorityRotates { kind, message }));
        return;
    }
    let mark = (ANNOTATION_SHOWN_SINCE, own, ClientsReady::NewCertificates);
    if previous.is_good_at(context.world.observed.as_of)
        && !has_waited(context, plan, kind, authority.secret, mark)
    {
        return;
    }
    let entries = vec![
        SecretEntry::Remove { at: PREVIOUS.certificate.to_owned() },
        SecretEntry::Remove { at: PREVIOUS.key.to_owned() },
    ];
    let because = "nobody shows what the authority before signed";
    write(context, plan, kind, Some(authority.secret), entries, BTreeMap::new(), because);
}

/// Whether a member was started with this authority and accepts what it signs, as it just did.
fn trusts(
    context: &Context<'_>,
    member: &Member<'_>,
    kind: AuthorityKind,
    authority: &CertificateFacts,
) -> bool {
    let runs = runs(member).flatten();
    let is_known = runs.is_some_and(|tls| tls.authorities.of(kind).contains(&authority.pem));
    let accepted = handshake(context, member, kind).and_then(|handshake| handshake.accepted.as_ref());
    is_known && accepted == Some(&authority.key)
}

/// Whether applications had the time that they were promised, since this was so of this authority. Members need none.
fn has_waited(
    context: &Context<'_>,
    plan: &mut Plan,
    kind: AuthorityKind,
    secret: &SecretFacts,
    (mark, authority, ready): (&'static str, &CertificateFacts, ClientsReady),
) -> bool {
    if kind == AuthorityKind::Peers
        || period(context).is_zero()
        || context.requests.clients_ready == Some(ready)
    {
        return true;
    }
    let Some(end) = end_of_wait(context, secret, mark, authority) else {
        let value = format!("{} {}", authority.key.0, context.world.observed.as_of);
        write(
            context,
            plan,
            kind,
            Some(secret),
            Vec::new(),
            [(mark.to_owned(), value)].into(),
            mark_because(ready),
        );
        return false;
    };
    if context.world.observed.as_of >= end {
        return true;
    }
    let message = format!(
        "{} until {end}, or until the annotation etcd.operators.rs/clients-ready says {}",
        mark_because(ready),
        ready.as_str()
    );
    plan.hold(Hold::Notice(Notice::AuthorityRotates { kind, message }));
    false
}

pub(super) fn mark_because(ready: ClientsReady) -> &'static str {
    match ready {
        ClientsReady::NewAuthority => "applications have time to trust the new authority",
        ClientsReady::NewCertificates => "applications have time to show certificates of the new authority",
        ClientsReady::Tls => "applications have time to speak TLS",
        ClientsReady::PlainText => "applications have time to speak plain text",
    }
}

/// When a wait ends that has begun for this authority.
pub(super) fn end_of_wait(
    context: &Context<'_>,
    secret: &SecretFacts,
    mark: &str,
    authority: &CertificateFacts,
) -> Option<Timestamp> {
    let (key, since) = annotation(secret, mark)?.split_once(' ')?;
    let since: Timestamp = since.parse().ok().filter(|_| key == authority.key.0)?;
    since.checked_add(period(context)).ok()
}

pub(super) fn annotation<'s>(secret: &'s SecretFacts, key: &str) -> Option<&'s str> {
    secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn authority(
    context: &Context<'_>,
    kind: AuthorityKind,
    at: crate::names::Pair,
    lifetime: SignedDuration,
) -> SecretEntry {
    let cluster = &context.world.cluster;
    // X.509 allows 64 characters, and a UID has 36.
    let common_name = format!("etcd-{}-ca {}", kind.as_str(), cluster.uid);
    let validity = Validity::from_now(context.world.observed.as_of, lifetime, None);
    SecretEntry::Authority { at, common_name: common_name.chars().take(64).collect(), validity }
}

pub(super) fn write(
    context: &Context<'_>,
    plan: &mut Plan,
    kind: AuthorityKind,
    live: Option<&SecretFacts>,
    entries: Vec<SecretEntry>,
    annotations: BTreeMap<String, String>,
    because: &str,
) {
    let cluster = &context.world.cluster;
    let name = cluster.authority_secret(kind);
    let write = SecretWrite {
        namespace: cluster.namespace.clone(),
        name: name.clone(),
        base: certificates::base(live, render::owner(cluster), cluster.labels(), SecretType::Opaque),
        entries,
        annotations,
        because: because.to_owned(),
    };
    plan.act(Concern::Certificates(name), Action::WriteSecret(Box::new(write)));
}
