//! How the certificates of a member are damaged, as data. Never makes a certificate.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a member's Secret is made to hold instead of its certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateDamage {
    /// Of the right authority and for the right names, but ended.
    Expired,
    /// For the right names, of an authority that nobody trusts.
    WrongAuthority,
    /// Of the right authority, for another name.
    WrongName,
    /// Cut in half.
    Truncated,
    /// Those of another member.
    Swapped,
    /// Nothing: the Secret is deleted.
    Deleted,
}

impl fmt::Display for CertificateDamage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            CertificateDamage::Expired => "expired",
            CertificateDamage::WrongAuthority => "wrong-authority",
            CertificateDamage::WrongName => "wrong-name",
            CertificateDamage::Truncated => "truncated",
            CertificateDamage::Swapped => "swapped",
            CertificateDamage::Deleted => "deleted",
        })
    }
}
