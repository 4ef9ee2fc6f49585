//! When TLS of a cluster at rest is looked at next: nobody tells of time, nor of Secrets, which are never listed or watched.

use jiff::SignedDuration;

use super::super::Context;
use super::rotation::end_of_wait;
use super::{State, certificates, is_concerned, state, switching};
use crate::cluster::desired::Desired;
use crate::cluster::observed::Observed;
use crate::cluster::world::World;
use crate::names::secrets::{OWN, PEER_CLIENT, PEER_SERVER, SERVER};
use crate::names::{ANNOTATION_SHOWN_SINCE, ANNOTATION_TRUSTED_SINCE, AuthorityKind};

/// How long a Secret may be gone or damaged without anybody noticing.
const AT_MOST: SignedDuration = SignedDuration::from_mins(2);
/// While members are about to take up what has been renewed.
const WHILE_ROTATING: SignedDuration = SignedDuration::from_secs(5);

/// After how long at rest a cluster with TLS is looked at again.
pub(crate) fn time_until_due(observed: &Observed) -> Option<SignedDuration> {
    let desired = Desired::parse(&observed.cluster).ok()?;
    let world = World::read(observed, desired.cluster.clone());
    let context = Context::following(&world, &desired);
    if !is_concerned(&context) {
        return None;
    }
    let pairs = [OWN, SERVER, PEER_SERVER, PEER_CLIENT];
    let all = observed.tls.secrets.values();
    let found = all.flat_map(|secret| pairs.iter().filter_map(|pair| secret.certificate(pair.certificate)));
    let renewals = found.map(|certificate| certificate.renewal().duration_since(observed.as_of));
    let rotations = AuthorityKind::ALL.into_iter().filter_map(|kind| rotation(&context, kind));
    let switched = switching::end(&context).map(|end| end.duration_since(observed.as_of));
    let ahead = |due: &SignedDuration| due.is_positive();
    let is_behind = world.listed().any(|member| certificates::is_behind(&context, member));
    let shown = is_behind.then_some(WHILE_ROTATING);
    renewals.chain(switched).filter(ahead).chain(rotations).chain(shown).chain([AT_MOST]).min()
}

/// After how long a rotation may go on, if one is under way.
fn rotation(context: &Context<'_>, kind: AuthorityKind) -> Option<SignedDuration> {
    let State::Sound(authority) = state(context, kind) else { return None };
    let end = match (authority.next, authority.previous) {
        (Some(next), _) => end_of_wait(context, authority.secret, ANNOTATION_TRUSTED_SINCE, next),
        (None, Some(_)) => end_of_wait(context, authority.secret, ANNOTATION_SHOWN_SINCE, authority.own),
        (None, None) => return None,
    };
    let left = end.map(|end| end.duration_since(context.world.observed.as_of));
    Some(left.unwrap_or(WHILE_ROTATING).max(WHILE_ROTATING))
}
