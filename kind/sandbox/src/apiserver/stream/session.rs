//! A client's conversation with a program: input, output, errors, the terminal's size, and at the end how it ended.
//!
//! Decides nothing about containers; that is the node's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::io::ReaderStream;

use super::handshake::{Protocol, admit};
use super::{Socket, close, frame};
use crate::apiserver::error::ApiError;
use crate::apiserver::inputs::{NodeAccess, NodeAccessError, Session, SessionRequest, TerminalSize};
use crate::apiserver::subresource::StreamPlan;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// The end of the channel that the next byte names.
const CLOSE: u8 = 255;
/// A program's children may hold its output open; for so long after its end it is waited for.
const DRAIN: Duration = Duration::from_secs(1);

/// Carries the conversation until program or client are gone.
pub(super) async fn run(
    node: Arc<dyn NodeAccess>,
    request: SessionRequest,
    protocol: Protocol,
    socket: Socket,
) {
    let (mut sink, stream) = socket.split();
    // So a client learns that there is somebody. It may be gone by now; there is nobody else to tell.
    let _ = sink.send(frame(opening(&request), &[])).await;
    let refusal = match protocol {
        Protocol::Closing => admit(node.as_ref(), &StreamPlan::Session(request.clone())).err(),
        // Before the connection became a stream.
        Protocol::Plain => None,
    };
    let status = match refusal {
        Some(refusal) => Some(internal(format!("unable to upgrade connection: {}", refusal.why))),
        None => match node.open_session(request.clone()).await {
            Ok(session) => {
                let code = converse(session, (&request, protocol), &mut sink, stream).await;
                code.map(|code| outcome(code, &request, protocol))
            }
            Err(error) => Some(failure(&error, protocol)),
        },
    };
    if let Some(status) = status {
        let _ = sink.send(frame(STATUS, status.to_string().as_bytes())).await;
    }
    close(&mut sink).await;
}

/// The channel on which a server says that a stream is open: the lowest that it writes to.
fn opening(request: &SessionRequest) -> u8 {
    match (request.stdout, request.stderr) {
        (true, _) => STDOUT,
        (false, true) => STDERR,
        (false, false) => STATUS,
    }
}

/// How the program ended; nothing if the client left first.
async fn converse(
    session: Session,
    (request, protocol): (&SessionRequest, Protocol),
    sink: &mut SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
) -> Option<i32> {
    let Session { stdin, stdout, stderr, resize, mut exit } = session;
    let outputs = futures::stream::select(output(STDOUT, stdout), output(STDERR, stderr));
    // A terminal has output in any case; unless it was asked for, it is read and dropped, so that the program goes on.
    let wanted = |channel: u8| channel != STDOUT || request.stdout;
    let mut outputs = std::pin::pin!(outputs);
    let talk = async {
        let mut ended = None;
        loop {
            let drained = tokio::time::sleep(DRAIN);
            tokio::select! {
                biased;
                piece = outputs.next() => match piece {
                    Some((channel, _)) if !wanted(channel) => {}
                    Some((channel, bytes)) => sink.send(frame(channel, &bytes)).await.ok()?,
                    None => return Some(match ended { Some(code) => code, None => exit.await }),
                },
                code = &mut exit, if ended.is_none() => ended = Some(code),
                () = drained, if ended.is_some() => return ended,
            }
        }
    };
    tokio::select! {
        biased;
        code = talk => code,
        () = listen(stream, stdin, resize, protocol) => None,
    }
}

/// The pieces of an output, under its channel.
fn output(channel: u8, source: Option<Box<dyn AsyncRead + Send + Unpin>>) -> impl Stream<Item = (u8, Bytes)> {
    let pieces = futures::stream::iter(source).flat_map(ReaderStream::new);
    // An error is how a terminal says that its program is gone.
    let pieces = pieces.take_while(|piece| std::future::ready(piece.is_ok()));
    pieces.filter_map(move |piece| std::future::ready(piece.ok().map(|bytes| (channel, bytes))))
}

/// Takes what the client sends, until it leaves.
async fn listen(
    mut stream: SplitStream<Socket>,
    mut stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    resize: Option<Box<dyn Fn(TerminalSize) + Send + Sync>>,
    protocol: Protocol,
) {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        match bytes.split_first() {
            Some((&STDIN, input)) => {
                if let Some(program) = &mut stdin
                    && (program.write_all(input).await.is_err() || program.flush().await.is_err())
                {
                    // It reads no more.
                    stdin = None;
                }
            }
            Some((&RESIZE, size)) => {
                if let (Some(resize), Some(size)) = (&resize, terminal_size(size)) {
                    resize(size);
                }
            }
            Some((&CLOSE, [STDIN])) if protocol == Protocol::Closing => stdin = None,
            Some(_) | None => {}
        }
    }
}

fn terminal_size(json: &[u8]) -> Option<TerminalSize> {
    let size: Value = serde_json::from_slice(json).ok()?;
    let number = |name: &str| u16::try_from(size.get(name)?.as_u64()?).ok();
    Some(TerminalSize { width: number("Width")?, height: number("Height")? })
}

/// How a program ended, in the form that `kubectl exec` makes its own exit status from.
fn outcome(code: i32, request: &SessionRequest, protocol: Protocol) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    let how = match protocol {
        Protocol::Closing => format!("command terminated with exit code {code}"),
        Protocol::Plain => {
            let command = request.command.as_deref().unwrap_or_default().join(" ");
            format!("error executing command [{command}], exit code {code}")
        }
    };
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: {how}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// A failure of the node's, which the API server wraps once more where it is the client's partner itself.
fn failure(error: &NodeAccessError, protocol: Protocol) -> Value {
    match protocol {
        Protocol::Closing => internal(format!("Internal error occurred: {error}")),
        Protocol::Plain => internal(error.to_string()),
    }
}

/// The connection is a stream already, so an error comes as its status, without the names of its type.
fn internal(why: String) -> Value {
    let mut status = ApiError::internal(why).to_status();
    if let Some(members) = status.as_object_mut() {
        members.retain(|name, _| name != "kind" && name != "apiVersion");
    }
    status
}
