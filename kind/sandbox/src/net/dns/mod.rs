//! The name server of pods, over UDP and TCP: receives questions, sends answers. It asks nobody else.

mod answer;

use super::services::Tables;
use crate::connections;
use answer::{Transport, answer};
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// A bound name server, not yet answering.
pub(crate) struct NameServer {
    socket: UdpSocket,
    listener: TcpListener,
}

impl NameServer {
    /// Binds the address.
    pub(crate) async fn bind(address: SocketAddrV4) -> io::Result<NameServer> {
        Ok(NameServer {
            socket: UdpSocket::bind(address).await?,
            listener: TcpListener::bind(address).await?,
        })
    }

    /// Answers until dropped.
    pub(crate) async fn run(self, tables: watch::Receiver<Arc<Tables>>) -> io::Result<()> {
        let connected = connections::serve_each(self.listener, |stream| connection(stream, tables.clone()));
        tokio::select! {
            biased;
            result = datagrams(&self.socket, &tables) => result,
            () = connected => Ok(()),
        }
    }
}

/// An answer that can't be sent is the asker's loss; it will ask again.
async fn datagrams(socket: &UdpSocket, tables: &watch::Receiver<Arc<Tables>>) -> io::Result<()> {
    // The largest question over UDP without extensions is 512 bytes; with them askers still stay far below this.
    let mut buffer = [0; 4096];
    loop {
        let (length, asker) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An earlier answer that came back as "port unreachable" shows up here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        let tables = tables.borrow().clone();
        if let Some(reply) = answer(&buffer[..length], &tables.names, Transport::Datagram) {
            let _ = socket.send_to(&reply, asker).await;
        }
    }
}

async fn connection(stream: TcpStream, tables: watch::Receiver<Arc<Tables>>) {
    if let Err(error) = converse(stream, &tables).await {
        tracing::debug!(%error, "a connection to the name server ended");
    }
}

/// One question after the other, each with its length before it (RFC 1035, section 4.2.2), until the asker has no more.
async fn converse(mut stream: TcpStream, tables: &watch::Receiver<Arc<Tables>>) -> io::Result<()> {
    loop {
        let length = tokio::time::timeout(SILENCE, stream.read_u16()).await??;
        let mut question = vec![0; usize::from(length)];
        tokio::time::timeout(SILENCE, stream.read_exact(&mut question)).await??;
        let tables = tables.borrow().clone();
        let reply = answer(&question, &tables.names, Transport::Connection);
        let reply = reply.ok_or(io::ErrorKind::InvalidData)?;
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        stream.write_all(&[length.to_be_bytes().as_slice(), &reply].concat()).await?;
    }
}
