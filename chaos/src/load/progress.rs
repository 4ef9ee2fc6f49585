//! What the load tells about itself over HTTP while it runs. Plain data; the history is the truth, this is for the eye and for
//! when a fault may begin.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// `GET /progress`: counts since the start, and latencies of the last whole second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Writes that etcd acknowledged, transactions that wrote included.
    pub acknowledged_writes: u64,
    /// Reads that etcd answered, transactions whose comparison failed included.
    pub acknowledged_reads: u64,
    /// Calls that certainly did nothing.
    pub failed: u64,
    /// Calls whose outcome nobody knows.
    pub unknown: u64,
    /// Calls that ended in the last whole second with an answer.
    pub answered_last_second: u64,
    /// Calls that ended in the last whole second without one.
    pub unanswered_last_second: u64,
    /// Latency of the answered calls of the last whole second; nothing if there was none.
    pub latency_last_second: Option<Latency>,
    /// The last error that a client saw.
    pub last_error: Option<String>,
    /// The highest revision that was acknowledged.
    pub highest_revision: u64,
    /// The members that a client asks now without the Service between them.
    pub asked_members: BTreeSet<IpAddr>,
}

/// Quantiles of latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Half of the calls were at most this slow.
    pub p50_milliseconds: f64,
    /// Nineteen of twenty were at most this slow.
    pub p95_milliseconds: f64,
    /// The slowest call.
    pub highest_milliseconds: f64,
}

/// `GET /state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum StateReport {
    /// The clients run.
    Running,
    /// The clients were told to stop, or the final dump is being taken.
    Stopping {
        /// Which of the two.
        doing: String,
    },
    /// The history is complete and on disk.
    Done {
        /// The revision of the final read.
        revision: u64,
        /// How many events the final dump holds.
        events: u64,
    },
    /// The history cannot be completed; what there is can be read.
    Failed {
        /// What was being done and why it failed.
        error: String,
    },
}
