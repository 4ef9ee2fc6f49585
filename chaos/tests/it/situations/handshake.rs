//! What a member's port says to whoever knocks: in plain text, by TLS, with a certificate or without. Through the API server, so that no test
//! needs a route to a pod.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, Portforwarder};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A port that says nothing for so long says nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// What came of a handshake.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The serial number of the certificate that the member showed.
    pub(super) serial: String,
    /// What it answered to a request, if it did.
    pub(super) answer: Option<String>,
}

/// An entry of a Secret.
pub(super) async fn entry(secrets: &Api<Secret>, name: &str, entry: &str) -> Result<Vec<u8>> {
    let secret = secrets.get(name).await.with_context(|| format!("Secret {name}"))?;
    let data = secret.data.and_then(|mut data| data.remove(entry));
    Ok(data.with_context(|| format!("Secret {name} has no {entry}"))?.0)
}

/// What a port answers to a request in plain text; nothing if it hangs up, or does not listen.
pub(super) async fn plain(pods: &Api<Pod>, pod: &str, port: u16) -> Option<String> {
    let mut forwarder = pods.portforward(pod, &[port]).await.ok()?;
    let answer = ask(forwarder.take_stream(port)?).await;
    end(forwarder);
    answer
}

/// The handshake with a port, by the authorities in one entry and, if any is named, with the certificate of a Secret for clients.
pub(super) async fn by_tls(
    (pods, secrets): (&Api<Pod>, &Api<Secret>),
    (pod, port): (&str, u16),
    name: &str,
    authorities: (&str, &str),
    client: Option<&str>,
) -> Result<Shown> {
    let mut roots = RootCertStore::empty();
    let trusted = entry(secrets, authorities.0, authorities.1).await?;
    for certificate in CertificateDer::pem_slice_iter(&trusted) {
        roots.add(certificate?)?;
    }
    let configuration = ClientConfig::builder().with_root_certificates(roots);
    let configuration = match client {
        None => configuration.with_no_client_auth(),
        Some(secret) => {
            let chain = entry(secrets, secret, "tls.crt").await?;
            let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>()?;
            let key = PrivateKeyDer::from_pem_slice(&entry(secrets, secret, "tls.key").await?)?;
            configuration.with_client_auth_cert(chain, key)?
        }
    };
    let mut forwarder = pods.portforward(pod, &[port]).await?;
    let stream = forwarder.take_stream(port).context("no stream")?;
    let name = ServerName::try_from(name.to_owned())?;
    let stream = TlsConnector::from(Arc::new(configuration)).connect(name, stream);
    let stream = tokio::time::timeout(SILENCE, stream).await.context("no handshake in time")??;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
    let shown = shown.context("no certificate")?;
    let (_, certificate) = X509Certificate::from_der(&shown).context("no certificate")?;
    let serial = certificate.raw_serial_as_string();
    let answer = ask(stream).await;
    end(forwarder);
    Ok(Shown { serial, answer })
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<String> {
    let request = b"GET /version HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n";
    let mut said = Vec::new();
    let exchange = async {
        stream.write_all(request).await.ok()?;
        // Whoever hangs up may have said something before.
        let _ended = stream.read_to_end(&mut said).await;
        Some(())
    };
    let _in_time = tokio::time::timeout(SILENCE, exchange).await;
    (!said.is_empty()).then(|| String::from_utf8_lossy(&said).into_owned())
}

fn end(forwarder: Portforwarder) {
    forwarder.abort();
}
