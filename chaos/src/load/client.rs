//! One client: chooses a call, makes it once, records it. It has one call open at a time, and no call lasts longer than its
//! limit.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Error, Txn, TxnOp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::choice::Chooser;
use super::configuration::Configuration;
use super::connection::Connection;
use super::counters::Counters;
use super::outcome;
use super::pins::Pins;
use crate::history::{
    Call, ClientId, Comparison, Expected, Line, Operation, Outcome, Revision, TransactionCall,
};
use crate::in_pod::{Clock, Recorder};

/// What all clients of a load share.
#[derive(Clone)]
pub(super) struct Shared {
    /// The configuration.
    pub(super) configuration: Arc<Configuration>,
    /// The clock of the history.
    pub(super) clock: Clock,
    /// Where calls are recorded.
    pub(super) recorder: Recorder,
    /// What the eye sees of it.
    pub(super) counters: Arc<Counters>,
    /// Which client asks which member.
    pub(super) pins: Arc<Pins>,
    /// Becomes true when the clients are to stop.
    pub(super) stop: watch::Receiver<bool>,
    /// The store's revision before the first call.
    pub(super) first: Revision,
}

/// Runs a client until it is told to stop; a call that is open then is waited for.
pub(super) async fn run(client: ClientId, mut shared: Shared) {
    let mut chooser = Chooser::new(&shared.configuration, client);
    let mut connection = Connection::new(&shared.configuration, client, shared.pins.clone());
    let interval = Duration::from_secs_f64(1.0 / shared.configuration.calls_per_second_per_client);
    let mut next =
        Instant::now() + interval.mul_f64(f64::from(client.0) / f64::from(shared.configuration.clients));
    loop {
        tokio::select! {
            biased;
            _ = shared.stop.wait_for(|stop| *stop) => return,
            () = sleep_until(next) => {}
        }
        // Calls that a slow answer has delayed are not made up for: that would be a burst.
        next = (next + interval).max(Instant::now());
        let (sequence, call) = chooser.next_call();
        let operation = make(&shared, &mut connection, client, sequence, call).await;
        chooser.learn(&operation.call, &operation.outcome);
        shared.counters.count(&operation);
        shared.recorder.record(Line::Operation(operation));
    }
}

async fn make(
    shared: &Shared,
    connection: &mut Connection,
    client: ClientId,
    sequence: u64,
    call: Call,
) -> Operation {
    let limit = Duration::from_millis(shared.configuration.call_limit_milliseconds);
    // Looking for an endpoint sends nothing of the call, so it is not part of its time.
    let (sent_to, connected) = connection.client().await;
    let start = shared.clock.now();
    let outcome = match connected {
        Ok(mut client) => match timeout(limit, send(&mut client, &call)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => outcome::of_error(&error),
            Err(_) => outcome::timed_out(limit),
        },
        Err(error) => Outcome::Failed { error: error.to_string() },
    };
    let end = shared.clock.now();
    match outcome {
        Outcome::Acknowledged(_) => {}
        Outcome::Failed { .. } | Outcome::Unknown { .. } => connection.give_up(),
    }
    Operation { client, sequence, start, end, sent_to: Some(sent_to), call, outcome }
}

/// Makes the call, once.
async fn send(client: &mut Client, call: &Call) -> Result<Outcome, Error> {
    match call {
        Call::Put { key, value } => {
            let answer = client.put(key.0.as_str(), value.0.as_str(), None).await?;
            Ok(outcome::of_put(&answer))
        }
        Call::Get { key } => {
            let answer = client.get(key.0.as_str(), None).await?;
            Ok(outcome::of_get(&answer))
        }
        Call::Transaction(call) => {
            let answer = client.txn(transaction(call)).await?;
            Ok(outcome::of_transaction(call, &answer))
        }
    }
}

fn transaction(call: &TransactionCall) -> Txn {
    let comparisons: Vec<Compare> = call.comparisons.iter().map(comparison).collect();
    let puts: Vec<TxnOp> =
        call.puts.iter().map(|(key, value)| TxnOp::put(key.0.as_str(), value.0.as_str(), None)).collect();
    let gets: Vec<TxnOp> = call.otherwise_get.iter().map(|key| TxnOp::get(key.0.as_str(), None)).collect();
    Txn::new().when(comparisons).and_then(puts).or_else(gets)
}

fn comparison(comparison: &Comparison) -> Compare {
    let key = comparison.key.0.as_str();
    match &comparison.expected {
        Expected::Absent => Compare::create_revision(key, CompareOp::Equal, 0),
        Expected::ModifiedAt { revision } => {
            let revision = i64::try_from(revision.0).unwrap_or(i64::MAX);
            Compare::mod_revision(key, CompareOp::Equal, revision)
        }
        Expected::Value { value } => Compare::value(key, CompareOp::Equal, value.0.as_str()),
    }
}
