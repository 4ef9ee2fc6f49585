//! The way from the host to the API server: connections to the inherited listener are carried on, byte for byte, to the
//! address inside the cluster. TLS is between the client and the API server; nothing is looked at here.

use std::net::{SocketAddrV4, TcpListener};

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;

/// Carries connections until the future is dropped, which closes them all.
pub(super) async fn run(listener: TcpListener, to: SocketAddrV4) -> Result<()> {
    listener.set_nonblocking(true).context("failed to prepare the listener on the host")?;
    let listener =
        tokio::net::TcpListener::from_std(listener).context("failed to use the listener on the host")?;
    sandbox::connections::serve_each(listener, |stream| carry(stream, to)).await;
    Ok(())
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
