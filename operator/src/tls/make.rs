//! Makes authorities and certificates, each with a key of its own, exactly as they are asked for. Keys are ECDSA on P-256, which every client
//! of etcd knows. It keeps nothing.

use crate::etcd::Secret;
use etcd_operator_core::tls::request::{CertificateRequest, Use, Validity};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use std::net::IpAddr;
use thiserror::Error;
use time::OffsetDateTime;

/// A private key as PEM.
pub type KeyPem = Secret<String>;

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Made {
    /// The certificate, as PEM.
    pub certificate: String,
    /// Its key.
    pub key: KeyPem,
}

/// Why nothing was made. It quotes no key.
#[derive(Debug, Error)]
pub enum MakeError {
    /// Whoever is to sign cannot be read.
    #[error("the authority that is to sign cannot be read")]
    Issuer,
    /// A name is none that a certificate could hold.
    #[error("{0:?} is no name that a certificate could hold")]
    Name(String),
    /// A moment is outside what certificates know.
    #[error("certificates know no such moment")]
    Moment(#[source] time::error::ComponentRange),
    /// Signing failed.
    #[error("failed to sign")]
    Sign(#[source] rcgen::Error),
}

/// A new authority.
pub fn authority(common_name: &str, validity: &Validity) -> Result<Made, MakeError> {
    let mut parameters = parameters(common_name, validity)?;
    // It signs certificates alone, no other authority.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(MakeError::Sign)?;
    let text = Secret(key.serialize_pem());
    let made = CertifiedIssuer::self_signed(parameters, key).map_err(MakeError::Sign)?;
    Ok(Made { certificate: made.pem(), key: text })
}

/// A new certificate, signed by an authority.
pub fn certificate(request: &CertificateRequest, issuer: &Made) -> Result<Made, MakeError> {
    let signing_key = KeyPair::from_pem(&issuer.key.0).map_err(|_| MakeError::Issuer)?;
    let issuer = Issuer::from_ca_cert_pem(&issuer.certificate, signing_key).map_err(|_| MakeError::Issuer)?;
    let mut parameters = parameters(&request.common_name, &request.validity)?;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = request.uses.iter().map(|one| purpose(*one)).collect();
    for name in &request.names {
        parameters.subject_alt_names.push(alternative(name)?);
    }
    let key = KeyPair::generate().map_err(MakeError::Sign)?;
    let made = parameters.signed_by(&key, &issuer).map_err(MakeError::Sign)?;
    Ok(Made { certificate: made.pem(), key: Secret(key.serialize_pem()) })
}

fn purpose(used: Use) -> ExtendedKeyUsagePurpose {
    match used {
        Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

fn alternative(name: &str) -> Result<SanType, MakeError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    name.try_into().map(SanType::DnsName).map_err(|_| MakeError::Name(name.to_owned()))
}

fn parameters(common_name: &str, validity: &Validity) -> Result<CertificateParams, MakeError> {
    let moment =
        |at: jiff::Timestamp| OffsetDateTime::from_unix_timestamp(at.as_second()).map_err(MakeError::Moment);
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = moment(validity.not_before)?;
    parameters.not_after = moment(validity.not_after)?;
    // Of 20 bytes at most, and positive (RFC 5280, 4.1.2.2).
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x7f | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(parameters)
}
