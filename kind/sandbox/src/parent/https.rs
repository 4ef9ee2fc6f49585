//! Serves the API server over TLS, on the host's loopback and inside the sandbox. Knows nothing of Kubernetes.

use super::certificate::Certificates;
use crate::apiserver::ApiServer;
use anyhow::{Context as _, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A client that does not finish its handshake is let go.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Prepares TLS with HTTP/2 and HTTP/1.1.
pub(super) fn acceptor(certificates: &Certificates) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .with_no_client_auth()
        .with_single_cert(vec![certificates.server.clone()], certificates.key.clone_key())
        .context("using the API server's certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts connections until dropped, which closes them all.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, server: ApiServer) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, acceptor.clone(), server.clone()))),
                // The client has gone already, or descriptors are scarce for a moment.
                Err(error) if is_passing(&error) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => return Err(error),
            },
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, server: ApiServer) {
    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream));
    let Ok(Ok(stream)) = handshake.await else { return };
    let service = TowerToHyperService::new(server);
    let builder = Builder::new(TokioExecutor::new());
    // A client that breaks its connection is its own affair.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
        || matches!(error.raw_os_error(), Some(nix::libc::EMFILE | nix::libc::ENFILE | nix::libc::ENOMEM))
}
