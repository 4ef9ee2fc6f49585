//! What is known of certificates and keys that were found in Secrets or shown in handshakes. The shell parses them; no private key ever
//! comes here, so that none can be planned with, shown or logged.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Pem;
use super::request::Use;
use crate::names::AuthorityKind;

/// A digest of a public key, in hexadecimal: it tells keys apart, and says which key a certificate is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyDigest(pub String);

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The common name of its subject; empty if it has none.
    pub common_name: String,
    /// The names that it is good for, DNS names and IP addresses, as text.
    pub names: BTreeSet<String>,
    /// What it may be used for.
    pub uses: BTreeSet<Use>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// The key that it is of.
    pub key: KeyDigest,
    /// The key that it was signed with; `None` if no authority that the shell knew has signed it.
    pub signed_by: Option<KeyDigest>,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Itself.
    pub pem: Pem,
}

impl CertificateFacts {
    /// Whether less than a third of its life is left.
    pub fn is_to_be_renewed(&self, as_of: Timestamp) -> bool {
        as_of >= self.renewal()
    }

    /// When a third of its life is left.
    pub fn renewal(&self) -> Timestamp {
        let third = self.not_after.duration_since(self.not_before) / 3;
        self.not_after.checked_sub(third).unwrap_or(self.not_before)
    }

    /// Whether it counts for anybody at this moment.
    pub fn is_good_at(&self, as_of: Timestamp) -> bool {
        self.not_before <= as_of && as_of < self.not_after
    }
}

/// One entry of a Secret, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryFacts {
    /// Certificates, the first of which counts where one is wanted.
    Certificates(Vec<CertificateFacts>),
    /// A private key: the digest of its public half.
    Key(KeyDigest),
    /// It is neither; says why, without any of its content.
    Unreadable(String),
}

/// A Secret that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretFacts {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its entries, by name.
    pub entries: BTreeMap<String, EntryFacts>,
}

impl SecretFacts {
    /// The certificate of an entry, if it is one.
    pub fn certificate(&self, entry: &str) -> Option<&CertificateFacts> {
        match self.entries.get(entry)? {
            EntryFacts::Certificates(all) => all.first(),
            EntryFacts::Key(_) | EntryFacts::Unreadable(_) => None,
        }
    }

    /// All certificates of an entry.
    pub fn certificates(&self, entry: &str) -> &[CertificateFacts] {
        match self.entries.get(entry) {
            Some(EntryFacts::Certificates(all)) => all,
            Some(EntryFacts::Key(_) | EntryFacts::Unreadable(_)) | None => &[],
        }
    }

    /// The key of an entry, if it is one.
    pub fn key(&self, entry: &str) -> Option<&KeyDigest> {
        match self.entries.get(entry)? {
            EntryFacts::Key(digest) => Some(digest),
            EntryFacts::Certificates(_) | EntryFacts::Unreadable(_) => None,
        }
    }
}

/// What came of handshakes with one member, on both of its ports. The operator shows a certificate that was signed by the newest
/// authority of the kind: what a member accepts now it accepts from whoever gets such a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberHandshakes {
    /// On the port of its peers.
    pub peers: Option<Handshake>,
    /// On the port of its clients.
    pub clients: Option<Handshake>,
}

impl MemberHandshakes {
    /// With the port of this kind.
    pub fn of(&self, kind: AuthorityKind) -> Option<&Handshake> {
        match kind {
            AuthorityKind::Peers => self.peers.as_ref(),
            AuthorityKind::Clients => self.clients.as_ref(),
        }
    }
}

/// One handshake that was completed: the member proved to be who it should be, and answered a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The serial number of the certificate that the member showed.
    pub serial: String,
    /// The key of the authority that signed the certificate that was shown to the member, and accepted.
    pub accepted: Option<KeyDigest>,
}
