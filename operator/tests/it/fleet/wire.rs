//! Modelled members on real sockets: gRPC where etcd has it, health and the gate's report where metrics are. One listener serves all
//! addresses of loopback, and who is asked follows from the address that was called. It holds no state of its own.

use super::etcd::Etcds;
use bytes::{BufMut as _, Bytes, BytesMut};
use etcd_operator_core::names::{CLIENT_PORT, METRICS_PORT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves all members until dropped.
pub(crate) async fn serve(etcds: Etcds) {
    let clients = TcpListener::bind((Ipv4Addr::UNSPECIFIED, CLIENT_PORT)).await.unwrap();
    let metrics = TcpListener::bind((Ipv4Addr::UNSPECIFIED, METRICS_PORT)).await.unwrap();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = tokio::select! {
            biased;
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = clients.accept() => accepted.unwrap(),
            accepted = metrics.accept() => accepted.unwrap(),
        };
        etcds.count(|asked| asked.connections += 1);
        connections.spawn(serve_one(etcds.clone(), stream));
    }
}

async fn serve_one(etcds: Etcds, stream: TcpStream) {
    let Ok(IpAddr::V4(address)) = stream.local_addr().map(|local| local.ip()) else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let etcds = etcds.clone();
        async move { Ok::<_, Infallible>(answer(&etcds, address, request).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    // A client that goes away is no failure.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(etcds: &Etcds, address: Ipv4Addr, request: Request<Incoming>) -> Answer {
    if etcds.stands_still(address) {
        std::future::pending::<()>().await;
    }
    match request.uri().path() {
        "/health" => {
            etcds.count(|asked| asked.health_questions += 1);
            match etcds.is_well(address) {
                Some(true) => plain(StatusCode::OK, r#"{"health":"true","reason":""}"#.to_owned()),
                Some(false) => plain(StatusCode::SERVICE_UNAVAILABLE, r#"{"health":"false"}"#.to_owned()),
                None => plain(StatusCode::NOT_FOUND, String::new()),
            }
        }
        "/gate" => match etcds.gate(address) {
            Some(report) => plain(StatusCode::OK, serde_json::to_string(&report).unwrap()),
            None => plain(StatusCode::NOT_FOUND, String::new()),
        },
        method => {
            etcds.count(|asked| asked.calls += 1);
            grpc(etcds.call(address, method))
        }
    }
}

fn plain(status: StatusCode, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed());
    *response.status_mut() = status;
    response
}

/// One message and the trailers that say how the call went
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
fn grpc(answered: Option<Result<Vec<u8>, &'static str>>) -> Answer {
    let (message, code, words) = match answered {
        Some(Ok(message)) => (Some(message), "0", ""),
        Some(Err(words)) => (None, "14", words),
        None => (None, "12", "not here"),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers.insert("grpc-message", HeaderValue::from_static(words));
    let frames = message.map(|message| Frame::data(framed(&message))).into_iter();
    let frames = frames.chain([Frame::trailers(trailers)]).map(Ok::<_, Infallible>);
    let body = StreamBody::new(futures::stream::iter(frames.collect::<Vec<_>>()));
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}
