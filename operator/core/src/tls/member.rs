//! What a member serves, and whom it trusts. Plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::ClientCertificates;
use crate::names::{AuthorityKind, Scheme};

/// How a member uses TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberTls {
    /// What its ports serve.
    pub serves: Serves,
    /// Whom it trusts.
    pub authorities: Authorities,
    /// Whether its clients must show a certificate.
    #[serde(default, skip_serializing_if = "is_required")]
    pub client_certificates: ClientCertificates,
}

/// Whom a member trusts: the authorities of its peers and of its clients, which are never the same. A member knows them from its start
/// until its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorities {
    /// Of members, as members.
    pub peers: Vec<Pem>,
    /// Of members, as servers, and of their clients.
    pub clients: Vec<Pem>,
}

impl Authorities {
    /// Those of one kind.
    pub fn of(&self, kind: AuthorityKind) -> &Vec<Pem> {
        match kind {
            AuthorityKind::Peers => &self.peers,
            AuthorityKind::Clients => &self.clients,
        }
    }
}

/// What the ports of a member with certificates serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Serves {
    /// TLS and plain text: on the way from the one to the other.
    Both,
    /// TLS alone.
    TlsAlone,
}

impl Serves {
    /// The schemes, plain text first.
    pub fn schemes(self) -> &'static [Scheme] {
        match self {
            Serves::Both => &[Scheme::Http, Scheme::Https],
            Serves::TlsAlone => &[Scheme::Https],
        }
    }
}

/// One public certificate, as PEM with a newline at its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pem(pub String);

impl fmt::Debug for Pem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({} bytes of PEM)", self.0.len())
    }
}

/// Several certificates, one after the other, as files have them.
pub(crate) fn bundle(certificates: &[Pem]) -> String {
    certificates.iter().map(|certificate| certificate.0.as_str()).collect()
}

fn is_required(certificates: &ClientCertificates) -> bool {
    *certificates == ClientCertificates::Required
}
