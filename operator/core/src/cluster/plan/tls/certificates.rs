//! The certificates of members, of applications and of the operator: which there should be, and which are to be made anew. Renewed ones are
//! taken up without a restart. Without an authority that can sign, everything stays as it is, and it is said. Never deletes a Secret.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::super::{
    Action, Concern, Context, Flow, Hold, Kind, Notice, ObjectHold, PatchPurpose, Plan, change,
};
use super::{authorities, hold_name_taken, is_concerned, is_own};
use crate::cluster::desired::DesiredTls;
use crate::cluster::render;
use crate::cluster::world::Member;
use crate::names::secrets::{OWN, PEER_CLIENT, PEER_SERVER, SERVER, TRUSTED_ENTRY};
use crate::names::{
    ANNOTATION_SHOWN, AuthorityKind, CLIENT_COMMON_NAME, MemberName, OPERATOR_COMMON_NAME, PEER_COMMON_NAME,
    Pair,
};
use crate::tls::bundle;
use crate::tls::facts::{KeyDigest, SecretFacts};
use crate::tls::request::{CertificateRequest, Use, Validity};
use crate::tls::written::{Issuer, SecretBase, SecretEntry, SecretType, SecretWrite};

const NONE: &str = "there is none";

/// A certificate that there should be.
struct Wanted {
    at: Pair,
    kind: AuthorityKind,
    common_name: &'static str,
    names: BTreeSet<String>,
    uses: BTreeSet<Use>,
}

/// A Secret that there should be.
struct WantedSecret {
    name: String,
    owner: OwnerReference,
    labels: BTreeMap<String, String>,
    secret_type: SecretType,
    certificates: Vec<Wanted>,
    /// Whom whoever mounts it is to trust, if it says so.
    trusted: Option<String>,
}

/// Makes what lacks, and renews what is to be renewed.
pub(in super::super) fn certificates(context: &Context<'_>, plan: &mut Plan) -> Flow {
    if !context.world.observed.tls.is_read || !is_concerned(context) {
        return Flow::Next;
    }
    let of_members = context.world.members.values().filter_map(|member| of_member(context, member));
    let for_clients = [
        of_clients(context, context.world.cluster.client_secret(), CLIENT_COMMON_NAME),
        of_clients(context, context.world.cluster.operator_secret(), OPERATOR_COMMON_NAME),
    ];
    for wanted in for_clients.into_iter().flatten() {
        keep(context, plan, wanted, true);
    }
    // One member's after the other's, each once the one before is seen to be shown: what is wrong with one is then wrong with no other.
    let mut may_renew = true;
    for member in context.world.members.values() {
        let is_behind = is_behind(context, member);
        may_renew &= !is_behind;
        if is_behind {
            show(context, plan, member);
            plan.hold(Hold::Notice(Notice::CertificateNotShown { member: member.name.clone() }));
        }
    }
    for wanted in of_members {
        let name = wanted.name.clone();
        keep(context, plan, wanted, may_renew);
        may_renew &= !plan.actions.iter().any(|one| one.concern == Concern::Certificates(name.clone()));
    }
    Flow::Next
}

/// Whether a member was seen to show another certificate than its Secret has.
pub(super) fn is_behind(context: &Context<'_>, member: &Member<'_>) -> bool {
    AuthorityKind::ALL.into_iter().any(|kind| {
        let shown = super::handshake(context, member, kind).map(|handshake| handshake.serial.as_str());
        shown.is_some() && shown != shown_by(context, member, kind)
    })
}

/// Has a kubelet bring the Secret to the pod now: it looks at what a pod mounts whenever the pod changes, and else every minute or so.
fn show(context: &Context<'_>, plan: &mut Plan, member: &Member<'_>) {
    let (Some(pod), Some(serial)) = (member.live_pod(), shown_by(context, member, AuthorityKind::Clients))
    else {
        return;
    };
    let wanted = BTreeMap::from([(ANNOTATION_SHOWN.to_owned(), serial.to_owned())]);
    let missing = change::differing(pod.metadata.annotations.as_ref(), wanted);
    if !missing.is_empty() {
        let facts = missing.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let operations = change::annotate(&pod.metadata, &missing);
        let purpose = PatchPurpose::RecordFacts { facts };
        plan.act_on_pod(&member.name, change::patch(change::target(Kind::Pod, pod), operations, purpose));
    }
}

/// Whether a certificate of this kind is in use that the authority with this key has signed.
pub(super) fn has_signed(context: &Context<'_>, kind: AuthorityKind, key: &KeyDigest) -> bool {
    in_use(context, kind).any(|(secret, at)| {
        secret.certificate(at.certificate).is_some_and(|found| found.signed_by.as_ref() == Some(key))
    })
}

/// Secrets with certificates of this kind that somebody may show, with the names of the entries.
fn in_use<'c>(
    context: &'c Context<'_>,
    kind: AuthorityKind,
) -> impl Iterator<Item = (&'c SecretFacts, Pair)> {
    let (of_member, for_clients): (&[Pair], &[Pair]) = match kind {
        AuthorityKind::Peers => (&[PEER_SERVER, PEER_CLIENT], &[]),
        AuthorityKind::Clients => (&[SERVER], &[OWN]),
    };
    let cluster = &context.world.cluster;
    let secrets = &context.world.observed.tls.secrets;
    let members = context.world.listed().map(move |member| (member.name.certificates(), of_member));
    let clients = [cluster.client_secret(), cluster.operator_secret()].map(|name| (name, for_clients));
    let named = members.chain(clients);
    named
        .filter_map(|(name, pairs)| Some((secrets.get(&name)?, pairs)))
        .flat_map(|(secret, pairs)| pairs.iter().map(move |pair| (secret, *pair)))
}

/// Whether all certificates of this kind are of the authority with this key.
pub(super) fn all_are_signed_by(context: &Context<'_>, kind: AuthorityKind, key: &KeyDigest) -> bool {
    let is_signed = |(secret, at): (&SecretFacts, Pair)| {
        secret.certificate(at.certificate).is_some_and(|found| found.signed_by.as_ref() == Some(key))
    };
    in_use(context, kind).all(is_signed)
}

/// What a member shows on a port, by its Secret.
pub(super) fn shown_by<'c>(
    context: &'c Context<'_>,
    member: &Member<'_>,
    kind: AuthorityKind,
) -> Option<&'c str> {
    let at = match kind {
        AuthorityKind::Peers => PEER_SERVER,
        AuthorityKind::Clients => SERVER,
    };
    let secret = context.world.observed.tls.secrets.get(&member.name.certificates())?;
    Some(secret.certificate(at.certificate)?.serial.as_str())
}

/// It goes with its member's StatefulSet, so that it is there for as long as a pod of it may be.
fn of_member(context: &Context<'_>, member: &Member<'_>) -> Option<WantedSecret> {
    member.target.as_ref()?.tls.as_ref()?;
    let live = member.stateful_set.filter(|live| live.metadata.deletion_timestamp.is_none())?;
    let cluster = &context.world.cluster;
    let names: BTreeSet<String> = cluster.server_names(&member.name);
    let extra = extra_names(context, &member.name);
    // etcd's gateway asks its own client port, and shows what it serves with.
    let both = BTreeSet::from([Use::Server, Use::Client]);
    let wanted = |at, kind, names, uses| Wanted { at, kind, common_name: PEER_COMMON_NAME, names, uses };
    Some(WantedSecret {
        name: member.name.certificates(),
        owner: OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "StatefulSet".to_owned(),
            name: live.name_any(),
            uid: live.uid()?,
            controller: Some(true),
            block_owner_deletion: None,
        },
        labels: cluster.member_labels(&member.name),
        secret_type: SecretType::Opaque,
        certificates: vec![
            wanted(SERVER, AuthorityKind::Clients, names.iter().cloned().chain(extra).collect(), both),
            wanted(PEER_SERVER, AuthorityKind::Peers, names, [Use::Server].into()),
            wanted(PEER_CLIENT, AuthorityKind::Peers, BTreeSet::new(), [Use::Client].into()),
        ],
        trusted: None,
    })
}

/// Names that the spec adds; or those that stand in what the member shows, where the spec says nothing of TLS any more, or nothing that could be
/// carried out: whoever calls it by one goes on to.
fn extra_names(context: &Context<'_>, member: &MemberName) -> BTreeSet<String> {
    match context.desired.tls.as_ref().filter(|_| context.follows_spec) {
        Some(tls) => tls.extra_names.clone(),
        None => {
            let secret = context.world.observed.tls.secrets.get(&member.certificates());
            let shown = secret.and_then(|secret| secret.certificate(SERVER.certificate));
            shown.map(|shown| shown.names.clone()).unwrap_or_default()
        }
    }
}

/// For whoever asks members. Nothing as long as nobody can be trusted.
fn of_clients(context: &Context<'_>, name: String, common_name: &'static str) -> Option<WantedSecret> {
    let present =
        context.world.listed().find_map(|member| authorities::trusted_by(member, AuthorityKind::Clients));
    let present = present.map(Vec::as_slice).unwrap_or_default();
    let trusted = authorities::trusted(context, AuthorityKind::Clients, present);
    (!trusted.is_empty()).then(|| WantedSecret {
        name,
        owner: render::owner(&context.world.cluster),
        labels: context.world.cluster.labels(),
        secret_type: SecretType::Tls,
        certificates: vec![Wanted {
            at: OWN,
            kind: AuthorityKind::Clients,
            common_name,
            names: BTreeSet::new(),
            uses: [Use::Client].into(),
        }],
        trusted: Some(bundle(&trusted)),
    })
}

/// `may_renew`: whether what counts for something is made anew, too.
fn keep(context: &Context<'_>, plan: &mut Plan, wanted: WantedSecret, may_renew: bool) {
    let live = context.world.observed.tls.secrets.get(&wanted.name);
    if live.is_some_and(|live| !is_own(context, live)) {
        hold_name_taken(plan, &wanted.name);
        return;
    }
    if live.is_some_and(|live| live.metadata.deletion_timestamp.is_some()) {
        return;
    }
    let mut entries = Vec::new();
    let is_new = live.is_none();
    let mut reasons = BTreeSet::new();
    for certificate in &wanted.certificates {
        let found = reason_to_make(context, live, certificate);
        let Some((reason, _)) = found.filter(|(_, haste)| may_renew || *haste == Haste::Now) else {
            continue;
        };
        match entry(context, certificate) {
            Some(entry) => {
                entries.push(entry);
                reasons.insert(reason);
            }
            None => {
                let message = format!("{reason}, and no authority of {} can sign", certificate.kind.as_str());
                let secret = wanted.name.clone();
                plan.hold(Hold::Object(ObjectHold::CertificateNotMade { secret, message }));
                // A Secret with a part of what it should hold would start nobody.
                return;
            }
        }
    }
    let is_told = live.is_some_and(|live| trusts(live, wanted.trusted.as_deref()));
    if let Some(value) = wanted.trusted.filter(|_| !is_told) {
        entries.push(SecretEntry::Text { at: TRUSTED_ENTRY.to_owned(), value });
        reasons.insert(if is_new { NONE } else { "the authorities have changed" });
    }
    if entries.is_empty() {
        return;
    }
    let write = SecretWrite {
        namespace: context.world.cluster.namespace.clone(),
        name: wanted.name.clone(),
        base: base(live, wanted.owner, wanted.labels, wanted.secret_type),
        entries,
        annotations: BTreeMap::new(),
        because: reasons.into_iter().collect::<Vec<_>>().join("; "),
    };
    plan.act(Concern::Certificates(wanted.name), Action::WriteSecret(Box::new(write)));
}

pub(super) fn base(
    live: Option<&SecretFacts>,
    owner: OwnerReference,
    labels: BTreeMap<String, String>,
    secret_type: SecretType,
) -> SecretBase {
    match live {
        Some(live) => SecretBase::Live {
            uid: live.metadata.uid.clone().unwrap_or_default(),
            resource_version: live.metadata.resource_version.clone().unwrap_or_default(),
        },
        None => SecretBase::New { owner: Box::new(owner), labels, secret_type },
    }
}

/// Whether a Secret names exactly these authorities, in this order.
fn trusts(live: &SecretFacts, trusted: Option<&str>) -> bool {
    let found: String =
        live.certificates(TRUSTED_ENTRY).iter().map(|certificate| certificate.pem.0.as_str()).collect();
    trusted.is_none_or(|trusted| trusted == found)
}

/// How soon a certificate must be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// Nobody accepts what is there.
    Now,
    /// What is there counts for something still.
    InTurn,
}

/// Why a certificate is made, if it is. One that nobody could sign now is kept for as long as it counts for anything.
fn reason_to_make(
    context: &Context<'_>,
    live: Option<&SecretFacts>,
    wanted: &Wanted,
) -> Option<(&'static str, Haste)> {
    let as_of = context.world.observed.as_of;
    let now = |reason| Some((reason, Haste::Now));
    let Some(live) = live else { return now(NONE) };
    let Some(found) = live.certificate(wanted.at.certificate) else {
        return now("its certificate is not readable");
    };
    if live.key(wanted.at.key) != Some(&found.key) {
        return now("its key is not that of its certificate");
    }
    if !found.is_good_at(as_of) {
        return now("its certificate is not valid at this time");
    }
    let in_turn = |reason| Some((reason, Haste::InTurn));
    let (key, authority) = authorities::signer(context, wanted.kind)?;
    let is_last = found.not_after >= authority.own.not_after;
    if found.signed_by.as_ref() != Some(key) {
        if found.signed_by.is_none() {
            now("nobody that is trusted has signed it")
        } else {
            in_turn("its certificate is not of the authority that signs now")
        }
    } else if found.common_name != wanted.common_name
        || found.names != wanted.names
        || found.uses != wanted.uses
    {
        in_turn("its certificate has other names or uses")
    } else if found.is_to_be_renewed(as_of) && !is_last {
        in_turn("a third of its certificate's life is left")
    } else {
        None
    }
}

fn entry(context: &Context<'_>, wanted: &Wanted) -> Option<SecretEntry> {
    let (key, authority) = authorities::signer(context, wanted.kind)?;
    // On the way back to plain text the spec says nothing of it any more.
    let lifetime = context.desired.tls.clone().unwrap_or_else(DesiredTls::usual).certificate_lifetime;
    let at_most = Some(authority.own.not_after);
    Some(SecretEntry::Certificate {
        at: wanted.at,
        request: CertificateRequest {
            common_name: wanted.common_name.to_owned(),
            names: wanted.names.clone(),
            uses: wanted.uses.clone(),
            validity: Validity::from_now(context.world.observed.as_of, lifetime, at_most),
        },
        issuer: Issuer {
            secret: context.world.cluster.authority_secret(wanted.kind),
            at: OWN,
            key: key.clone(),
        },
    })
}
