//! Service addresses: accepts on each and carries the bytes to a ready endpoint in turn. It works on connections, not on
//! packets, so an endpoint sees the node's address as the source; a connection whose endpoint can't be reached is reset.
//! It never decides which endpoints are ready.

use super::services::Tables;
use crate::connections;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// A dial within one machine either works at once or is being swallowed; after this long the client is told.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// An accepted connection and the service address on which it came.
type Accepted = (SocketAddrV4, TcpStream);

/// Serves what the tables say until dropped. Connections outlive a change of the tables, as with kube-proxy.
pub(crate) async fn run(mut tables: watch::Receiver<Arc<Tables>>) {
    let (sender, mut accepted) = mpsc::channel::<Accepted>(64);
    let mut listeners = BTreeMap::new();
    let mut connections = JoinSet::new();
    let mut turn = 0_usize;
    loop {
        tokio::select! {
            biased;
            changed = tables.changed() => {
                if changed.is_err() {
                    return;
                }
                let tables = tables.borrow_and_update().clone();
                listen_where_needed(&mut listeners, &tables, &sender).await;
            }
            Some((address, stream)) = accepted.recv() => {
                let endpoint = in_turn(&tables.borrow().forwards, address, &mut turn);
                connections.spawn(carry(stream, endpoint));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// The next endpoint of a service address: each in turn over all connections. Nothing when the last one has just gone.
fn in_turn(
    forwards: &BTreeMap<SocketAddrV4, Vec<SocketAddrV4>>,
    address: SocketAddrV4,
    turn: &mut usize,
) -> Option<SocketAddrV4> {
    let endpoints = forwards.get(&address)?;
    *turn = turn.wrapping_add(1);
    endpoints.get(*turn % endpoints.len()).copied()
}

async fn listen_where_needed(
    listeners: &mut BTreeMap<SocketAddrV4, AbortOnDropHandle<()>>,
    tables: &Tables,
    accepted: &mpsc::Sender<Accepted>,
) {
    listeners.retain(|address, task| tables.forwards.contains_key(address) && !task.is_finished());
    for address in tables.forwards.keys() {
        if listeners.contains_key(address) {
            continue;
        }
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let task = tokio::spawn(accept(listener, *address, accepted.clone()));
                listeners.insert(*address, AbortOnDropHandle::new(task));
            }
            Err(error) => tracing::warn!(%address, %error, "failed to listen on a Service's address"),
        }
    }
}

/// Hands connections on until nobody takes them.
async fn accept(listener: TcpListener, address: SocketAddrV4, accepted: mpsc::Sender<Accepted>) {
    while accepted.send((address, connections::accept(&listener).await)).await.is_ok() {}
}

/// Carries one connection to its end.
async fn carry(mut client: TcpStream, endpoint: Option<SocketAddrV4>) {
    if relay(&mut client, endpoint).await.is_err() {
        // The client must see a reset and not an orderly end, as it would without a proxy between.
        let _ = client.set_zero_linger();
    }
}

async fn relay(client: &mut TcpStream, endpoint: Option<SocketAddrV4>) -> io::Result<()> {
    let endpoint = endpoint.ok_or(io::ErrorKind::ConnectionRefused)?;
    let mut server = tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(endpoint)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let result = tokio::io::copy_bidirectional(client, &mut server).await;
    if result.is_err() {
        let _ = server.set_zero_linger();
    }
    result.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn loopback(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port)
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind(loopback(0)).unwrap().local_addr().unwrap().port()
    }

    async fn connect(address: SocketAddrV4) -> TcpStream {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test]
    async fn bytes_reach_the_endpoint_and_its_reset_reaches_the_client() {
        let endpoint = TcpListener::bind(loopback(0)).await.unwrap();
        let service = loopback(free_port());
        let std::net::SocketAddr::V4(behind) = endpoint.local_addr().unwrap() else {
            panic!("bound to IPv4")
        };
        let forwards = BTreeMap::from([(service, vec![behind])]);
        let (sender, receiver) = watch::channel(Arc::new(Tables::default()));
        let _proxy = AbortOnDropHandle::new(tokio::spawn(run(receiver)));
        sender.send(Arc::new(Tables { forwards, ..Tables::default() })).unwrap();

        let mut client = connect(service).await;
        let (mut server, _) = endpoint.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let mut received = [0; 4];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");

        server.set_zero_linger().unwrap();
        drop(server);
        assert_eq!(client.read(&mut received).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_service_that_loses_its_endpoints_refuses_connections() {
        let service = loopback(free_port());
        let forwards = BTreeMap::from([(service, vec![loopback(free_port())])]);
        let (sender, receiver) = watch::channel(Arc::new(Tables::default()));
        let _proxy = AbortOnDropHandle::new(tokio::spawn(run(receiver)));
        sender.send(Arc::new(Tables { forwards, ..Tables::default() })).unwrap();
        connect(service).await;
        sender.send(Arc::new(Tables::default())).unwrap();
        while TcpStream::connect(service).await.is_ok() {}
    }
}
