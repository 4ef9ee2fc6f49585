//! The certificates of a cluster: what an authority signs for servers and for clients. Valid from 2020 to 2120, whatever a
//! container's clock says. Writes no file.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

/// Names under which clients in the cluster reach the API server.
pub const API_SERVER_NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// An authority and its key.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// Makes an authority.
///
/// # Errors
/// When key generation fails.
pub fn authority(name: &str) -> Result<Authority, Error> {
    let mut parameters = parameters(name, None);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)
}

/// Signs the certificate of a server that is reached under these addresses and names.
///
/// # Errors
/// A name that is none in the DNS, or key generation failed.
pub fn sign_server(
    authority: &Authority,
    name: &str,
    addresses: &[IpAddr],
    names: &[&str],
) -> Result<(Certificate, KeyPair), Error> {
    let mut parameters = parameters(name, None);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
    for name in names {
        parameters.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
    }
    sign(authority, parameters)
}

/// Signs the certificate of a client: user and group as RBAC knows them
/// (<https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates>).
///
/// # Errors
/// When key generation fails.
pub fn sign_client(
    authority: &Authority,
    user: &str,
    group: Option<&str>,
) -> Result<(Certificate, KeyPair), Error> {
    let mut parameters = parameters(user, group);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(authority, parameters)
}

fn sign(authority: &Authority, mut parameters: CertificateParams) -> Result<(Certificate, KeyPair), Error> {
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, authority)?;
    Ok((certificate, key))
}

fn parameters(name: &str, group: Option<&str>) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2120, 1, 1);
    parameters
}
