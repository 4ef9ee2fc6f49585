//! Certificates that are wrong in one way each, made after the good one that they replace. Pure but for the keys, which are new; writes
//! nothing down.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A name that no member has, and that nobody can have.
const NOBODY: &str = "nobody.invalid";

/// A certificate and its key, as PEM. It cannot be shown.
pub(super) struct Pair {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// When a certificate is good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Validity {
    Past,
    Present,
}

/// For the same names, by the same authority, and ended long ago.
pub(super) fn expired(own: &Pair, authority: &Pair) -> Result<Pair> {
    signed(parameters(names(own)?, Validity::Past), &issuer(authority)?)
}

/// By the same authority, for another name.
pub(super) fn for_another_name(own: &Pair, authority: &Pair) -> Result<Pair> {
    names(own)?;
    signed(parameters(vec![SanType::DnsName(NOBODY.try_into()?)], Validity::Present), &issuer(authority)?)
}

/// For the same names, by an authority that nobody has heard of.
pub(super) fn by_a_stranger(own: &Pair) -> Result<Pair> {
    let mut stranger = parameters(Vec::new(), Validity::Present);
    stranger.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    stranger.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    signed(parameters(names(own)?, Validity::Present), &Issuer::new(stranger, KeyPair::generate()?))
}

/// The first half of the certificate, with its whole key.
pub(super) fn truncated(own: Pair) -> Pair {
    let Pair { mut certificate, key } = own;
    certificate.truncate(certificate.len() / 2);
    Pair { certificate, key }
}

fn issuer(authority: &Pair) -> Result<Issuer<'static, KeyPair>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().context("an authority is no text");
    // The library's errors might quote what could not be read.
    let key = KeyPair::from_pem(&text(&authority.key)?).ok().context("an authority's key cannot be read")?;
    Ok(Issuer::from_ca_cert_pem(&text(&authority.certificate)?, key)?)
}

fn parameters(names: Vec<SanType>, validity: Validity) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "chaos");
    parameters.subject_alt_names = names;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = match validity {
        Validity::Past => rcgen::date_time_ymd(2021, 1, 1),
        Validity::Present => rcgen::date_time_ymd(2120, 1, 1),
    };
    parameters
}

fn signed(parameters: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?.pem().into_bytes();
    Ok(Pair { certificate, key: key.serialize_pem().into_bytes() })
}

/// The names that a certificate is for.
fn names(own: &Pair) -> Result<Vec<SanType>> {
    let first = CertificateDer::from_pem_slice(&own.certificate).context("the certificate cannot be read")?;
    let (_, certificate) = X509Certificate::from_der(&first).context("the certificate cannot be read")?;
    let names = certificate.subject_alternative_name().context("the certificate has no names")?;
    let names = names.context("the certificate has no names")?;
    names.value.general_names.iter().map(alternative).collect()
}

fn alternative(name: &GeneralName<'_>) -> Result<SanType> {
    match name {
        GeneralName::DNSName(name) => Ok(SanType::DnsName((*name).try_into()?)),
        GeneralName::IPAddress(bytes) => {
            if let Ok(four) = <[u8; 4]>::try_from(*bytes) {
                return Ok(SanType::IpAddress(Ipv4Addr::from(four).into()));
            }
            let sixteen = <[u8; 16]>::try_from(*bytes).context("an address has 4 or 16 bytes")?;
            Ok(SanType::IpAddress(Ipv6Addr::from(sixteen).into()))
        }
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => bail!("the certificate is for a name that servers do not have"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> Pair {
        let mut parameters = parameters(Vec::new(), Validity::Present);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem().into_bytes();
        Pair { certificate, key: key.serialize_pem().into_bytes() }
    }

    fn own(authority: &Pair) -> Pair {
        let names = ["a.peers.namespace.svc", "*.peers.namespace.svc"];
        let mut names: Vec<SanType> =
            names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        names.extend([[127, 0, 0, 1].into(), [1; 16].into()].map(SanType::IpAddress));
        signed(parameters(names, Validity::Present), &issuer(authority).unwrap()).unwrap()
    }

    /// Whether it is signed by an authority, and whether it is good now.
    fn facts(pair: &Pair, authority: &Pair) -> (bool, bool) {
        let read = |pair: &Pair| CertificateDer::from_pem_slice(&pair.certificate).unwrap();
        let (der, authority) = (read(pair), read(authority));
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let (_, authority) = X509Certificate::from_der(&authority).unwrap();
        let is_signed = certificate.verify_signature(Some(authority.public_key())).is_ok();
        (is_signed, certificate.validity().is_valid())
    }

    #[test]
    fn each_forged_certificate_is_wrong_in_one_way_alone() {
        let authority = authority();
        let own = own(&authority);
        assert_eq!(facts(&own, &authority), (true, true));
        let over = expired(&own, &authority).unwrap();
        assert_eq!((facts(&over, &authority), names(&over).unwrap()), ((true, false), names(&own).unwrap()));
        let other = for_another_name(&own, &authority).unwrap();
        assert_eq!(facts(&other, &authority), (true, true));
        assert_eq!(names(&other).unwrap(), [SanType::DnsName(NOBODY.try_into().unwrap())]);
        let strange = by_a_stranger(&own).unwrap();
        assert_eq!(
            (facts(&strange, &authority), names(&strange).unwrap()),
            ((false, true), names(&own).unwrap())
        );
    }

    #[test]
    fn a_truncated_certificate_cannot_be_read_and_its_key_can() {
        let cut = truncated(own(&authority()));
        assert!(names(&cut).is_err());
        assert!(KeyPair::from_pem(std::str::from_utf8(&cut.key).unwrap()).is_ok());
    }
}
