//! What is known of the certificates and keys in a Secret. It judges none, and gives no private key away.

use etcd_operator_core::names::hexadecimal;
use etcd_operator_core::tls::Pem;
use etcd_operator_core::tls::facts::{CertificateFacts, EntryFacts, KeyDigest, SecretFacts};
use etcd_operator_core::tls::request::Use;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pem::{EncodeConfig, LineEnding};
use rcgen::KeyPair;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that may have signed others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    der: Vec<u8>,
}

/// Those that a text holds, whatever else it holds.
pub fn authorities(text: &[u8]) -> Vec<Authority> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let certificates = blocks.into_iter().filter(|block| block.tag() == CERTIFICATE);
    certificates.map(|block| Authority { der: block.into_contents() }).collect()
}

impl Authority {
    /// What is known of it.
    pub fn facts(&self, known: &[Authority]) -> Option<CertificateFacts> {
        certificate_facts(&self.der, known).ok()
    }
}

const CERTIFICATE: &str = "CERTIFICATE";
const CERTIFICATE_SUFFIX: &str = ".crt";
const KEY_SUFFIX: &str = ".key";

/// What is known of a Secret. Who signed is looked for among these authorities.
pub fn secret_facts(secret: &Secret, known: &[Authority]) -> SecretFacts {
    let data = secret.data.iter().flatten();
    let entries = data.map(|(name, value)| (name.clone(), entry_facts(name, &value.0, known)));
    let metadata = &secret.metadata;
    SecretFacts {
        metadata: ObjectMeta {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            labels: metadata.labels.clone(),
            // Tools that apply objects keep a copy of them in an annotation, and of a Secret that has its keys.
            annotations: metadata.annotations.as_ref().map(|all| {
                let is_own = |key: &str| etcd_operator_core::names::is_own_key(key);
                all.iter()
                    .filter(|(key, _)| is_own(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            }),
            owner_references: metadata.owner_references.clone(),
            deletion_timestamp: metadata.deletion_timestamp.clone(),
            ..ObjectMeta::default()
        },
        entries: entries.collect(),
    }
}

fn entry_facts(name: &str, value: &[u8], known: &[Authority]) -> EntryFacts {
    if name.ends_with(KEY_SUFFIX) {
        return key_facts(value);
    }
    if !name.ends_with(CERTIFICATE_SUFFIX) {
        return EntryFacts::Unreadable("it is called neither a certificate nor a key".to_owned());
    }
    let found: Result<Vec<_>, _> =
        authorities(value).iter().map(|one| certificate_facts(&one.der, known)).collect();
    match found {
        Ok(found) if found.is_empty() => EntryFacts::Unreadable("it holds no certificate".to_owned()),
        Ok(found) => EntryFacts::Certificates(found),
        Err(reason) => EntryFacts::Unreadable(reason),
    }
}

/// Errors of the parser are not shown: they might quote what they could not read.
fn key_facts(value: &[u8]) -> EntryFacts {
    let key = std::str::from_utf8(value).ok().and_then(|text| KeyPair::from_pem(text).ok());
    match key {
        Some(key) => EntryFacts::Key(digest(key.public_key_raw())),
        None => EntryFacts::Unreadable("it holds no private key".to_owned()),
    }
}

fn digest(public_key: &[u8]) -> KeyDigest {
    KeyDigest(hexadecimal(&Sha256::digest(public_key)[..16]))
}

fn certificate_facts(der: &[u8], known: &[Authority]) -> Result<CertificateFacts, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "it holds no certificate".to_owned())?;
    let moment = |seconds: i64| Timestamp::from_second(seconds).map_err(|error| error.to_string());
    let validity = certificate.validity();
    let common_name = certificate.subject().iter_common_name().next();
    let common_name = common_name.and_then(|name| name.as_str().ok()).unwrap_or_default();
    Ok(CertificateFacts {
        serial: hexadecimal(certificate.raw_serial()),
        common_name: common_name.to_owned(),
        names: names(&certificate),
        uses: uses(&certificate),
        is_authority: certificate.is_ca(),
        key: digest(&certificate.public_key().subject_public_key.data),
        signed_by: signer(&certificate, known),
        not_before: moment(validity.not_before.timestamp())?,
        not_after: moment(validity.not_after.timestamp())?,
        pem: canonical(der),
    })
}

/// The same text for the same certificate, whoever wrote it.
fn canonical(der: &[u8]) -> Pem {
    let block = pem::Pem::new(CERTIFICATE, der);
    Pem(pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF)))
}

fn signer(certificate: &X509Certificate<'_>, known: &[Authority]) -> Option<KeyDigest> {
    known.iter().find_map(|authority| {
        let (_, authority) = X509Certificate::from_der(&authority.der).ok()?;
        let has_signed = authority.subject() == certificate.issuer()
            && certificate.verify_signature(Some(authority.public_key())).is_ok();
        has_signed.then(|| digest(&authority.public_key().subject_public_key.data))
    })
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    names.filter_map(as_text).collect()
}

fn as_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|four| Ipv4Addr::from(four).to_string());
            let sixteen = || <[u8; 16]>::try_from(*bytes).map(|sixteen| Ipv6Addr::from(sixteen).to_string());
            four.or_else(|_| sixteen()).ok()
        }
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

fn uses(certificate: &X509Certificate<'_>) -> BTreeSet<Use> {
    let extensions = certificate.extensions().iter().map(|extension| extension.parsed_extension());
    let mut uses = BTreeSet::new();
    for extension in extensions {
        if let ParsedExtension::ExtendedKeyUsage(usage) = extension {
            uses.extend((usage.server_auth || usage.any).then_some(Use::Server));
            uses.extend((usage.client_auth || usage.any).then_some(Use::Client));
        }
    }
    uses
}
