//! Connections that become streams: WebSocket with Kubernetes' channel protocols, the first byte of each message being
//! the channel's number.
//!
//! Nothing is spawned: a stream is handed as a future to the connection's task, which owns it. SPDY, which Kubernetes
//! offers too, is not offered: clients prefer WebSocket.

mod handshake;
mod ports;
mod session;

use std::sync::Arc;

use futures::SinkExt as _;
use futures::future::BoxFuture;
use futures::stream::SplitSink;
use http::{HeaderMap, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::UnboundedSender;
use tokio_tungstenite::WebSocketStream;
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
    handshake::check_upgrade(headers)?;
    let protocol = match handshake::agree(node.as_ref(), &plan, headers) {
        Ok(protocol) => protocol,
        Err(refusal) => return Ok(refusal.response()),
    };
    let (Some(connection), Some(sessions)) = (upgrade.connection, upgrade.sessions) else {
        return Err(ApiError::bad_request("this connection can't become a stream"));
    };
    let stream = async move {
        match connection.await {
            Ok(upgraded) => {
                let socket =
                    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                match plan {
                    StreamPlan::Session(request) => session::run(node, request, protocol, socket).await,
                    StreamPlan::Ports { pod, ports } => ports::run(node, pod, &ports, socket).await,
                }
            }
            Err(error) => tracing::debug!(%error, "a client left before its connection became a stream"),
        }
    };
    sessions.send(Box::pin(stream)).map_err(|_| ApiError::unavailable("the connection is ending"))?;
    handshake::accept(headers, protocol)
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
