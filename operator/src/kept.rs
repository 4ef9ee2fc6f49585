//! GETs on connections that are kept between one and the next: small, because an operator holds thousands of them and asks each every
//! few seconds. hyper holds twelve kilobytes of buffers for an idle connection; here an idle one is a socket. It knows nothing of what
//! is asked, and speaks no more of HTTP/1.1 than short answers with a length need.

use bytes::Bytes;
use etcd_operator_core::names::Endpoint;
use http::StatusCode;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest answer that is read, head and body.
const LONGEST_ANSWER_BYTES: usize = 16 * 1024;
/// Most headers that an answer may have.
const MOST_HEADERS: usize = 32;

/// Connections that are kept, as many as there is room for in a process.
#[derive(Debug, Clone)]
pub struct KeptConnections {
    room: Arc<Semaphore>,
}

impl KeptConnections {
    /// Room for so many. Whoever finds none makes a connection for each question.
    pub fn with_room_for(connections: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(connections)) }
    }

    /// A line to one server, on which nothing has been asked yet.
    pub fn to(&self, endpoint: &Endpoint) -> Kept {
        Kept { endpoint: endpoint.clone(), room: self.room.clone(), connection: None }
    }
}

/// A line to one server, with its connection where one is kept.
pub struct Kept {
    endpoint: Endpoint,
    room: Arc<Semaphore>,
    connection: Option<(TcpStream, OwnedSemaphorePermit)>,
}

/// What a server answered.
struct Answer {
    status: StatusCode,
    body: Bytes,
    /// Whether the server takes another question on this connection.
    keeps: bool,
}

impl Kept {
    /// One GET. A connection that broke since the last one is made anew; one that does not answer in time is given up.
    ///
    /// # Errors
    /// If nobody answers in time, or what is answered is not a short answer of HTTP/1.1.
    pub async fn get(&mut self, path: &str, timeout: Duration) -> io::Result<(StatusCode, Bytes)> {
        match tokio::time::timeout(timeout, self.ask(path)).await {
            Ok(answered) => answered,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn ask(&mut self, path: &str) -> io::Result<(StatusCode, Bytes)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.endpoint.authority());
        if let Some((mut stream, permit)) = self.connection.take()
            && let Ok(answer) = exchange(&mut stream, &request).await
        {
            self.connection = answer.keeps.then_some((stream, permit));
            return Ok((answer.status, answer.body));
        }
        let mut stream = TcpStream::connect((self.endpoint.address.as_str(), self.endpoint.port)).await?;
        let answer = exchange(&mut stream, &request).await?;
        let permit = self.room.clone().try_acquire_owned().ok().filter(|_| answer.keeps);
        self.connection = permit.map(|permit| (stream, permit));
        Ok((answer.status, answer.body))
    }
}

async fn exchange(stream: &mut TcpStream, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        if bytes.len() > LONGEST_ANSWER_BYTES {
            return Err(malformed("the answer is too long"));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The answer, once all of it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let length = header("content-length").and_then(|text| text.parse::<usize>().ok());
    let length = length.ok_or_else(|| malformed("the answer does not say how long it is"))?;
    let Some(body) = bytes.get(head..head.saturating_add(length)) else { return Ok(None) };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    Ok(Some(Answer {
        status: status.ok_or_else(|| malformed("the answer has no status"))?,
        body: Bytes::copy_from_slice(body),
        keeps: response.version == Some(1)
            && !header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")),
    }))
}

fn malformed(how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, how.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Reply, serve};
    use etcd_operator_core::names::Scheme;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn at(port: u16) -> Endpoint {
        Endpoint { scheme: Scheme::Http, address: "127.0.0.1".to_owned(), port }
    }

    fn served(text: &str) -> Option<Answer> {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_is_taken_once_all_of_it_is_there() {
        assert!(served("HTTP/1.1 200 OK\r\nContent-Le").is_none());
        assert!(served("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").is_none());
        let whole = served("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nabcd").unwrap();
        assert_eq!(
            (whole.status, whole.body.as_ref(), whole.keeps),
            (StatusCode::SERVICE_UNAVAILABLE, b"abcd".as_slice(), true)
        );
        assert!(!served("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n").unwrap().keeps);
        assert!(!served("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap().keeps);
    }

    #[test]
    fn what_is_no_short_answer_is_refused() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    }

    #[tokio::test]
    async fn a_connection_is_kept_while_there_is_room_and_made_anew_when_its_server_was() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = |path: &str| Reply::text(StatusCode::OK, path);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, answer));
        let connections = KeptConnections::with_room_for(1);
        let (mut first, mut second) = (connections.to(&at(port)), connections.to(&at(port)));
        for path in ["/a", "/b"] {
            assert_eq!(first.get(path, PATIENCE).await.unwrap().1, path);
            assert_eq!(second.get(path, PATIENCE).await.unwrap().1, path);
        }
        assert!(first.connection.is_some() && second.connection.is_none(), "there is room for one");
        server.shutdown().await;
        assert!(first.get("/c", PATIENCE).await.is_err(), "nobody serves");
        let listener = crate::http::listen_everywhere(port).unwrap();
        server.spawn(serve(listener, answer));
        assert_eq!(first.get("/d", PATIENCE).await.unwrap().1, "/d");
    }
}
