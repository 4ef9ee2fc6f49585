//! TLS as the spec asks for it, parsed once.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::SignedDuration;

use super::{EtcdVersion, Invalid};
use crate::api::{ClientCertificates, TlsSpec};

/// TLS that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredTls {
    /// Whether clients must show a certificate.
    pub client_certificates: ClientCertificates,
    /// Further names for members' certificates.
    pub extra_names: BTreeSet<String>,
    /// For how long certificates are good.
    pub certificate_lifetime: SignedDuration,
    /// For how long authorities are good.
    pub authority_lifetime: SignedDuration,
    /// For how long a rotation waits for applications.
    pub trust_period: SignedDuration,
}

impl DesiredTls {
    /// What the spec says, or what holds if it says nothing that could be carried out.
    pub(crate) fn of_spec_or_usual(tls: Option<&TlsSpec>) -> DesiredTls {
        tls.and_then(|tls| of(tls).ok()).unwrap_or_else(DesiredTls::usual)
    }

    /// What `tls: {}` means.
    pub(crate) fn usual() -> DesiredTls {
        of(&TlsSpec::default()).expect("what is absent can be carried out")
    }
}

/// Parses it.
pub(super) fn parse(tls: Option<&TlsSpec>, version: EtcdVersion) -> Result<Option<DesiredTls>, Invalid> {
    let Some(tls) = tls else { return Ok(None) };
    if !version.has_sound_tls() {
        return Err(Invalid::UnsoundTls(version));
    }
    of(tls).map(Some)
}

fn of(tls: &TlsSpec) -> Result<DesiredTls, Invalid> {
    // Destructured without `..`, so that a new field cannot be forgotten here.
    let TlsSpec {
        client_certificates,
        extra_names,
        certificate_lifetime_seconds,
        authority_lifetime_seconds,
        trust_period_seconds,
    } = tls;
    if let Some(name) = extra_names.iter().find(|name| !is_name(name)) {
        return Err(Invalid::ExtraName(name.clone()));
    }
    let lifetimes = [*certificate_lifetime_seconds, *authority_lifetime_seconds];
    if lifetimes[0] < 120 || lifetimes[1] < 2 * lifetimes[0] {
        return Err(Invalid::Lifetimes { certificate: lifetimes[0], authority: lifetimes[1] });
    }
    if *trust_period_seconds < 0 {
        return Err(Invalid::TrustPeriod(*trust_period_seconds));
    }
    Ok(DesiredTls {
        client_certificates: *client_certificates,
        extra_names: extra_names.iter().map(|name| canonical(name)).collect(),
        certificate_lifetime: SignedDuration::from_secs(*certificate_lifetime_seconds),
        authority_lifetime: SignedDuration::from_secs(*authority_lifetime_seconds),
        trust_period: SignedDuration::from_secs(*trust_period_seconds),
    })
}

/// One spelling for each address, so that what stands in a certificate compares equal.
fn canonical(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(|_| name.to_owned(), |address| address.to_string())
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain =
            label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        !label.is_empty() && label.len() <= 63 && is_plain && !label.starts_with('-') && !label.ends_with('-')
    };
    let host = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && host.split('.').all(is_label))
}
