//! What a member's port shows to whoever connects by TLS: through the API server, so that nobody needs a route to a pod. It sends nothing
//! after the handshake, and gives no certificate away but for its serial number.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::record::{Handshake, Refusal};

/// A port that has not completed a handshake after so long does not speak TLS.
const SILENCE: Duration = Duration::from_secs(3);

/// Whom to dial, and how.
pub struct Dial<'a> {
    /// Where pods are.
    pub pods: &'a Api<Pod>,
    /// The pod.
    pub pod: &'a str,
    /// Its port.
    pub port: u16,
    /// The name that its certificate must hold.
    pub server_name: &'a str,
    /// The authorities that are trusted, as PEM.
    pub authorities: &'a [u8],
    /// The certificate that is shown and its key, as PEM; none for a client without one.
    pub identity: Option<(&'a [u8], &'a [u8])>,
}

/// What came of a handshake.
pub struct Shaken {
    /// What is to be told of it.
    pub told: Handshake,
    /// The connection; none if the certificate was not accepted, or none was shown.
    pub connection: Option<Connection>,
}

/// A connection to a port of a pod. It ends when it is dropped.
pub struct Connection {
    /// What to write to and to read from.
    pub stream: TlsStream<DuplexStream>,
    _forwarder: Ending,
}

struct Ending(Portforwarder);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects, and tells what the port showed.
///
/// # Errors
/// If there was no handshake at all: the pod cannot be reached, or does not listen, or does not speak TLS.
pub async fn dial(dial: &Dial<'_>) -> Result<Shaken> {
    let (configuration, witness) = configuration(dial)?;
    let forwarder = dial.pods.portforward(dial.pod, &[dial.port]).await;
    let mut forwarder = Ending(forwarder.context("failed to reach the pod")?);
    let stream = forwarder.0.take_stream(dial.port).context("the pod's port has no stream")?;
    let name = ServerName::try_from(dial.server_name.to_owned()).context("no name of a server")?;
    let connecting = TlsConnector::from(Arc::new(configuration)).connect(name, stream);
    let connected = tokio::time::timeout(SILENCE, connecting).await.context("no handshake in time")?;
    let (connection, refusal) = match connected {
        Ok(stream) => (Some(Connection { stream, _forwarder: forwarder }), None),
        Err(error) => (None, Some(refusal(error)?)),
    };
    let told = Handshake { port: dial.port, serial: witness.serial(), refusal };
    Ok(Shaken { told, connection })
}

fn configuration(dial: &Dial<'_>) -> Result<(ClientConfig, Arc<Witness>)> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(dial.authorities) {
        roots.add(certificate.context("an authority cannot be read")?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let witness = Arc::new(Witness::new(roots, &provider)?);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone());
    let configuration = match dial.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
            let key = PrivateKeyDer::from_pem_slice(key).context("a key cannot be read")?;
            builder.with_client_auth_cert(chain.context("a certificate cannot be read")?, key)?
        }
    };
    Ok((configuration, witness))
}

/// Why TLS came to nothing. What is no error of TLS says nothing about the certificate.
fn refusal(error: io::Error) -> Result<Refusal> {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return Err(error).context("the connection failed");
    };
    Ok(match cause {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Refusal::Expired
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Refusal::UnknownAuthority,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Refusal::OtherName,
        other => Refusal::Other { said: other.to_string() },
    })
}

/// Verifies as everybody does, and remembers what was shown, whether it is accepted or not.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    shown: Mutex<Option<CertificateDer<'static>>>,
}

impl Witness {
    fn new(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Witness> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        Ok(Witness { verifier: builder.build().context("no authority to trust")?, shown: Mutex::default() })
    }

    fn serial(&self) -> Option<String> {
        serial(self.shown.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = end_entity.clone().into_owned();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn serial(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.raw_serial_as_string())
}

/// The serial number of the first certificate in a text; none if it holds none that can be read.
#[must_use]
pub fn serial_in(text: &[u8]) -> Option<String> {
    serial(&CertificateDer::pem_slice_iter(text).next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tls_says_is_a_refusal_and_a_broken_connection_says_nothing() {
        let refused = |error: Error| refusal(io::Error::new(io::ErrorKind::InvalidData, error)).unwrap();
        let certificate = |error| refused(Error::InvalidCertificate(error));
        assert_eq!(certificate(CertificateError::Expired), Refusal::Expired);
        assert_eq!(certificate(CertificateError::UnknownIssuer), Refusal::UnknownAuthority);
        assert_eq!(certificate(CertificateError::NotValidForName), Refusal::OtherName);
        let said = Error::AlertReceived(rustls::AlertDescription::InternalError);
        assert_eq!(refused(said.clone()), Refusal::Other { said: said.to_string() });
        assert!(refusal(io::ErrorKind::ConnectionReset.into()).is_err());
        assert!(refusal(io::ErrorKind::UnexpectedEof.into()).is_err());
    }

    #[test]
    fn what_cannot_be_read_has_no_serial_number() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.serial_number = Some(vec![0x0a, 0xff].into());
        let text = parameters.self_signed(&key).unwrap().pem();
        assert_eq!(serial_in(text.as_bytes()).as_deref(), Some("0a:ff"));
        assert_eq!(serial_in(&text.as_bytes()[..text.len() / 2]), None);
        assert_eq!(serial_in(b""), None);
    }
}
