//! What is seen of TLS: the cluster's Secrets, each by its name, and handshakes with members that serve it. Nothing of it is read for a cluster
//! that has nothing to do with TLS. Private keys go no further than to where the operator shows that it has one.

use crate::clock::SharedClock;
use crate::etcd::{Access, Identity, Pem, Secret as Hidden};
use crate::reconcile::ObserveError;
use crate::telemetry::chain;
use crate::tls::{self, Authority, Dial, Made, authorities, pair_of, secret_facts};
use etcd_operator_core::api::EtcdCluster;
use etcd_operator_core::cluster::observed::{TlsSeen, secrets_by_name};
use etcd_operator_core::cluster::target::gate_configuration;
use etcd_operator_core::gate::GateConfiguration;
use etcd_operator_core::names::secrets::{NEXT, OWN, PREVIOUS, TRUSTED_ENTRY};
use etcd_operator_core::names::{
    AuthorityKind, ClusterIdentity, Endpoint, MemberName, OPERATOR_COMMON_NAME, PEER_COMMON_NAME, Pair,
    Scheme,
};
use etcd_operator_core::tls::MemberTls;
use etcd_operator_core::tls::facts::{CertificateFacts, Handshake, KeyDigest, MemberHandshakes};
use etcd_operator_core::tls::request::{CertificateRequest, Use, Validity};
use futures::future::{join, join_all, try_join_all};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A handshake is answered from memory.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// For how long what the operator shows in a handshake is good: it is made for each look.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What a look knows of TLS.
#[derive(Default)]
pub(super) struct Tls {
    /// For the plan, but for handshakes.
    pub(super) seen: TlsSeen,
    /// How members are reached.
    pub(super) access: Access,
    /// Pods that serve TLS.
    serving: Vec<Serving>,
    /// What is shown in handshakes, by the newest authority of each kind.
    shown: BTreeMap<AuthorityKind, (Made, Option<KeyDigest>)>,
    /// All authorities of each kind, as PEM.
    trusted: BTreeMap<AuthorityKind, String>,
}

/// A pod that serves TLS.
struct Serving {
    uid: String,
    address: String,
    host: String,
    tls: MemberTls,
}

/// The Secrets of a cluster that has to do with TLS.
pub(super) async fn read(
    client: &Client,
    clock: &SharedClock,
    cluster: &EtcdCluster,
    identity: &ClusterIdentity,
    (members, stateful_sets, own_pods): (&BTreeSet<MemberName>, &[StatefulSet], Vec<&Pod>),
) -> Result<Tls, ObserveError> {
    let serving: Vec<Serving> = own_pods.iter().filter_map(|pod| serving(pod)).collect();
    let is_asked_for = cluster.spec.tls.is_some();
    let uses_tls = |live: &StatefulSet| {
        let pod = live.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        pod.and_then(gate_configuration).is_some_and(|configuration| configuration.tls.is_some())
    };
    if !is_asked_for && serving.is_empty() && !stateful_sets.iter().any(uses_tls) {
        return Ok(Tls::default());
    }
    let secrets = secrets(client, identity, members).await?;
    let known = known_authorities(identity, &serving, &secrets);
    let all = || known.values().flatten();
    let every: Vec<Authority> = all().cloned().collect();
    let facts = secrets.iter().map(|(name, secret)| (name.clone(), secret_facts(secret, &every)));
    let seen = TlsSeen {
        is_read: true,
        secrets: facts.collect(),
        authorities: all().filter_map(|authority| authority.facts(&[])).collect(),
        handshakes: BTreeMap::new(),
    };
    let trusted: BTreeMap<AuthorityKind, String> =
        known.iter().map(|(kind, known)| (*kind, pem_of(known))).collect();
    let shown = shown(clock, identity, &secrets, &seen);
    let access = access(identity, &serving, &secrets, &shown, &trusted);
    Ok(Tls { seen, access, serving, shown, trusted })
}

/// Asks every member that serves TLS on both of its ports, all at once.
pub(super) async fn handshakes(tls: &Tls) -> BTreeMap<String, MemberHandshakes> {
    let ask = |serving: &Serving| {
        let [peers, clients] = AuthorityKind::ALL.map(|kind| endpoint(kind, &serving.address));
        let host = serving.host.clone();
        async move {
            let (peers, clients) = join(
                handshake(tls, AuthorityKind::Peers, &peers, &host),
                handshake(tls, AuthorityKind::Clients, &clients, &host),
            )
            .await;
            MemberHandshakes { peers, clients }
        }
    };
    let answers = join_all(tls.serving.iter().map(ask)).await;
    tls.serving.iter().map(|serving| serving.uid.clone()).zip(answers).collect()
}

fn endpoint(kind: AuthorityKind, address: &str) -> Endpoint {
    match kind {
        AuthorityKind::Clients => Endpoint::of_clients(Scheme::Https, address),
        AuthorityKind::Peers => {
            Endpoint { scheme: Scheme::Https, address: address.to_owned(), port: Scheme::Https.peer_port() }
        }
    }
}

async fn handshake(tls: &Tls, kind: AuthorityKind, endpoint: &Endpoint, host: &str) -> Option<Handshake> {
    let (identity, signed_by) = match tls.shown.get(&kind) {
        Some((made, signed_by)) => (Some(made), signed_by.clone()),
        None => (None, None),
    };
    let authorities = tls.trusted.get(&kind)?;
    match tls::dial(&Dial { endpoint, server_name: host, authorities, identity }, HANDSHAKE_TIMEOUT).await {
        Ok(serial) => Some(Handshake { serial, accepted: signed_by }),
        Err(error) => {
            tracing::debug!(%endpoint, error = chain(&error), "no handshake");
            None
        }
    }
}

fn serving(pod: &Pod) -> Option<Serving> {
    let GateConfiguration { tls, cluster, member, .. } = gate_configuration(pod.spec.as_ref()?)?;
    let address = pod.status.as_ref()?.pod_ip.clone().filter(|address| !address.is_empty())?;
    Some(Serving { uid: pod.uid()?, address, host: cluster.host(&member), tls: tls? })
}

/// Each by its name; none is listed.
async fn secrets(
    client: &Client,
    identity: &ClusterIdentity,
    members: &BTreeSet<MemberName>,
) -> Result<BTreeMap<String, Secret>, ObserveError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &identity.namespace);
    let lookups = secrets_by_name(identity, members).into_iter().map(|name| {
        let api = &api;
        async move {
            let found = api.get_opt(&name).await;
            found.map_err(|source| ObserveError::Read { what: format!("Secret {name}"), source })
        }
    });
    let found = try_join_all(lookups).await?.into_iter().flatten();
    Ok(found.map(|secret| (secret.name_any(), secret)).collect())
}

/// Whoever may have signed what members show: those that they were started with, and those in the Secrets.
fn known_authorities(
    identity: &ClusterIdentity,
    serving: &[Serving],
    secrets: &BTreeMap<String, Secret>,
) -> BTreeMap<AuthorityKind, Vec<Authority>> {
    let of = |kind: AuthorityKind| {
        let of_members = serving.iter().flat_map(move |one| one.tls.authorities.of(kind));
        let of_members = of_members.flat_map(|pem| authorities(pem.0.as_bytes()));
        let secret = secrets.get(&identity.authority_secret(kind)).and_then(|secret| secret.data.as_ref());
        let entries = [OWN, NEXT, PREVIOUS].map(|pair| secret.and_then(|data| data.get(pair.certificate)));
        let of_secret = entries.into_iter().flatten().flat_map(|entry| authorities(&entry.0));
        let mut known: Vec<Authority> = Vec::new();
        for authority in of_members.chain(of_secret) {
            if !known.contains(&authority) {
                known.push(authority);
            }
        }
        (kind, known)
    };
    AuthorityKind::ALL.map(of).into()
}

fn pem_of(known: &[Authority]) -> String {
    known.iter().filter_map(|authority| authority.facts(&[])).map(|facts| facts.pem.0).collect()
}

/// A certificate of the newest authority of each kind that can sign: what a member accepts of it, it accepts of others.
fn shown(
    clock: &SharedClock,
    identity: &ClusterIdentity,
    secrets: &BTreeMap<String, Secret>,
    seen: &TlsSeen,
) -> BTreeMap<AuthorityKind, (Made, Option<KeyDigest>)> {
    let validity = Validity::from_now(clock.wall(), SHOWN_FOR, None);
    let of = |kind: AuthorityKind| {
        let name = identity.authority_secret(kind);
        let (secret, facts) = (secrets.get(&name)?, seen.secrets.get(&name)?);
        let signs = |at: Pair| {
            let authority: &CertificateFacts = facts.certificate(at.certificate)?;
            let has_key = facts.key(at.key) == Some(&authority.key);
            let issuer = pair_of(secret, at).filter(|_| has_key && authority.is_authority)?;
            let common_name = match kind {
                AuthorityKind::Peers => PEER_COMMON_NAME,
                AuthorityKind::Clients => OPERATOR_COMMON_NAME,
            };
            let request = CertificateRequest {
                common_name: common_name.to_owned(),
                names: BTreeSet::new(),
                uses: [Use::Client].into(),
                validity,
            };
            Some((tls::certificate(&request, &issuer).ok()?, Some(authority.key.clone())))
        };
        Some((kind, signs(NEXT).or_else(|| signs(OWN))?))
    };
    AuthorityKind::ALL.into_iter().filter_map(of).collect()
}

/// How members are reached: by TLS where they serve it. The operator is who its Secret says; without it, whoever the authority would make it.
fn access(
    identity: &ClusterIdentity,
    serving: &[Serving],
    secrets: &BTreeMap<String, Secret>,
    shown: &BTreeMap<AuthorityKind, (Made, Option<KeyDigest>)>,
    trusted: &BTreeMap<AuthorityKind, String>,
) -> Access {
    let own = secrets.get(&identity.operator_secret());
    let recorded = own.and_then(|secret| pair_of(secret, OWN)).filter(|made| !made.certificate.is_empty());
    let made = recorded.or_else(|| shown.get(&AuthorityKind::Clients).map(|(made, _)| made.clone()));
    let told = own.and_then(|secret| secret.data.as_ref()?.get(TRUSTED_ENTRY)).map(|entry| entry.0.clone());
    let known = trusted.get(&AuthorityKind::Clients).filter(|known| !known.is_empty());
    let authority = known.map(|known| known.clone().into_bytes()).or(told);
    Access {
        scheme: Scheme::Http,
        secured: serving.iter().map(|one| one.address.clone()).collect(),
        server_name: Some(identity.server_name()),
        authority: authority.map(Pem),
        identity: made.map(|made| Identity {
            certificate: Pem(made.certificate.into_bytes()),
            key: Hidden(made.key.0.into_bytes()),
        }),
        user: None,
    }
}
