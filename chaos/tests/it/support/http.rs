//! Asks the HTTP servers of load and probe, as the API server's pod proxy would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One request on a connection of its own; the body of the answer, which must be 200.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(connection, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {head}");
    answer.split_off(end + 4)
}

/// The answer to a GET as a value.
pub(crate) fn get<T: serde::de::DeserializeOwned>(address: SocketAddr, path: &str) -> T {
    let body = ask(address, "GET", path);
    serde_json::from_slice(&body)
        .unwrap_or_else(|error| panic!("{path}: {error} in {}", String::from_utf8_lossy(&body)))
}
