//! Conversations over WebSocket with what runs in a pod: what is sent, and what came back, channel by channel.
//!
//! Compares nothing. How a channel's bytes were cut into messages is chance, so they are put together.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, header};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A conversation that has not come to its end by then is called unfinished.
const LIMIT: Duration = Duration::from_secs(15);
/// How long one round of what is done meanwhile may stay without effect.
const PATIENCE: Duration = Duration::from_secs(1);
/// The message that ends the channel that the next byte names, in protocols that can.
const CLOSE: u8 = 255;

/// The body of a step that opens a stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Script {
    /// What the client says, in order, as soon as the stream is open.
    #[serde(default)]
    pub(crate) send: Vec<Sent>,
    /// Another stream that is opened then and must end well, again and again until this one has what it waits for: nobody
    /// can tell when a server begins to listen. How often is chance, so what was received is not compared then.
    #[serde(default)]
    pub(crate) meanwhile: Option<String>,
    /// By channel: the client leaves when it has received these texts. Otherwise it stays until the server ends the stream.
    #[serde(default)]
    pub(crate) until: BTreeMap<String, String>,
}

/// One message of the client's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) enum Sent {
    /// A text on a channel.
    Text(u8, String),
    /// Nothing more comes on this channel.
    End(u8),
}

/// An end without a word.
const BROKEN_OFF: &str = "<broken off>";

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Turns a request into one that asks for a stream.
///
/// # Errors
/// When the protocol's name can't stand in a header.
pub(crate) fn ask_for_stream(request: &mut Request<Body>, protocol: &str) -> anyhow::Result<()> {
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_str(&generate_key())?);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol)?);
    Ok(())
}

/// What came back on an open stream.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    protocol: String,
    /// The channel of the first message, if that message was empty: so servers say that the stream is open.
    opening: Option<u8>,
    channels: BTreeMap<u8, Vec<u8>>,
    end: String,
}

/// Says what the script says on a response that became a stream, and listens. `meanwhile` is done once all is said, and again
/// while the script still waits.
///
/// # Errors
/// When the connection does not become a stream, or what is done meanwhile fails.
pub(crate) async fn converse(
    response: Response<Body>,
    script: &Script,
    meanwhile: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<Value> {
    let protocol = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let protocol = protocol.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let upgraded = hyper::upgrade::on(response).await.context("becoming a stream")?;
    let mut socket: Socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
    let mut heard = Heard { protocol, ..Heard::default() };
    for sent in &script.send {
        // A server that has said its last word takes no more; what it said is still to be read.
        let _taken = socket.send(message(sent)).await;
    }
    let limit = Instant::now() + LIMIT;
    let mut ended = false;
    while !ended && Instant::now() < limit {
        let mut round = limit;
        if script.meanwhile.is_some() {
            meanwhile().await?;
            round = limit.min(Instant::now() + PATIENCE);
        }
        ended = tokio::time::timeout_at(round, listen(&mut socket, script, &mut heard)).await.is_ok();
    }
    Ok(heard.shown(script, ended))
}

/// Whether a program that was talked to ended well.
pub(crate) fn ended_well(heard: &Value) -> bool {
    heard.pointer("/channels/3/status").is_some_and(|status| status == "Success")
}

fn message(sent: &Sent) -> Message {
    Message::binary(match sent {
        Sent::Text(channel, text) => [&[*channel], text.as_bytes()].concat(),
        Sent::End(channel) => vec![CLOSE, *channel],
    })
}

async fn listen(socket: &mut Socket, script: &Script, heard: &mut Heard) {
    heard.end = loop {
        if !script.until.is_empty() && heard.has(&script.until) {
            break "<left>".to_owned();
        }
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => heard.take(&bytes),
            Some(Ok(Message::Text(text))) => heard.take(text.as_bytes()),
            Some(Ok(Message::Close(Some(frame)))) => break format!("{} {}", frame.code, frame.reason),
            Some(Ok(Message::Close(None))) => break "closed".to_owned(),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(_)) | None => break BROKEN_OFF.to_owned(),
        }
    };
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) {
        let Some((channel, content)) = bytes.split_first() else { return };
        if self.channels.is_empty() && content.is_empty() {
            self.opening = Some(*channel);
        }
        self.channels.entry(*channel).or_default().extend_from_slice(content);
    }

    fn has(&self, until: &BTreeMap<String, String>) -> bool {
        until.iter().all(|(channel, text)| {
            let channel = channel.parse().ok().and_then(|channel: u8| self.channels.get(&channel));
            channel.is_some_and(|bytes| String::from_utf8_lossy(bytes).contains(text.as_str()))
        })
    }

    fn shown(self, script: &Script, ended: bool) -> Value {
        let shown = |bytes: &Vec<u8>| match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Value::Object(members),
            _ => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        };
        let channels = self.channels.iter().map(|(channel, bytes)| (channel.to_string(), shown(bytes)));
        let mut all = json!({
            "protocol": self.protocol, "opening": self.opening,
            "channels": channels.collect::<serde_json::Map<_, _>>(), "end": self.end,
        });
        if let Some(why) = self.unfinished(script, ended) {
            all["unfinished"] = json!(why);
        } else if script.meanwhile.is_some() {
            all["channels"] = json!("<as waited for>");
        }
        all
    }

    /// Why this conversation shows nothing, if so.
    fn unfinished(&self, script: &Script, ended: bool) -> Option<&'static str> {
        match (ended, self.has(&script.until)) {
            (false, _) => Some("no end in time"),
            (true, false) => Some("it ended before what was waited for"),
            (true, true) if self.end == BROKEN_OFF => Some("broken off"),
            (true, true) => None,
        }
    }
}
