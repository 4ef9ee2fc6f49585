//! What users say of etcd's own settings. Never decides: see [`crate::etcd_options`].
#![allow(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside a function body"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, described};
use crate::etcd_options::rules;

/// etcd's own settings. What is left out is as etcd has it by default.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = Rule::new("(has(self.electionTimeoutMilliseconds) ? self.electionTimeoutMilliseconds : 1000) >= \
    5 * (has(self.heartbeatIntervalMilliseconds) ? self.heartbeatIntervalMilliseconds : 100)")
    .message("electionTimeoutMilliseconds (1000 if absent) must be at least five times heartbeatIntervalMilliseconds (100 if absent)")
    .field_path(".electionTimeoutMilliseconds"))]
#[x_kube(validation = Rule::new("!has(self.autoCompactionMode) || has(self.autoCompactionRetention)")
    .message("autoCompactionMode needs autoCompactionRetention: without it, etcd compacts nothing")
    .field_path(".autoCompactionRetention"))]
#[x_kube(validation = Rule::new("!has(self.autoCompactionRetention) || self.autoCompactionRetention.matches(\
    has(self.autoCompactionMode) && self.autoCompactionMode == 'revision' ? '^[0-9]{1,12}$' : '^([0-9]{1,6}|([0-9]{1,6}(s|m|h))+)$')")
    .message("autoCompactionRetention must be a duration such as 1h30m (or whole hours) with the mode periodic, and a number of \
        revisions with the mode revision")
    .field_path(".autoCompactionRetention"))]
#[serde(rename_all = "camelCase")]
pub struct EtcdSettings {
    /// How large the database may grow before etcd stops accepting writes, for example `4Gi`. If absent, a quarter of the volume, at
    /// least 16 MiB and at most 8 GiB. Refused if it is below 1.2 times the present database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_backend_bytes: Option<Amount>,
    /// How etcd chooses the revisions that it compacts by itself: by age (`periodic`) or by number (`revision`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_compaction_mode: Option<CompactionMode>,
    /// How much history etcd keeps when it compacts by itself: a duration such as `1h30m`, or a number of revisions. If absent, it
    /// compacts nothing.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_compaction_retention: Option<String>,
    /// Committed requests after which etcd writes a snapshot to disk.
    #[schemars(range(min = 1, max = 100_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_count: Option<i64>,
    /// Milliseconds between two heartbeats of the leader; 100 if absent. About the round trip between members.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval_milliseconds: Option<i64>,
    /// Milliseconds without a heartbeat after which a member asks for votes; 1000 if absent. At least five heartbeats.
    #[schemars(range(min = 5, max = 50_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub election_timeout_milliseconds: Option<i64>,
    /// The largest request that etcd accepts, for example `1536Ki`.
    #[x_kube(validation = Rule::new("quantity(string(self)).isInteger() && quantity(string(self)).asInteger() <= 104857600")
        .message("maxRequestBytes must be a whole number of bytes, at most 100Mi"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<Amount>,
    /// The most operations that a transaction may have; 128 if absent.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_txn_ops: Option<i64>,
    /// How much etcd's metrics tell: `basic`, or with the histograms of every gRPC call `extensive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsLevel>,
    /// How much etcd logs; `info` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Where etcd sends traces of its calls. If absent, it traces nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<TracingSettings>,
    /// etcd's feature gates, as `NAME: true`. Those that look for corruption are always on.
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = rules::gates())]
    #[x_kube(validation = Rule::new("!('LeaseCheckpointPersist' in self && self['LeaseCheckpointPersist']) || \
        ('LeaseCheckpoint' in self && self['LeaseCheckpoint'])").message("LeaseCheckpointPersist needs LeaseCheckpoint"))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// Other options of etcd, by their names in etcd 3.7, with their values as text: `max-wals: "10"`. Options that members of the
    /// cluster's version call otherwise are translated; those that the operator sets, or that endanger data, are refused.
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::known())]
    #[x_kube(validation = rules::not_dangerous())]
    #[x_kube(validation = rules::not_reserved())]
    #[x_kube(validation = rules::no_field())]
    #[x_kube(validation = rules::no_old_name())]
    #[x_kube(validation = rules::numbers())]
    #[x_kube(validation = rules::switches())]
    #[x_kube(validation = rules::durations())]
    #[x_kube(validation = rules::origins())]
    #[x_kube(validation = rules::words())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, OptionValue>,
    /// Client URLs that each member advertises beside the one inside the cluster, for clients outside. `{member}` stands for the
    /// member's name: `http://{member}.etcd.example.com:2379`.
    #[x_kube(validation = Rule::new("self.all(url, url.matches('^https?://([-a-zA-Z0-9.{}]+|\\\\[[0-9a-fA-F:]+\\\\]):[0-9]{1,5}$'))")
        .message("a client URL must be http:// or https://, a host and a port, and may hold {member} in the host"))]
    #[schemars(length(max = 8), inner(length(max = 253)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advertised_client_urls: Vec<String>,
}

/// The value of an option, as text.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
#[serde(transparent)]
pub struct OptionValue(#[schemars(length(max = 1024))] pub String);

/// How etcd chooses what it compacts by itself.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
#[serde(rename_all = "lowercase")]
pub enum CompactionMode {
    /// By age.
    Periodic,
    /// By number.
    Revision,
}

/// How much etcd's metrics tell.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// The usual ones.
    Basic,
    /// With the histograms of gRPC calls.
    Extensive,
}

/// How much etcd logs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(transform = described::by_its_field)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
    /// What etcd panics of.
    Panic,
    /// What etcd ends of.
    Fatal,
}

/// Where etcd sends its traces, by OTLP over gRPC.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TracingSettings {
    /// Host and port of the collector.
    #[schemars(length(min = 1, max = 253))]
    pub address: String,
    /// The name of the service in the traces; `etcd` if absent.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// How many of a million calls are traced; none of them if absent, unless the caller traces its own.
    #[schemars(range(min = 0, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples_per_million: Option<i64>,
}
