//! Port forwarding: for the n-th port, channel 2n carries its bytes and channel 2n+1 what went wrong. Each begins with
//! the port's number, least byte first.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::{Socket, close, frame};
use crate::apiserver::inputs::{Connection, NodeAccess};

const PIECE: usize = 16 * 1024;
/// So many messages wait for a port before the client has to.
const WAITING: usize = 16;

/// Carries bytes until the client leaves or every port is closed.
pub(super) async fn run(node: Arc<dyn NodeAccess>, pod: Value, ports: &[u16], socket: Socket) {
    let (mut sink, stream) = socket.split();
    let (outgoing, mut messages) = mpsc::channel(WAITING);
    let mut inboxes = Vec::new();
    let mut pipes = FuturesUnordered::new();
    for (channel, port) in (0..=254).step_by(2).zip(ports) {
        let (inbox, received) = mpsc::channel(WAITING);
        inboxes.push(inbox);
        let pipe = Pipe { channel, port: *port, outgoing: outgoing.clone() };
        pipes.push(pipe.run(node.clone(), pod.clone(), received));
    }
    drop(outgoing);
    let carry = async { while pipes.next().await.is_some() {} };
    let send = async {
        while let Some(message) = messages.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        close(&mut sink).await;
    };
    tokio::select! {
        biased;
        _ = async { tokio::join!(carry, send) } => {}
        () = distribute(stream, inboxes) => {}
    }
}

/// Gives each port what the client sends to it, until the client leaves.
async fn distribute(mut stream: SplitStream<Socket>, inboxes: Vec<mpsc::Sender<Bytes>>) {
    while let Some(Ok(message)) = stream.next().await {
        let mut bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let Some(&channel) = bytes.first() else { continue };
        if let Some(inbox) = inboxes.get(usize::from(channel / 2)).filter(|_| channel % 2 == 0) {
            // A port that is closed takes nothing more.
            let _ = inbox.send(bytes.split_off(1)).await;
        }
    }
}

/// One port of the client's.
struct Pipe {
    channel: u8,
    port: u16,
    outgoing: mpsc::Sender<Message>,
}

impl Pipe {
    async fn run(self, node: Arc<dyn NodeAccess>, pod: Value, received: mpsc::Receiver<Bytes>) {
        for channel in [self.channel, self.channel + 1] {
            self.send(channel, &self.port.to_le_bytes()).await;
        }
        match node.forward_port(pod, self.port).await {
            Ok(connection) => self.carry(connection, received).await,
            Err(error) => {
                let why = match std::error::Error::source(&error) {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                self.send(self.channel + 1, format!("error forwarding port {}: {why}", self.port).as_bytes())
                    .await;
            }
        }
    }

    async fn carry(&self, connection: Box<dyn Connection>, mut received: mpsc::Receiver<Bytes>) {
        let (mut from_pod, mut to_pod) = tokio::io::split(connection);
        let upstream = async {
            while let Some(bytes) = received.recv().await {
                if to_pod.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let downstream = async {
            let mut piece = vec![0; PIECE];
            loop {
                match from_pod.read(&mut piece).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => self.send(self.channel, &piece[..count]).await,
                }
            }
        };
        tokio::select! {
            biased;
            () = downstream => {}
            () = upstream => {}
        }
    }

    async fn send(&self, channel: u8, content: &[u8]) {
        // Without a client nobody listens, and the conversation is ending.
        let _ = self.outgoing.send(frame(channel, content)).await;
    }
}
