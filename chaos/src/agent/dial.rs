//! Fresh TCP connections as a measure of reachability. Each is closed as soon as it is open; no byte is sent on it.

use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::protocol::{Dial, DialOutcome};

/// Dials all addresses at the same time and waits for none of them longer than `limit`.
pub(super) async fn dial_all(addresses: &[SocketAddrV4], limit: Duration) -> Vec<Dial> {
    join_all(addresses.iter().map(|address| dial(*address, limit))).await
}

async fn dial(address: SocketAddrV4, limit: Duration) -> Dial {
    let start = Instant::now();
    let outcome = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_connection)) => DialOutcome::Connected,
        Ok(Err(error)) => outcome_of(&error),
        Err(_) => DialOutcome::TimedOut,
    };
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Dial { address, outcome, milliseconds }
}

fn outcome_of(error: &std::io::Error) -> DialOutcome {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => DialOutcome::Refused,
        ErrorKind::TimedOut => DialOutcome::TimedOut,
        // The list of kinds is open; what is none of the above did not get an answer from the other side.
        _ => DialOutcome::Unreachable(error.to_string()),
    }
}
