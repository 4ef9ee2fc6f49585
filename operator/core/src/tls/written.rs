//! Secrets to be written: every entry by where it comes from, so that no plan holds a private key. Never writes one.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::facts::KeyDigest;
use super::request::{CertificateRequest, Validity};
use crate::names::Pair;

/// A Secret to be written, as a whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretWrite {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which one.
    pub base: SecretBase,
    /// What is to be in it, in this order. Entries that are not named stay.
    pub entries: Vec<SecretEntry>,
    /// Annotations to be set.
    pub annotations: BTreeMap<String, String>,
    /// What for, in a few words.
    pub because: String,
}

/// What is written to.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretBase {
    /// There is none of this name.
    New {
        /// Its owner, with which it goes.
        owner: Box<OwnerReference>,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// Its type.
        secret_type: SecretType,
    },
    /// This very one, as it was seen.
    Live {
        /// Its UID.
        uid: String,
        /// Its version.
        resource_version: String,
    },
}

/// Kubernetes' types of Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretType {
    /// Anything.
    Opaque,
    /// A certificate with its key, as `tls.crt` and `tls.key`.
    Tls,
}

impl SecretType {
    /// The word in `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            SecretType::Opaque => "Opaque",
            SecretType::Tls => "kubernetes.io/tls",
        }
    }
}

/// One thing that is done to the entries of a Secret.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretEntry {
    /// A new authority, with a new key.
    Authority {
        /// The names of its two entries.
        at: Pair,
        /// The common name of its subject.
        common_name: String,
        /// When it is good.
        validity: Validity,
    },
    /// A new certificate, with a new key.
    Certificate {
        /// The names of its two entries.
        at: Pair,
        /// The certificate.
        request: CertificateRequest,
        /// Who signs it.
        issuer: Issuer,
    },
    /// What is public.
    Text {
        /// The name of the entry.
        at: String,
        /// Its content.
        value: String,
    },
    /// A certificate and its key get other names.
    Move {
        /// Their names.
        from: Pair,
        /// Their names to be.
        to: Pair,
    },
    /// An entry is gone, if it was there.
    Remove {
        /// Its name.
        at: String,
    },
}

/// An authority that signs: the Secret that it is in, and the key that it must have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The Secret.
    pub secret: String,
    /// Its two entries.
    pub at: Pair,
    /// The digest of its key.
    pub key: KeyDigest,
}
