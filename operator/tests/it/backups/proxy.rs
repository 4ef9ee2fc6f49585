//! A proxy between a program and a store, which does to each request what a test says. It changes nothing that it forwards.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// The store answers.
    Forward,
    /// An error is answered: status, code and message.
    Answer(u16, &'static str, &'static str),
    /// The connection ends without an answer.
    Cut,
    /// Nothing is ever answered.
    Stall,
}

/// A request, as far as tests tell one from another.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The first one is 1.
    pub(crate) number: usize,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
}

type Decide = dyn Fn(&Request) -> Behaviour + Send + Sync;

/// It serves until dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    changed: watch::Receiver<usize>,
    _serving: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn before(
        store: SocketAddr,
        decide: impl Fn(&Request) -> Behaviour + Send + Sync + 'static,
    ) -> Proxy {
        while TcpStream::connect(store).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, decide): (Arc<Mutex<Vec<Request>>>, Arc<Decide>) = (Arc::default(), Arc::new(decide));
        let (tell, changed) = watch::channel(0);
        let mut serving = JoinSet::new();
        let known = seen.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (known, decide, tell) = (known.clone(), decide.clone(), tell.clone());
                connections.spawn(async move {
                    let answer = |request| answer(request, store, &known, &*decide, &tell);
                    let service = hyper::service::service_fn(answer);
                    // A connection that is cut on purpose ends with an error.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Proxy { address, seen, changed, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self, is_it: impl Fn(&Request) -> bool) -> bool {
        self.seen.lock().unwrap().iter().any(is_it)
    }

    pub(crate) async fn wait_for(&self, is_it: impl Fn(&Request) -> bool) {
        let mut changed = self.changed.clone();
        let seen = changed.wait_for(|_| self.seen(&is_it));
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("it is asked").unwrap();
    }
}

async fn answer(
    request: http::Request<Incoming>,
    store: SocketAddr,
    seen: &Mutex<Vec<Request>>,
    decide: &Decide,
    tell: &watch::Sender<usize>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let noted = {
        let mut seen = seen.lock().unwrap();
        let noted = Request {
            number: seen.len() + 1,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: format!("{}&", head.uri.query().unwrap_or_default()),
        };
        seen.push(noted.clone());
        noted
    };
    tell.send_replace(noted.number);
    match decide(&noted) {
        Behaviour::Forward => {
            let stream = TcpStream::connect(store).await?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let mut running = JoinSet::new();
            running.spawn(async move { drop(connection.await) });
            let (head, body) =
                sender.send_request(http::Request::from_parts(head, Full::new(body))).await?.into_parts();
            Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
        }
        Behaviour::Answer(status, code, message) => {
            let text = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = StatusCode::from_u16(status)?;
            Ok(response)
        }
        Behaviour::Cut => Err("cut on purpose".into()),
        Behaviour::Stall => std::future::pending().await,
    }
}
