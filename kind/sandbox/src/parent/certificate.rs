//! The sandbox's certificate authority and the API server's certificate, made anew at every start and kept in memory.

use anyhow::{Context as _, Result};
use jiff::civil::Date;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;

/// What the API server shows and what its clients trust.
pub(super) struct Certificates {
    /// In PEM.
    pub(super) authority: String,
    pub(super) server: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Names by which pods and people reach the API server.
const NAMES: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];

impl Certificates {
    /// Makes both, valid for a year around `today` and ten years on.
    pub(super) fn make(addresses: &[IpAddr], today: Date) -> Result<Certificates> {
        let key = KeyPair::generate().context("making the authority's key")?;
        let mut authority = parameters("sandbox-ca", today);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let authority =
            CertifiedIssuer::self_signed(authority, key).context("signing the authority's certificate")?;

        let key = KeyPair::generate().context("making the API server's key")?;
        let mut server = parameters("kube-apiserver", today);
        server.use_authority_key_identifier_extension = true;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in NAMES {
            server
                .subject_alt_names
                .push(SanType::DnsName(name.try_into().context("naming the API server")?));
        }
        server.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        let server = server.signed_by(&key, &authority).context("signing the API server's certificate")?;
        Ok(Certificates {
            authority: authority.pem(),
            server: server.der().clone(),
            key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }
}

fn parameters(name: &str, today: Date) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = rcgen::date_time_ymd(i32::from(today.year()) - 1, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(i32::from(today.year()) + 10, 1, 1);
    parameters
}
