//! Small HTTP: one way to listen, one to answer GET requests and one to make them. It knows nothing of what is asked.

use bytes::Bytes;
use etcd_operator_core::gate::ListenFamily;
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Pause after a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted; what tokio takes for its own listeners.
const BACKLOG: u32 = 1024;

/// Listens on every address of this machine, IPv6 and IPv4, or on those of IPv4 where there is no IPv6.
pub fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    unless_without(listen_on(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))), || {
        listen_on(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    })
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        let socket = TcpSocket::new_v6()?;
        // Said, because the default is a setting of the machine (net.ipv6.bindv6only).
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
        socket
    } else {
        TcpSocket::new_v4()?
    };
    // As for every server: the connections of the one before must not keep this one from its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What etcd can be told to listen on here: the families whose loopback address is there. That a socket can be bound to all
/// addresses proves nothing, since it can be where IPv6 is switched off for every interface.
pub fn listen_family() -> io::Result<ListenFamily> {
    match (has_address(Ipv6Addr::LOCALHOST.into())?, has_address(Ipv4Addr::LOCALHOST.into())?) {
        (true, true) => Ok(ListenFamily::DualStack),
        (true, false) => Ok(ListenFamily::Ipv6(ipv6_addresses()?)),
        (false, _) => Ok(ListenFamily::Ipv4),
    }
}

fn has_address(address: IpAddr) -> io::Result<bool> {
    unless_without(UdpSocket::bind((address, 0)).map(|_| true), || Ok(false))
}

/// Addresses of this machine on which others can reach it without naming an interface.
fn ipv6_addresses() -> io::Result<Vec<Ipv6Addr>> {
    let addresses: BTreeSet<_> = getifaddrs()?
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in6()?.ip()))
        .filter(|address| !address.is_unicast_link_local())
        .collect();
    Ok(addresses.into_iter().collect())
}

/// The other way, if what was tried says that there is no such address: the kernel does not know its family, or no
/// interface has it.
fn unless_without<T>(tried: io::Result<T>, other: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match &tried {
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => other(),
            Some(_) | None => tried,
        },
        Ok(_) => tried,
    }
}

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    content_type: &'static str,
    body: String,
}

impl Reply {
    /// An answer of any content type.
    pub fn new(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body }
    }

    /// A line of plain text.
    pub fn text(status: StatusCode, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.to_owned())
    }
}

/// Serves until dropped; its connections end with it. A connection that could not be accepted is its client's loss.
pub async fn serve(listener: TcpListener, answer: impl Fn(&str) -> Reply + Clone + Send + Sync + 'static) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, answer.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    // Out of file descriptors, most likely: the next attempt would fail at once too.
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// Answers the requests of one connection until it closes. A broken connection is the peer's business.
async fn serve_connection(stream: TcpStream, answer: impl Fn(&str) -> Reply + Send + Sync) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let reply = match *request.method() {
            Method::GET | Method::HEAD => answer(request.uri().path()),
            _ => Reply::text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n"),
        };
        let response = Response::builder()
            .status(reply.status)
            .header(header::CONTENT_TYPE, reply.content_type)
            .body(Full::new(Bytes::from(reply.body)))
            .expect("a status and a static content type make a response");
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

/// Why a GET brought nothing.
#[derive(Debug, Error)]
pub enum GetError {
    /// Nobody answered in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection was refused or broke.
    #[error("failed to connect")]
    Connect(#[source] std::io::Error),
    /// The other side does not speak HTTP, or hung up.
    #[error("failed to speak HTTP")]
    Protocol(#[source] hyper::Error),
    /// The body was cut or longer than any of ours.
    #[error("failed to read the body")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address is not one.
    #[error("address {0:?} has no host")]
    Address(String),
}

/// Longest body that is read: far above any answer of a gate.
const LONGEST_BODY: usize = 1 << 20;

/// One GET on a connection of its own, so that nothing is reused from an earlier incarnation of the address.
pub async fn get(address: &Uri, timeout: Duration) -> Result<(StatusCode, Bytes), GetError> {
    get_with(address, Bytes::new(), timeout).await
}

/// The same with a body, as etcd's peers ask each other.
pub async fn get_with(
    address: &Uri,
    body: Bytes,
    timeout: Duration,
) -> Result<(StatusCode, Bytes), GetError> {
    tokio::time::timeout(timeout, get_without_limit(address, body))
        .await
        .unwrap_or(Err(GetError::TimedOut(timeout)))
}

async fn get_without_limit(address: &Uri, body: Bytes) -> Result<(StatusCode, Bytes), GetError> {
    let authority = address.authority().ok_or_else(|| GetError::Address(address.to_string()))?;
    let stream = TcpStream::connect((host(authority), authority.port_u16().unwrap_or(80)))
        .await
        .map_err(GetError::Connect)?;
    exchange(stream, authority.as_str(), address.path(), body).await
}

/// One GET on a connection that is there. The path must be one.
pub async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    host: &str,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), GetError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(GetError::Protocol)?;
    let request = Request::get(path)
        .header(header::HOST, host)
        .body(Full::new(body))
        .expect("a parsed address makes a request");
    let exchange = async {
        let response = sender.send_request(request).await.map_err(GetError::Protocol)?;
        let status = response.status();
        let body =
            Limited::new(response.into_body(), LONGEST_BODY).collect().await.map_err(GetError::Body)?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = connection => {
            ended.map_err(GetError::Protocol)?;
            exchange.await
        }
    }
}

/// The host to connect to: an IPv6 address without the brackets that it has in a URL.
fn host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_connected_to_without_the_brackets_of_its_url() {
        let host_of = |address: &str| host(address.parse::<Uri>().unwrap().authority().unwrap()).to_owned();
        assert_eq!(host_of("http://[fd00::1]:2381/gate"), "fd00::1");
        assert_eq!(host_of("http://[::1]/gate"), "::1");
        assert_eq!(host_of("http://10.0.0.1:2381/gate"), "10.0.0.1");
        assert_eq!(host_of("http://c-abcde-0.c-peers.ns.svc:2381/gate"), "c-abcde-0.c-peers.ns.svc");
    }

    #[tokio::test]
    async fn who_listens_everywhere_answers_on_loopback() {
        let listener = listen_everywhere(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, |path: &str| Reply::text(StatusCode::OK, path)));
        for host in ["127.0.0.1", "localhost"] {
            let address = format!("http://{host}:{port}/path").parse().unwrap();
            let (status, body) = get(&address, Duration::from_secs(5)).await.unwrap();
            assert_eq!((status, body.as_ref()), (StatusCode::OK, b"/path".as_slice()), "{host}");
        }
    }

    #[test]
    fn a_kernel_without_ipv6_is_listened_to_by_ipv4_and_any_other_failure_is_one() {
        let other = || Ok("IPv4");
        for errno in [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL] {
            assert_eq!(unless_without(Err(errno.into()), other).unwrap(), "IPv4", "{errno}");
        }
        let taken = unless_without(Err(Errno::EADDRINUSE.into()), other).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(unless_without(Ok("IPv6"), other).unwrap(), "IPv6");
    }
}
