//! The way from the host to the API server: connections to the inherited listener are carried on, byte for byte, to the
//! address inside the cluster. TLS is between the client and the API server; nothing is looked at here.

use std::net::{SocketAddrV4, TcpListener};

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Carries connections until the future is dropped, which closes them all.
pub(super) async fn run(listener: TcpListener, to: SocketAddrV4) -> Result<()> {
    listener.set_nonblocking(true).context("preparing the listener on the host")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("using the listener on the host")?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(carry(stream, to))),
                // Out of descriptors, or a client that left before it was accepted: others may still come.
                Err(error) => tracing::warn!(%error, "accepting a connection"),
            },
        }
    }
}

async fn carry(mut from: TcpStream, to: SocketAddrV4) {
    let carried = async {
        let mut to = TcpStream::connect(to).await?;
        from.set_nodelay(true)?;
        to.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut from, &mut to).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "carrying a connection");
    }
}
