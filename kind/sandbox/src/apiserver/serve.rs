//! The tower service: reads a request, asks [`super::answer`] under the one lock, sends the answer.
//!
//! Decides nothing about objects. Streams are pulled by their client; nothing is spawned.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Answer, answer};
use super::auth::User;
use super::cluster::{Cluster, Inputs};
use super::error::ApiError;
use super::inputs::{Clock, Identifiers, NodeAccess};
use super::render::Form;
use super::request::{ApiRequest, Query, route};
use super::stale::StaleWatches;
use super::stream::{Sessions, Upgrade};
use super::tally::Tally;
use super::watch::{WatchEvent, WatchPlan};
use super::{auth, forward, render, stream};

/// Larger bodies are refused, as by a real server.
const MAXIMUM_BODY_BYTES: usize = 3 * 1024 * 1024;
/// How often an idle watch tells its client the revision.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// How long before its end a watch does so once more.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// The body of every response.
pub type ResponseBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// The lock and what is beside it.
pub(super) struct Shared {
    pub(super) guarded: Mutex<Guarded>,
    pub(super) revision: watch::Sender<u64>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) node: Mutex<Option<Arc<dyn NodeAccess>>>,
    pub(super) tally: Tally,
    pub(super) stale: Mutex<Stale>,
}

/// How stale watches are, and how many changes they have told.
#[derive(Debug, Default)]
pub(super) struct Stale {
    pub(super) watches: StaleWatches,
    told: u64,
}

pub(super) struct Guarded {
    pub(super) cluster: Cluster,
    pub(super) identifiers: Box<dyn Identifiers>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().expect("no request panics while it holds the cluster")
    }

    /// Runs something on the cluster and wakes the watches if it wrote.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Cluster, &mut Inputs<'_>) -> T) -> T {
        let mut guarded = self.lock();
        let guarded = &mut *guarded;
        let mut inputs =
            Inputs { now: self.clock.now(), identifiers: guarded.identifiers.as_mut(), warnings: Vec::new() };
        let result = act(&mut guarded.cluster, &mut inputs);
        let revision = guarded.cluster.store.revision();
        self.revision.send_if_modified(|known| std::mem::replace(known, revision) != revision);
        result
    }

    /// What of these changes a watch tells, and how late.
    fn distort(&self, events: Vec<WatchEvent>) -> (Vec<WatchEvent>, Duration) {
        let mut stale = self.stale.lock().expect("nothing panics while it holds this");
        let watches = stale.watches;
        (watches.distort(events, &mut stale.told), watches.lag)
    }

    pub(super) fn node(&self) -> Option<Arc<dyn NodeAccess>> {
        self.node.lock().expect("nothing panics while it holds the node").clone()
    }
}

/// How callers are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// In-process callers are administrators unless they show a token.
    InProcess,
    /// Callers over a socket show a token, or are anonymous.
    Network,
}

impl<B> tower::Service<Request<B>> for super::ApiServer
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (shared, trust, sessions) = (self.shared.clone(), self.trust, self.sessions.clone());
        Box::pin(async move { Ok(respond(shared, trust, sessions, request).await) })
    }
}

async fn respond<B>(
    shared: Arc<Shared>,
    trust: Trust,
    sessions: Option<Sessions>,
    request: Request<B>,
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let (mut parts, body) = request.into_parts();
    let upgrade = Upgrade { connection: parts.extensions.remove(), sessions };
    let body = match Limited::new(body, MAXIMUM_BODY_BYTES).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return failure(&ApiError::bad_request(format!("reading the body: {error}"))),
    };
    let request = match read(&shared, trust, &parts, body) {
        Ok(request) => request,
        Err(error) => return failure(&error),
    };
    let (answered, warnings) = shared.with(|cluster, inputs| {
        let answered = answer(cluster, inputs, &request);
        (answered, std::mem::take(&mut inputs.warnings))
    });
    match trust {
        Trust::Network => shared.tally.count(&request.method, &answered),
        Trust::InProcess => {}
    }
    let answered = answered.and_then(|answer| Form::check(&request).map(|()| answer));
    let mut response = match answered {
        Err(error) => failure(&error),
        Ok(Answer::Watch(plan)) => watch_response(&shared, *plan),
        Ok(Answer::Log(wanted)) => {
            forward::log(shared.node(), wanted).await.unwrap_or_else(|error| failure(&error))
        }
        Ok(Answer::Proxy(plan)) => {
            forward::proxy(shared.node(), *plan, &request).await.unwrap_or_else(|error| failure(&error))
        }
        Ok(Answer::Stream(plan)) => stream::open(shared.node(), *plan, &parts.headers, upgrade)
            .unwrap_or_else(|error| failure(&error)),
        Ok(Answer::Text(text)) => plain(text),
        Ok(Answer::Document(document)) => typed_response(&document),
        Ok(Answer::Object(code, target, object)) => json_response(
            code,
            &render::object(target.as_ref(), &object, Form::of(&request), shared.clock.now()),
        ),
        Ok(Answer::List(target, page)) => {
            json_response(200, &render::list(&target, &page, Form::of(&request), shared.clock.now()))
        }
    };
    warn(&mut response, &warnings);
    response
}

/// Warnings as RFC 7234 has them, one header each.
fn warn(response: &mut Response<ResponseBody>, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

fn read(
    shared: &Shared,
    trust: Trust,
    parts: &http::request::Parts,
    body: Bytes,
) -> Result<ApiRequest, ApiError> {
    let header =
        |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    Ok(ApiRequest {
        method: parts.method.clone(),
        route: route(parts.uri.path()),
        query: Query::parse(&raw_query),
        raw_query,
        accept: header(header::ACCEPT),
        content_type: header(header::CONTENT_TYPE),
        user_agent: header(header::USER_AGENT),
        user: authenticate(shared, trust, &parts.headers)?,
        body,
    })
}

fn authenticate(shared: &Shared, trust: Trust, headers: &HeaderMap) -> Result<User, ApiError> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match (header.and_then(|value| value.strip_prefix("Bearer ")), trust) {
        (Some(token), _) => {
            let now = shared.clock.now();
            auth::authenticate(&shared.lock().cluster, token.trim(), now).ok_or_else(ApiError::unauthorized)
        }
        (None, Trust::InProcess) => Ok(User::administrator()),
        (None, Trust::Network) => Ok(User::anonymous()),
    }
}

pub(super) fn json_response(code: u16, value: &Value) -> Response<ResponseBody> {
    let bytes = Bytes::from(format!("{value}\n"));
    let body = Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).expect("codes of the API are HTTP codes");
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// A document. Clients tell the two forms of discovery apart by the content type alone.
fn typed_response(document: &Value) -> Response<ResponseBody> {
    let mut response = json_response(200, document);
    if document["kind"] == "APIGroupDiscoveryList" {
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(aggregated));
    }
    response
}

pub(super) fn failure(error: &ApiError) -> Response<ResponseBody> {
    if error.reason == ApiError::PLAIN_TEXT {
        let mut response = plain(error.message.clone());
        *response.status_mut() = StatusCode::from_u16(error.code).expect("codes of the API are HTTP codes");
        return response;
    }
    let mut response = json_response(error.code, &error.to_status());
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(super) fn plain(text: impl Into<Bytes>) -> Response<ResponseBody> {
    let body = Full::new(text.into()).map_err(|never: Infallible| match never {});
    Response::new(body.boxed_unsync())
}

/// A response whose body comes piece by piece.
pub(super) fn streamed(
    content_type: &'static str,
    pieces: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
) -> Response<ResponseBody> {
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// A bookmark comes before the end, too, so that the client can go on from there.
fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let regular = now + BOOKMARK_INTERVAL;
    let last = deadline.checked_sub(LAST_BOOKMARK).filter(|last| *last > now);
    last.map_or(regular, |last| last.min(regular))
}

fn watch_response(shared: &Arc<Shared>, plan: WatchPlan) -> Response<ResponseBody> {
    let revisions = shared.revision.subscribe();
    let (first, after) = plan.first(&shared.lock().cluster);
    let now = Instant::now();
    let watch = Watch {
        deadline: now + Duration::from_secs(plan.timeout_seconds),
        next_bookmark: next_bookmark(now, now + Duration::from_secs(plan.timeout_seconds)),
        pending: first.into(),
        shared: shared.clone(),
        ended: false,
        first: true,
        revisions,
        plan,
        after,
    };
    let pieces = futures::stream::unfold(watch, |mut watch| async move {
        watch.next().await.map(|bytes| (Ok(bytes), watch))
    });
    streamed("application/json", pieces)
}

/// A watch that is being served.
struct Watch {
    shared: Arc<Shared>,
    plan: WatchPlan,
    revisions: watch::Receiver<u64>,
    after: u64,
    pending: VecDeque<WatchEvent>,
    deadline: Instant,
    next_bookmark: Instant,
    ended: bool,
    /// The first event is not sent yet; a table carries its columns there.
    first: bool,
}

impl Watch {
    /// The next piece of the body, `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.pending.is_empty() {
                return Some(self.take_pending());
            }
            if self.ended {
                return None;
            }
            self.revisions.mark_unchanged();
            let next = self.plan.next(&self.shared.lock().cluster, self.after);
            match next {
                Ok((events, after)) => {
                    self.after = after;
                    let (events, lag) = self.shared.distort(events);
                    if !events.is_empty() && !lag.is_zero() {
                        tokio::time::sleep(lag).await;
                    }
                    self.pending.extend(events);
                }
                Err(error) => {
                    self.ended = true;
                    self.pending.push_back(WatchEvent { kind: "ERROR", object: Arc::new(error.to_status()) });
                }
            }
            if self.pending.is_empty() {
                self.wait().await;
            }
        }
    }

    fn take_pending(&mut self) -> Bytes {
        let now = self.shared.clock.now();
        let mut bytes = Vec::new();
        for event in self.pending.drain(..) {
            let rendered = render::event(&self.plan.target, &event, self.plan.form, now, self.first);
            self.first = false;
            bytes.extend_from_slice(rendered.to_string().as_bytes());
            bytes.push(b'\n');
        }
        Bytes::from(bytes)
    }

    /// Waits for a write, the time of a bookmark, or the end.
    async fn wait(&mut self) {
        let until = self.deadline.min(self.next_bookmark);
        tokio::select! {
            biased;
            changed = self.revisions.changed() => self.ended |= changed.is_err(),
            () = tokio::time::sleep_until(until) => {
                self.ended |= until == self.deadline;
                self.next_bookmark = next_bookmark(Instant::now(), self.deadline);
                if self.plan.bookmarks && !self.ended {
                    self.pending.push_back(self.plan.bookmark(self.after, false));
                }
            }
        }
    }
}
