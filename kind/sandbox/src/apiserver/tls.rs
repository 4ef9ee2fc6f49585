//! The API server over HTTPS: a certificate authority of its own, an accept loop, and the kubeconfig for it.
//!
//! The loop owns every connection; dropping its future closes them all.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::ApiServer;
use super::serve::Trust;
use crate::{certificates, connections};

/// Why the server could not be offered over HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Making a key or a certificate failed.
    #[error("failed to make the API server's certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refused the certificate.
    #[error("failed to set up TLS for the API server")]
    Tls(#[from] rustls::Error),
    /// The listener could not be used.
    #[error("failed to use the API server's listener")]
    Listener(#[from] std::io::Error),
}

/// The server's certificate and the authority that signed it.
#[derive(Debug)]
pub struct ServerCertificate {
    authority: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ServerCertificate {
    /// Makes an authority and a certificate for loopback, the Service `kubernetes` and the given addresses.
    ///
    /// # Errors
    /// When key generation fails.
    pub fn generate(addresses: &[IpAddr]) -> Result<Self, TlsError> {
        let authority = certificates::authority("sandbox-ca")?;
        let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))];
        let addresses = [own.as_slice(), addresses].concat();
        let names = &certificates::API_SERVER_NAMES;
        let (certificate, key) = certificates::sign_server(&authority, "kube-apiserver", &addresses, names)?;
        Ok(Self {
            authority: authority.pem(),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        })
    }

    /// The same certificate, to serve a second listener.
    pub fn again(&self) -> Self {
        Self { authority: self.authority.clone(), chain: self.chain.clone(), key: self.key.clone_key() }
    }

    /// The authority's certificate in PEM: for kubeconfigs and `kube-root-ca.crt`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl ApiServer {
    /// The same server for callers behind a socket: they must show a bearer token.
    pub fn over_network(&self) -> Self {
        Self { trust: Trust::Network, ..self.clone() }
    }

    /// Serves HTTPS on a bound listener until the future is dropped. Callers must show a bearer token.
    ///
    /// # Errors
    /// When TLS can't be set up or the listener breaks; a single connection's failure is only logged.
    pub async fn serve(self, listener: TcpListener, certificate: ServerCertificate) -> Result<(), TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut configuration = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificate.chain, certificate.key)?;
        configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(configuration));
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let service = self.over_network();
        let serve = |stream| connection(acceptor.clone(), stream, service.clone());
        connections::serve_each(listener, serve).await;
        Ok(())
    }
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, service: ApiServer) {
    // Small answers must not wait for each other.
    let _best_effort = stream.set_nodelay(true);
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "TLS handshake"),
    };
    let builder = auto::Builder::new(TokioExecutor::new());
    let (sessions, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let service = TowerToHyperService::new(ApiServer { sessions: Some(sessions), ..service });
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "serving a connection");
    }
    // A connection that became a stream lives on here, so that it ends with the server.
    while let Ok(session) = begun.try_recv() {
        session.await;
    }
}

/// A kubeconfig whose one context is the administrator of this server.
pub fn kubeconfig(name: &str, server: &str, authority: &str, token: &str) -> String {
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {authority}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    \
         user: {name}-admin\n    namespace: default\nusers:\n- name: {name}-admin\n  user:\n    token: {token}\n"
    )
}
