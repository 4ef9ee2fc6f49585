//! The authorities of a cluster as their Secrets show them, and whom members are to trust because of that. Never changes one.

use crate::cluster::world::Member;
use crate::names::AuthorityKind;
use crate::names::secrets::{NEXT, OWN, PREVIOUS};
use crate::tls::Pem;
use crate::tls::facts::{CertificateFacts, KeyDigest, SecretFacts};

use super::super::{Context, stateful_sets};

/// How an authority stands.
pub(in super::super) enum State<'c> {
    /// Nobody has looked.
    NotRead,
    /// There is no Secret.
    Missing,
    /// Its Secret is somebody else's.
    NotOurs,
    /// Its Secret is not what it was; says how.
    Damaged(&'c SecretFacts, String),
    /// It is as it should be.
    Sound(Authority<'c>),
}

/// An authority whose Secret is sound.
#[derive(Clone, Copy)]
pub(in super::super) struct Authority<'c> {
    pub(super) secret: &'c SecretFacts,
    /// The one that signs.
    pub(super) own: &'c CertificateFacts,
    /// Whether it can: its key is there, and it is good.
    pub(super) can_sign: bool,
    /// The one that is to sign next, with its key.
    pub(super) next: Option<&'c CertificateFacts>,
    /// The one that signed before.
    pub(super) previous: Option<&'c CertificateFacts>,
}

/// How the authority of a kind stands. One that members trust is never another one all at once, whoever wrote it: nothing that they show
/// would count any more.
pub(in super::super) fn state<'c>(context: &'c Context<'_>, kind: AuthorityKind) -> State<'c> {
    let seen = &context.world.observed.tls;
    if !seen.is_read {
        return State::NotRead;
    }
    let Some(secret) = seen.secrets.get(&context.world.cluster.authority_secret(kind)) else {
        return State::Missing;
    };
    if !super::is_own(context, secret) {
        return State::NotOurs;
    }
    let Some(own) = secret.certificate(OWN.certificate).filter(|own| own.is_authority) else {
        return State::Damaged(secret, format!("its entry {} is no authority", OWN.certificate));
    };
    let mut users = users(context).filter_map(|member| trusted_by(member, kind));
    if context.world.formed && users.any(|trusted| !trusted.contains(&own.pem)) {
        return State::Damaged(secret, "it is another authority than members trust".to_owned());
    }
    let next = secret
        .certificate(NEXT.certificate)
        .filter(|next| next.is_authority && secret.key(NEXT.key) == Some(&next.key));
    let has_key = secret.key(OWN.key) == Some(&own.key);
    if !has_key && next.is_none() {
        return State::Damaged(secret, format!("its entry {} is not the authority's key", OWN.key));
    }
    let previous = secret.certificate(PREVIOUS.certificate).filter(|previous| previous.is_authority);
    let can_sign = has_key && own.is_good_at(context.world.observed.as_of);
    State::Sound(Authority { secret, own, can_sign, next, previous })
}

/// Who may show certificates, and look at those of others: members, or whoever may be one while the list is not known. What is kept of a member that
/// was removed counts no more.
pub(super) fn users<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c Member<'c>> {
    context.world.members.values().filter(|member| match context.world.list {
        Some(_) => member.listed.is_some(),
        None => stateful_sets::has_used_volume(context, member),
    })
}

/// Whom a member is on record to trust.
pub(super) fn trusted_by<'m>(member: &'m Member<'_>, kind: AuthorityKind) -> Option<&'m Vec<Pem>> {
    let tls = member.target.as_ref()?.tls.as_ref()?;
    Some(tls.authorities.of(kind))
}

/// Whom members are to trust that trust these now: the one that signed before, the one that signs and the next one, as far as they are there;
/// and whoever has signed what is still in use. Those of now, if the authority is not as it should be.
pub(super) fn trusted(context: &Context<'_>, kind: AuthorityKind, present: &[Pem]) -> Vec<Pem> {
    let authority = match state(context, kind) {
        State::Sound(authority) => authority,
        State::NotRead | State::Missing | State::NotOurs | State::Damaged(..) => return present.to_vec(),
    };
    let of_secret = [authority.previous, Some(authority.own), authority.next];
    let of_secret: Vec<&Pem> = of_secret.into_iter().flatten().map(|certificate| &certificate.pem).collect();
    // In the order in which they stand: another order alone would be a restart.
    let stays = |pem: &&Pem| of_secret.contains(pem) || is_in_use(context, kind, pem);
    let mut trusted: Vec<Pem> = present.iter().filter(stays).cloned().collect();
    for pem in of_secret {
        if !trusted.contains(pem) {
            trusted.push(pem.clone());
        }
    }
    trusted
}

/// Whether a certificate is in use that this authority has signed.
fn is_in_use(context: &Context<'_>, kind: AuthorityKind, authority: &Pem) -> bool {
    let known = context.world.observed.tls.authorities.iter().find(|known| known.pem == *authority);
    known.is_some_and(|known| super::certificates::has_signed(context, kind, &known.key))
}

/// The key of the authority that signs now, if it can.
pub(super) fn signer<'c>(
    context: &'c Context<'_>,
    kind: AuthorityKind,
) -> Option<(&'c KeyDigest, Authority<'c>)> {
    match state(context, kind) {
        State::Sound(authority) if authority.can_sign => Some((&authority.own.key, authority)),
        State::Sound(_) | State::NotRead | State::Missing | State::NotOurs | State::Damaged(..) => None,
    }
}
