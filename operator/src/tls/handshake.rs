//! One handshake with one port of one member, and one request after it: only an answer shows that the member has accepted the certificate that it
//! was shown, since TLS 1.3 tells of a refusal afterwards. It judges nothing.

use super::Made;
use crate::http::{GetError, exchange};
use etcd_operator_core::names::{Endpoint, hexadecimal};
use http::StatusCode;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whom to ask, and how.
#[derive(Debug)]
pub struct Dial<'a> {
    /// The port.
    pub endpoint: &'a Endpoint,
    /// The name that the member must prove.
    pub server_name: &'a str,
    /// Whom to trust, as PEM.
    pub authorities: &'a str,
    /// What to show.
    pub identity: Option<&'a Made>,
}

/// Why no handshake was completed.
#[derive(Debug, Error)]
pub enum DialError {
    /// What was to be shown or trusted cannot be read.
    #[error("failed to use the certificates")]
    Certificates(#[source] rustls::Error),
    /// The same, before it came to TLS.
    #[error("failed to read the certificates")]
    Read(#[source] rustls::pki_types::pem::Error),
    /// The name is none.
    #[error("{0:?} is no name of a server")]
    Name(String),
    /// The connection or the handshake failed.
    #[error("failed to connect")]
    Connect(#[source] std::io::Error),
    /// The request was not answered.
    #[error("failed to ask")]
    Ask(#[source] GetError),
    /// It was answered otherwise.
    #[error("answered {0}")]
    Answer(StatusCode),
    /// It took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// The serial number of the certificate that the member showed, in hexadecimal, once it has answered.
pub async fn dial(dial: &Dial<'_>, limit: Duration) -> Result<String, DialError> {
    tokio::time::timeout(limit, without_limit(dial)).await.unwrap_or(Err(DialError::TimedOut(limit)))
}

async fn without_limit(dial: &Dial<'_>) -> Result<String, DialError> {
    let name = ServerName::try_from(dial.server_name.to_owned())
        .map_err(|_| DialError::Name(dial.server_name.to_owned()))?;
    let connector = TlsConnector::from(Arc::new(configuration(dial)?));
    let Endpoint { scheme: _, address, port } = dial.endpoint;
    let stream = TcpStream::connect((address.as_str(), *port)).await.map_err(DialError::Connect)?;
    let stream = connector.connect(name, stream).await.map_err(DialError::Connect)?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let serial = shown.and_then(|shown| serial(&shown)).unwrap_or_default();
    // Both ports of etcd say which version they are of, whatever state the cluster is in.
    let (status, _) = exchange(stream, &dial.endpoint.authority(), "/version", bytes::Bytes::new())
        .await
        .map_err(DialError::Ask)?;
    if status == StatusCode::OK { Ok(serial) } else { Err(DialError::Answer(status)) }
}

fn configuration(dial: &Dial<'_>) -> Result<ClientConfig, DialError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(dial.authorities.as_bytes()) {
        roots.add(certificate.map_err(DialError::Read)?).map_err(DialError::Certificates)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(DialError::Certificates)?
        .with_root_certificates(roots);
    match dial.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
            let chain = chain.collect::<Result<Vec<_>, _>>().map_err(DialError::Read)?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.0.as_bytes()).map_err(DialError::Read)?;
            builder.with_client_auth_cert(chain, key).map_err(DialError::Certificates)
        }
    }
}

fn serial(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(hexadecimal(certificate.raw_serial()))
}
