//! The certificates of one member: read from its Secret, replaced in it, and shown by its ports. Private keys go from Secret to Secret and
//! nowhere else.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::super::case::Case;
use super::forged::{self, Pair};
use crate::record::{CertificateEntry, Handshake};
use crate::scenario::CertificateDamage;
use crate::subject::handshake::{self, Dial};
use crate::subject::{FIELD_MANAGER, etcd};
use crate::targeting::SeenMember;

/// A certificate that a member shows.
struct Served {
    /// Its entry in the member's Secret.
    certificate: &'static str,
    /// The entry of its key.
    key: &'static str,
    /// The port that shows it.
    port: u16,
    /// The Secret of the authority that signs it, by the cluster's name.
    authority: fn(&str) -> String,
}

const SERVED: [Served; 2] = [
    Served {
        certificate: "server.crt",
        key: "server.key",
        port: etcd::CLIENT_PORT,
        authority: etcd::client_authority,
    },
    Served {
        certificate: "peer-server.crt",
        key: "peer-server.key",
        port: etcd::TLS_PEER_PORT,
        authority: etcd::peer_authority,
    },
];
/// The entries of an authority that signs.
const SIGNS: (&str, &str) = ("tls.crt", "tls.key");
/// The entries of authorities that are trusted: the one that signs, and during a rotation another one.
const TRUSTED: [&str; 3] = ["tls.crt", "next.crt", "previous.crt"];

/// A member's Secret and the ports that show what is in it.
pub(super) struct MemberCertificates<'a> {
    case: &'a Case<'a>,
    secrets: Api<Secret>,
    /// The Secret's name.
    pub(super) name: String,
    /// The pods of the run.
    pub(super) pods: Api<Pod>,
    /// The member's pod.
    pub(super) pod: String,
    /// The name of that pod alone.
    server_name: String,
    member: String,
}

impl<'a> MemberCertificates<'a> {
    pub(super) async fn of(case: &'a Case<'a>, target: &SeenMember) -> Result<MemberCertificates<'a>> {
        let context = case.context;
        let pod = target.pod.as_ref().context("the member has no pod")?.pod.clone();
        let peers = etcd::peers_service(&context.client, &context.namespace, &context.cluster).await?;
        Ok(MemberCertificates {
            case,
            secrets: Api::namespaced(context.client.clone(), &context.namespace),
            name: etcd::member_secret(&target.name),
            pods: case.pods(&context.namespace),
            server_name: format!("{pod}.{peers}.{}.svc", context.namespace),
            pod,
            member: target.name.clone(),
        })
    }

    /// The Secret as it is now; nothing if it is not there.
    pub(super) async fn secret(&self) -> Result<Option<Secret>> {
        let found = self.secrets.get_opt(&self.name).await;
        found.with_context(|| format!("failed to read the Secret {}", self.name))
    }

    /// What each port shows to a new connection.
    pub(super) async fn handshakes(&self) -> Result<Vec<Handshake>> {
        let mut told = Vec::new();
        for served in &SERVED {
            let authority = self.read(&(served.authority)(&self.case.context.cluster)).await?;
            let trusted = TRUSTED.iter().filter_map(|entry| value(&authority, entry));
            let dial = Dial {
                pods: &self.pods,
                pod: &self.pod,
                port: served.port,
                server_name: &self.server_name,
                authorities: &trusted.collect::<Vec<_>>().join(&b'\n'),
                identity: None,
            };
            let shaken = handshake::dial(&dial).await;
            told.push(shaken.with_context(|| format!("port {} of {}", served.port, self.pod))?.told);
        }
        Ok(told)
    }

    /// What the Secret is to hold instead of its certificates.
    pub(super) async fn damaged(&self, seen: &Secret, damage: CertificateDamage) -> Result<Entries> {
        let mut entries = Entries::new();
        for served in &SERVED {
            let own = pair(seen, served.certificate, served.key)?;
            let damaged = match damage {
                CertificateDamage::Expired => forged::expired(&own, &self.signer(served).await?)?,
                CertificateDamage::WrongName => forged::for_another_name(&own, &self.signer(served).await?)?,
                CertificateDamage::WrongAuthority => forged::by_a_stranger(&own)?,
                CertificateDamage::Truncated => forged::truncated(own),
                CertificateDamage::Swapped => pair(&self.another().await?, served.certificate, served.key)?,
                CertificateDamage::Deleted => anyhow::bail!("a deleted Secret holds nothing"),
            };
            entries.insert(served.certificate, damaged.certificate);
            entries.insert(served.key, damaged.key);
        }
        Ok(entries)
    }

    /// Replaces entries, if nobody has written the Secret since it was seen.
    pub(super) async fn replace(&self, seen: &Secret, entries: Entries) -> Result<Secret> {
        let data = entries.into_iter().map(|(name, value)| (name.to_owned(), json!(STANDARD.encode(value))));
        let patch = json!({
            "metadata": { "resourceVersion": seen.resource_version() },
            "data": Value::Object(data.collect()),
        });
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.secrets.patch(&self.name, &parameters, &Patch::Merge(patch)).await;
        patched.with_context(|| format!("failed to change the Secret {}", self.name))
    }

    /// Deletes this very Secret, as it was seen.
    pub(super) async fn delete(&self, seen: &Secret) -> Result<()> {
        let preconditions = Preconditions { uid: seen.uid(), resource_version: seen.resource_version() };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let deleted = self.secrets.delete(&self.name, &parameters).await;
        deleted.map(drop).with_context(|| format!("failed to delete the Secret {}", self.name))
    }

    async fn signer(&self, served: &Served) -> Result<Pair> {
        let authority = self.read(&(served.authority)(&self.case.context.cluster)).await?;
        pair(&authority, SIGNS.0, SIGNS.1)
    }

    /// The Secret of another member.
    async fn another(&self) -> Result<Secret> {
        let other = {
            let board = self.case.context.board.borrow();
            let voters = board.view.voters();
            voters.into_iter().map(|voter| voter.name.clone()).find(|name| *name != self.member)
        };
        self.read(&etcd::member_secret(&other.context("there is no other member")?)).await
    }

    async fn read(&self, name: &str) -> Result<Secret> {
        self.secrets.get(name).await.with_context(|| format!("failed to read the Secret {name}"))
    }
}

/// Entries of a Secret.
pub(super) type Entries = BTreeMap<&'static str, Vec<u8>>;

/// What a member's Secret holds.
pub(super) fn entries(secret: &Secret) -> Vec<CertificateEntry> {
    let entry = |served: &Served| CertificateEntry {
        entry: served.certificate.to_owned(),
        port: served.port,
        serial: value(secret, served.certificate).and_then(|text| handshake::serial_in(&text)),
    };
    SERVED.iter().map(entry).collect()
}

fn value(secret: &Secret, entry: &str) -> Option<Vec<u8>> {
    secret.data.as_ref()?.get(entry).map(|value| value.0.clone())
}

fn pair(secret: &Secret, certificate: &str, key: &str) -> Result<Pair> {
    let one = |entry: &str| {
        let found = value(secret, entry);
        found.with_context(|| format!("Secret {} has no {entry}", secret.name_any()))
    };
    Ok(Pair { certificate: one(certificate)?, key: one(key)? })
}
