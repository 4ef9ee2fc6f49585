//! Sorts what came of a call into done, certainly not done, and unknown. Pure. In doubt it is unknown: an unknown outcome costs
//! the judge time, a wrong certainty costs it the truth.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use etcd_client::{Error, GetResponse, KeyValue, PutResponse, ResponseHeader, TxnOpResponse, TxnResponse};

use crate::history::{
    Acknowledgement, ClusterId, Found, Key, MemberId, Outcome, Reply, Revision, TransactionCall, Value,
    no_answer,
};

/// gRPC codes that etcd's front end uses to refuse a request before it is proposed (`api/v3rpc/rpctypes/error.go`).
const REFUSALS: [i32; 8] = [3, 5, 6, 7, 9, 11, 12, 16];
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

/// The client gave up waiting.
pub(super) fn timed_out(limit: Duration) -> Outcome {
    Outcome::Unknown { error: no_answer(limit) }
}

/// What an error says about the call.
pub(super) fn of_error(error: &Error) -> Outcome {
    let text = describe(error);
    if is_certainly_not_done(error) {
        Outcome::Failed { error: text }
    } else {
        Outcome::Unknown { error: text }
    }
}

fn is_certainly_not_done(error: &Error) -> bool {
    match error {
        Error::GRpcStatus(status) => {
            let message = status.message();
            match status.code() as i32 {
                code if REFUSALS.contains(&code) => message.starts_with("etcdserver: "),
                // Not `database space exceeded`: etcd also answers that for a write which it has just applied.
                RESOURCE_EXHAUSTED => message == "etcdserver: too many requests",
                UNAVAILABLE => {
                    message == "etcdserver: rpc not supported for learner" || connection_was_refused(status)
                }
                _ => false,
            }
        }
        Error::InvalidArgs(_) | Error::InvalidUri(_) => true,
        Error::TransportError(error) => connection_was_refused(error),
        // The list is open, and none of the others says that nothing was sent.
        _ => false,
    }
}

/// Whether the kernel on the other side refused the connection: then this request was never sent, because a request goes
/// out on one connection only.
fn connection_was_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn describe(error: &Error) -> String {
    match error {
        Error::GRpcStatus(status) => {
            let mut text = format!("{:?}: {}", status.code(), status.message());
            let mut cause = status.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            text
        }
        other => other.to_string(),
    }
}

/// The answer to a put.
pub(super) fn of_put(answer: &PutResponse) -> Outcome {
    acknowledged(answer.header(), Ok(Reply::Put))
}

/// The answer to a get of one key.
pub(super) fn of_get(answer: &GetResponse) -> Outcome {
    acknowledged(answer.header(), only_key(answer).map(|found| Reply::Get { found }))
}

/// The answer to a transaction.
pub(super) fn of_transaction(call: &TransactionCall, answer: &TxnResponse) -> Outcome {
    let reply = if answer.succeeded() {
        Ok(Reply::Transaction { succeeded: true, found: Vec::new() })
    } else {
        reads(&call.otherwise_get, answer).map(|found| Reply::Transaction { succeeded: false, found })
    };
    acknowledged(answer.header(), reply)
}

fn reads(keys: &[Key], answer: &TxnResponse) -> Result<Vec<Option<Found>>, String> {
    let reads: Vec<GetResponse> = answer
        .op_responses()
        .into_iter()
        .filter_map(|response| match response {
            TxnOpResponse::Get(get) => Some(get),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        })
        .collect();
    if reads.len() != keys.len() {
        return Err(format!("{} reads answered with {}", keys.len(), reads.len()));
    }
    reads.iter().map(only_key).collect()
}

fn only_key(answer: &GetResponse) -> Result<Option<Found>, String> {
    match answer.kvs() {
        [] => Ok(None),
        [pair] => found(pair).map(Some),
        more => Err(format!("a read of one key answered with {}", more.len())),
    }
}

fn found(pair: &KeyValue) -> Result<Found, String> {
    let value = String::from_utf8(pair.value().to_vec()).map_err(|error| error.to_string())?;
    Ok(Found {
        value: Value(value),
        modified_at: Revision(positive(pair.mod_revision())?),
        version: positive(pair.version())?,
    })
}

fn positive(number: i64) -> Result<u64, String> {
    u64::try_from(number).map_err(|_| format!("etcd answered with the negative number {number}"))
}

/// An answer that cannot be understood leaves the outcome unknown, and says why.
fn acknowledged(header: Option<&ResponseHeader>, reply: Result<Reply, String>) -> Outcome {
    let acknowledgement = || {
        let header = header.ok_or("an answer without a header")?;
        Ok::<_, String>(Acknowledgement {
            revision: Revision(positive(header.revision())?),
            cluster_id: ClusterId(header.cluster_id()),
            member_id: MemberId(header.member_id()),
            reply: reply?,
        })
    };
    match acknowledgement() {
        Ok(acknowledgement) => Outcome::Acknowledged(acknowledgement),
        Err(error) => Outcome::Unknown { error: format!("etcd's answer makes no sense: {error}") },
    }
}
