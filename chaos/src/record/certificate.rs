//! What was measured about a member's certificates. Plain data; of a certificate it has the serial number alone, of a key nothing.

use serde::{Deserialize, Serialize};

/// A certificate in a member's Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateEntry {
    /// The name of the entry.
    pub entry: String,
    /// The port that shows it.
    pub port: u16,
    /// Its serial number; none if there is no certificate that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// One handshake with one port of a member, by a client that trusts the authorities of that port and asks for the member's own name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Handshake {
    /// The port.
    pub port: u16,
    /// The serial number of the certificate that was shown; none if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Why there was no connection; none if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// Why a handshake came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Refusal {
    /// The certificate has ended.
    Expired,
    /// It is of an authority that is not trusted.
    UnknownAuthority,
    /// It is not for the name.
    OtherName,
    /// The other side showed none, or anything else was wrong in the handshake.
    Other {
        /// The words of the TLS library.
        said: String,
    },
}
