//! A small HTTP/1 server for the harness, which reaches it through the API server's pod proxy. Each answer is whole and
//! short; nothing is streamed.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The most that one answer carries of a file.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;
const HEADER_LIMIT: Duration = Duration::from_secs(30);
/// A connection that could not be accepted is tried again after this long: most likely there are too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    query: String,
}

impl Question {
    /// The value of a parameter of the query, as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
    }
}

/// Answers questions.
pub trait Handler: Send + Sync + 'static {
    /// The answer to a question.
    fn answer(self: Arc<Self>, question: Question) -> BoxFuture<'static, Answer>;
}

/// Serves until it is dropped; connections end with it.
pub(super) async fn serve(listener: TcpListener, handler: Arc<dyn Handler>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, handler.clone()))),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(connection: TcpStream, handler: Arc<dyn Handler>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let question = Question {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        };
        let answer = handler.clone().answer(question);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// A value as JSON.
pub fn json<T: Serialize>(value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut answer = Response::new(Full::new(Bytes::from(bytes)));
            let kind = http::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            answer
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("encoding the answer: {error}")),
    }
}

/// It was tried, and failed.
pub fn failed(error: &dyn std::error::Error) -> Answer {
    text(StatusCode::BAD_GATEWAY, format!("{error}\n"))
}

/// There is nothing under this path.
pub fn not_found(question: &Question) -> Answer {
    text(StatusCode::NOT_FOUND, format!("nothing answers {} {}\n", question.method, question.path))
}

/// `GET /history/<file>?offset=N`: the bytes of a file from there on, a few megabytes at most, with the file's size at this
/// moment in the header `x-total-bytes`.
pub fn history_piece(directory: &Path, question: &Question) -> Option<Answer> {
    let name = file_name(question, "/history/")?;
    let offset = question.number("offset").unwrap_or(0);
    Some(match read_piece(&directory.join(name), offset) {
        Ok((bytes, total)) => {
            let mut answer = Response::new(Full::new(Bytes::from(bytes)));
            answer.headers_mut().insert("x-total-bytes", total.into());
            answer
        }
        Err(error) => unreadable(question, name, &error),
    })
}

/// The size and hash of a file, so that a reader can tell that it has all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    /// The size.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(bytes);
        let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Digest { bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX), sha256 }
    }
}

/// `GET /digest/<file>`: the [`Digest`] of a file as it is at this moment.
pub fn digest(directory: &Path, question: &Question) -> Option<Answer> {
    let name = file_name(question, "/digest/")?;
    Some(match std::fs::read(directory.join(name)) {
        Ok(bytes) => json(&Digest::of(&bytes)),
        Err(error) => unreadable(question, name, &error),
    })
}

/// The name of a file of the history that a path asks for; nothing if it could lead elsewhere.
fn file_name<'a>(question: &'a Question, prefix: &str) -> Option<&'a str> {
    let name = question.path.strip_prefix(prefix)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    (!name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)).then_some(name)
}

fn unreadable(question: &Question, name: &str, error: &std::io::Error) -> Answer {
    if error.kind() == std::io::ErrorKind::NotFound {
        return not_found(question);
    }
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("reading {name}: {error}\n"))
}

fn read_piece(path: &Path, offset: u64) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = std::fs::File::open(path)?;
    let total = file.metadata()?.len();
    file.seek(SeekFrom::Start(offset.min(total)))?;
    let mut bytes = Vec::new();
    file.take(PIECE_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, total))
}

fn text(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer
}

/// Waits for SIGTERM or SIGINT. The first process of a container ignores signals that it does not ask for.
///
/// # Errors
/// When the signals cannot be asked for.
pub(super) async fn until_told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(path: &str, query: &str) -> Question {
        Question { method: Method::GET, path: path.to_owned(), query: query.to_owned() }
    }

    #[test_log::test(tokio::test)]
    async fn a_history_is_read_on_from_any_byte_and_its_size_is_told() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("load.jsonl"), b"0123456789").unwrap();
        let piece = async |query| {
            let asked = history_piece(directory.path(), &question("/history/load.jsonl", query)).unwrap();
            assert_eq!(asked.headers()["x-total-bytes"], "10");
            http_body_util::BodyExt::collect(asked.into_body()).await.unwrap().to_bytes()
        };
        assert_eq!(piece("offset=7").await, "789");
        assert_eq!(piece("offset=99").await, "");
        assert_eq!(piece("").await, "0123456789");
    }

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.bytes, 3);
        assert!(digest.sha256.starts_with("ba7816bf8f01cfea414140de5dae2223"), "{}", digest.sha256);
    }

    #[test]
    fn only_files_of_the_history_are_served() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["/history/../secret", "/history/", "/history/.hidden", "/other", "/history/a/b"] {
            assert!(history_piece(directory.path(), &question(path, "")).is_none(), "{path}");
        }
        let missing = history_piece(directory.path(), &question("/history/none", "")).unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}
