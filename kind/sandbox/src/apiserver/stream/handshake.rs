//! How a connection becomes a stream: what must be asked for, which protocol is spoken, and what is refused before.
//!
//! With the newest protocol a real API server itself is the client's partner, and tells refusals of the node in the stream;
//! with the older one it hands the connection to the kubelet, whose refusals are plain texts.

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::apiserver::error::ApiError;
use crate::apiserver::inputs::NodeAccess;
use crate::apiserver::serve::{ResponseBody, plain};
use crate::apiserver::subresource::StreamPlan;

/// How client and server share a connection among channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The client can end one channel, and the API server is its partner.
    Closing,
    /// The kubelet is the client's partner.
    Plain,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Closing => "v5.channel.k8s.io",
            Self::Plain => "v4.channel.k8s.io",
        }
    }
}

/// A refusal of the node's, before there is a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    /// What the node says.
    pub(super) why: String,
}

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// As the kubelet sends it: a text.
    pub(super) fn response(self) -> Response<ResponseBody> {
        let mut response = plain(self.why);
        *response.status_mut() = self.status;
        response
    }
}

/// Whether the request asks for a WebSocket (RFC 6455).
pub(super) fn check_upgrade(headers: &HeaderMap) -> Result<(), ApiError> {
    if !text(headers, CONNECTION).to_ascii_lowercase().contains("upgrade") {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    let wanted = text(headers, UPGRADE);
    if !wanted.eq_ignore_ascii_case("websocket") {
        let why = format!("unable to upgrade: only websocket is offered, not {wanted:?}");
        return Err(ApiError::bad_request(why));
    }
    Ok(())
}

/// The protocol that both sides speak.
pub(super) fn agree(
    node: &dyn NodeAccess,
    plan: &StreamPlan,
    headers: &HeaderMap,
) -> Result<Protocol, Refusal> {
    let offered = text(headers, SEC_WEBSOCKET_PROTOCOL);
    let offers = |protocol: Protocol| offered.split(',').any(|one| one.trim() == protocol.name());
    match plan {
        StreamPlan::Session(_) if offers(Protocol::Closing) => return Ok(Protocol::Closing),
        StreamPlan::Session(_) | StreamPlan::Ports { .. } => {}
    }
    admit(node, plan)?;
    if offers(Protocol::Plain) { Ok(Protocol::Plain) } else { Err(Refusal::new(StatusCode::FORBIDDEN, "")) }
}

/// Whether the node would begin, asked in the order in which a kubelet looks.
pub(super) fn admit(node: &dyn NodeAccess, plan: &StreamPlan) -> Result<(), Refusal> {
    let bad = |why: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    let admitted = match plan {
        StreamPlan::Session(request) if !(request.stdin || request.stdout || request.stderr) => {
            return bad("you must specify at least 1 of stdin, stdout, stderr");
        }
        StreamPlan::Session(request) => node.admit_session(request),
        StreamPlan::Ports { ports, .. } if ports.is_empty() => {
            return bad("query parameter \"port\" is required");
        }
        StreamPlan::Ports { ports, .. } if ports.contains(&0) => return bad("port \"0\" must be > 0"),
        StreamPlan::Ports { pod, .. } => node.admit_ports(pod),
    };
    admitted.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The answer after which the connection is a stream.
pub(super) fn accept(headers: &HeaderMap, protocol: Protocol) -> Result<Response<ResponseBody>, ApiError> {
    let key = derive_accept_key(text(headers, SEC_WEBSOCKET_KEY).as_bytes());
    let key = HeaderValue::from_str(&key).map_err(|error| ApiError::internal(error.to_string()))?;
    let body = Empty::new().map_err(|never: std::convert::Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, key);
    answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name()));
    Ok(response)
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
