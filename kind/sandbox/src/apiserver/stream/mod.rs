//! Connections that become streams: WebSocket with Kubernetes' channel protocols, the first byte of each message being
//! the channel's number.
//!
//! Nothing is spawned: a stream is handed as a future to the connection's task, which owns it. SPDY, which Kubernetes
//! offers too, is not offered: clients prefer WebSocket.

mod ports;
mod session;

use std::sync::Arc;

use futures::SinkExt as _;
use futures::future::BoxFuture;
use futures::stream::SplitSink;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::UnboundedSender;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::error::ApiError;
use super::forward::no_node;
use super::inputs::NodeAccess;
use super::serve::ResponseBody;
use super::subresource::StreamPlan;

/// The way of a stream to the task that owns its connection.
pub(super) type Sessions = UnboundedSender<BoxFuture<'static, ()>>;
type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What a request needs to become a stream; absent for callers in this process.
pub(super) struct Upgrade {
    pub(super) connection: Option<OnUpgrade>,
    pub(super) sessions: Option<Sessions>,
}

/// Answers that the connection becomes a stream, and lets it become one.
pub(super) fn open(
    node: Option<Arc<dyn NodeAccess>>,
    plan: StreamPlan,
    headers: &HeaderMap,
    upgrade: Upgrade,
) -> Result<Response<ResponseBody>, ApiError> {
    let node = node.ok_or_else(no_node)?;
    let (response, closes) = handshake(headers, &plan)?;
    let (Some(connection), Some(sessions)) = (upgrade.connection, upgrade.sessions) else {
        return Err(ApiError::bad_request("this connection can't become a stream"));
    };
    let stream = async move {
        match connection.await {
            Ok(upgraded) => {
                let socket =
                    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                match plan {
                    StreamPlan::Session(request) => session::run(node, request, closes, socket).await,
                    StreamPlan::Ports { pod, ports } => ports::run(node, pod, &ports, socket).await,
                }
            }
            Err(error) => tracing::debug!(%error, "a client left before its connection became a stream"),
        }
    };
    sessions.send(Box::pin(stream)).map_err(|_| ApiError::unavailable("the connection is ending"))?;
    Ok(response)
}

/// The newest protocol with channels: the client can end one of them.
const CLOSING: &str = "v5.channel.k8s.io";
const PLAIN: &str = "v4.channel.k8s.io";

/// The answer to a WebSocket request (RFC 6455), and whether its protocol can end single channels.
fn handshake(headers: &HeaderMap, plan: &StreamPlan) -> Result<(Response<ResponseBody>, bool), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !text(CONNECTION).to_ascii_lowercase().contains("upgrade") {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    if !text(UPGRADE).eq_ignore_ascii_case("websocket") {
        let why = format!("unable to upgrade: only websocket is offered, not {:?}", text(UPGRADE));
        return Err(ApiError::bad_request(why));
    }
    let offered: Vec<&str> = text(SEC_WEBSOCKET_PROTOCOL).split(',').map(str::trim).collect();
    let known: &[&str] = match plan {
        StreamPlan::Session(_) => &[CLOSING, PLAIN],
        StreamPlan::Ports { .. } => &[PLAIN],
    };
    let Some(protocol) = known.iter().find(|one| offered.contains(one)) else {
        let why =
            format!("unable to negotiate a protocol: client offered {offered:?}, server supports {known:?}");
        return Err(ApiError::bad_request(why));
    };
    let key = derive_accept_key(text(SEC_WEBSOCKET_KEY).as_bytes());
    let key = HeaderValue::from_str(&key).map_err(|error| ApiError::internal(error.to_string()))?;
    let body = Empty::new().map_err(|never: std::convert::Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, key);
    answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    Ok((response, *protocol == CLOSING))
}

/// Says that all is said; some clients take an end without a reason for a failure.
async fn close(sink: &mut SplitSink<Socket, Message>) {
    let end = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    // The client may be gone by now; there is nobody else to tell.
    let _ = sink.send(Message::Close(Some(end))).await;
}

/// A message on a channel.
fn frame(channel: u8, content: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(content.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(content);
    Message::binary(bytes)
}
