//! The wait in the middle of switching TLS on or off: every member serves both, and applications have time to come from one to the other. What
//! begins it is written to the Secret of the clients' authority, so that no end of the operator ends or prolongs it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::{Context, Flow, Hold, Notice, Plan};
use super::authorities::{State, state};
use super::rotation::{annotation, mark_because, write};
use super::{is_any, is_concerned, may_plain_text_go, may_tls_go};
use crate::cluster::desired::{Desired, DesiredTls};
use crate::cluster::requests::ClientsReady;
use crate::cluster::world::World;
use crate::names::secrets::{NEXT, PREVIOUS};
use crate::names::{ANNOTATION_BOTH_SINCE, ANNOTATION_TRUST_PERIOD, AuthorityKind, Pair};
use crate::tls::Serves;
use crate::tls::facts::SecretFacts;

/// To what applications are to come.
fn direction(context: &Context<'_>) -> ClientsReady {
    if context.desired.tls.is_some() { ClientsReady::Tls } else { ClientsReady::PlainText }
}

/// Whether applications are waited for, or are going to be, to be ready for something.
pub(crate) fn may_wait_for(
    world: &World<'_>,
    desired: &Desired,
    ready: ClientsReady,
    is_rotation_asked: bool,
) -> bool {
    let context = Context::following(world, desired);
    let entries =
        |pair: Pair| secret(&context).is_some_and(|found| found.entries.contains_key(pair.certificate));
    let serves_both = |serves: Option<Serves>| serves == Some(Serves::Both);
    match ready {
        ClientsReady::NewAuthority => is_rotation_asked && !entries(PREVIOUS) || entries(NEXT),
        ClientsReady::NewCertificates => is_rotation_asked || entries(NEXT) || entries(PREVIOUS),
        ClientsReady::Tls => {
            desired.tls.is_some() && is_any(&context, |serves| serves.is_none() || serves_both(serves))
        }
        ClientsReady::PlainText => desired.tls.is_none() && is_any(&context, |serves| serves.is_some()),
    }
}

/// Whether the wait is over, or there is none.
pub(super) fn is_over(context: &Context<'_>) -> bool {
    if context.requests.clients_ready == Some(direction(context)) || period(context).is_zero() {
        return true;
    }
    // One of them has gone on already: the others follow.
    let has_gone_on = |serves: Option<Serves>| match direction(context) {
        ClientsReady::PlainText => serves.is_none(),
        ClientsReady::Tls | ClientsReady::NewAuthority | ClientsReady::NewCertificates => {
            serves == Some(Serves::TlsAlone)
        }
    };
    is_any(context, has_gone_on) || end(context).is_some_and(|end| context.world.observed.as_of >= end)
}

/// Whether all that is left to do waits for applications.
pub(super) fn waits_for_applications(context: &Context<'_>) -> bool {
    let is_ready_to_go = match direction(context) {
        ClientsReady::PlainText => may_tls_go(context),
        ClientsReady::Tls | ClientsReady::NewAuthority | ClientsReady::NewCertificates => {
            may_plain_text_go(context)
        }
    };
    is_ready_to_go && !is_over(context)
}

/// When the wait ends that has begun.
pub(super) fn end(context: &Context<'_>) -> Option<Timestamp> {
    let (towards, since) = annotation(secret(context)?, ANNOTATION_BOTH_SINCE)?.split_once(' ')?;
    let since: Timestamp = since.parse().ok().filter(|_| towards == direction(context).as_str())?;
    since.checked_add(period(context)).ok()
}

/// Notes for how long applications are waited for, and since when; and says so.
pub(in super::super) fn note(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !context.follows_spec || !is_concerned(context) {
        return Flow::Next;
    }
    let Some(secret) = secret(context) else {
        if waits_for_applications(context) {
            let ready = direction(context).as_str();
            let message = format!("until the annotation etcd.operators.rs/clients-ready says {ready}");
            plan.hold(Hold::Notice(Notice::BothServed { message }));
        }
        return Flow::Next;
    };
    let mut annotations: BTreeMap<String, String> = BTreeMap::new();
    if let Some(tls) = &context.desired.tls {
        let seconds = tls.trust_period.as_secs().to_string();
        if annotation(secret, ANNOTATION_TRUST_PERIOD) != Some(seconds.as_str()) {
            annotations.insert(ANNOTATION_TRUST_PERIOD.to_owned(), seconds);
        }
    }
    let ready = direction(context);
    if waits_for_applications(context) {
        match end(context) {
            None => {
                let value = format!("{} {}", ready.as_str(), context.world.observed.as_of);
                annotations.insert(ANNOTATION_BOTH_SINCE.to_owned(), value);
            }
            Some(end) => plan.hold(Hold::Notice(Notice::BothServed {
                message: format!(
                    "{} until {end}, or until the annotation etcd.operators.rs/clients-ready says {}",
                    mark_because(ready),
                    ready.as_str()
                ),
            })),
        }
    }
    if !annotations.is_empty() {
        let because = "what is waited for is noted";
        write(context, plan, AuthorityKind::Clients, Some(secret), Vec::new(), annotations, because);
    }
    Flow::Next
}

/// For how long applications are waited for: as the spec says, or as it said last.
pub(super) fn period(context: &Context<'_>) -> SignedDuration {
    let noted =
        || annotation(secret(context)?, ANNOTATION_TRUST_PERIOD)?.parse().ok().map(SignedDuration::from_secs);
    match &context.desired.tls {
        Some(tls) => tls.trust_period,
        None => noted().unwrap_or_else(|| DesiredTls::usual().trust_period),
    }
}

fn secret<'c>(context: &'c Context<'_>) -> Option<&'c SecretFacts> {
    match state(context, AuthorityKind::Clients) {
        State::Sound(authority) => Some(authority.secret),
        State::Damaged(secret, _) => Some(secret),
        State::NotRead | State::Missing | State::NotOurs => None,
    }
}
