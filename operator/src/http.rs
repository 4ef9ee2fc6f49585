//! Small HTTP: one way to answer GET requests and one way to make them. It knows nothing of what is asked.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Pause after a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

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
                    tracing::warn!(%error, "accept a connection");
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
    #[error("connect")]
    Connect(#[source] std::io::Error),
    /// The other side does not speak HTTP, or hung up.
    #[error("speak HTTP")]
    Protocol(#[source] hyper::Error),
    /// The body was cut or longer than any of ours.
    #[error("read the body")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address is not one.
    #[error("address {0:?} has no host")]
    Address(String),
}

/// Longest body that is read: far above any answer of a gate.
const LONGEST_BODY: usize = 1 << 20;

/// One GET on a connection of its own, so that nothing is reused from an earlier incarnation of the address.
pub async fn get(address: &Uri, timeout: Duration) -> Result<(StatusCode, Bytes), GetError> {
    tokio::time::timeout(timeout, get_without_limit(address))
        .await
        .unwrap_or(Err(GetError::TimedOut(timeout)))
}

async fn get_without_limit(address: &Uri) -> Result<(StatusCode, Bytes), GetError> {
    let authority = address.authority().ok_or_else(|| GetError::Address(address.to_string()))?;
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80)))
        .await
        .map_err(GetError::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(GetError::Protocol)?;
    let request = Request::get(address.path())
        .header(header::HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
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
