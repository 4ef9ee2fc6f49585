//! Which of etcd's options users may set, what each takes, and what each minor calls it (`server/embed/config.go` of etcd 3.5.35,
//! 3.6.16 and 3.7.3). Never reads a spec.

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A whole number, not negative.
    Number,
    /// `true` or `false`.
    Switch,
    /// A duration as Go writes it: `500ms`, `1m30s`.
    Duration,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Origins of pages, apart by commas: `*`, or scheme, host and port each, as etcd demands (`checkHostURLs`).
    Origins,
    /// Anything.
    Text,
}

/// One option, by the name that etcd 3.6 and later have for it.
#[derive(Clone, Copy, Debug)]
pub struct EtcdOption {
    /// Its key in the configuration file since 3.6, which is also its flag.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Its key in 3.5, if 3.5 has it.
    pub in_3_5: Option<&'static str>,
    /// The field of the spec that sets it; without one, `spec.etcd.options` does.
    pub field: Option<&'static str>,
}

const fn option(name: &'static str, takes: Takes) -> EtcdOption {
    EtcdOption { name, takes, in_3_5: Some(name), field: None }
}

const fn renamed(name: &'static str, in_3_5: &'static str, takes: Takes) -> EtcdOption {
    EtcdOption { name, takes, in_3_5: Some(in_3_5), field: None }
}

const fn since_3_6(name: &'static str, takes: Takes) -> EtcdOption {
    EtcdOption { name, takes, in_3_5: None, field: None }
}

impl EtcdOption {
    const fn by_field(self, field: &'static str) -> EtcdOption {
        EtcdOption { field: Some(field), ..self }
    }
}

/// Every option that may be set, those with a field of their own first.
pub const OPTIONS: &[EtcdOption] = &[
    option("auto-compaction-mode", Takes::OneOf(&["periodic", "revision"])).by_field("autoCompactionMode"),
    option("auto-compaction-retention", Takes::Text).by_field("autoCompactionRetention"),
    option("snapshot-count", Takes::Number).by_field("snapshotCount"),
    option("heartbeat-interval", Takes::Number).by_field("heartbeatIntervalMilliseconds"),
    option("election-timeout", Takes::Number).by_field("electionTimeoutMilliseconds"),
    option("max-request-bytes", Takes::Number).by_field("maxRequestBytes"),
    option("max-txn-ops", Takes::Number).by_field("maxTxnOps"),
    option("metrics", Takes::OneOf(&["basic", "extensive"])).by_field("metrics"),
    option("log-level", Takes::OneOf(&["debug", "info", "warn", "error", "panic", "fatal"]))
        .by_field("logLevel"),
    renamed("enable-distributed-tracing", "experimental-enable-distributed-tracing", Takes::Switch)
        .by_field("tracing"),
    renamed("distributed-tracing-address", "experimental-distributed-tracing-address", Takes::Text)
        .by_field("tracing.address"),
    renamed("distributed-tracing-service-name", "experimental-distributed-tracing-service-name", Takes::Text)
        .by_field("tracing.serviceName"),
    renamed(
        "distributed-tracing-sampling-rate",
        "experimental-distributed-tracing-sampling-rate",
        Takes::Number,
    )
    .by_field("tracing.samplesPerMillion"),
    renamed("snapshot-catchup-entries", "experimental-snapshot-catch-up-entries", Takes::Number),
    option("max-snapshots", Takes::Number),
    option("max-wals", Takes::Number),
    option("initial-election-tick-advance", Takes::Switch),
    option("backend-batch-interval", Takes::Duration),
    option("backend-batch-limit", Takes::Number),
    option("backend-bbolt-freelist-type", Takes::OneOf(&["array", "map"])),
    option("max-concurrent-streams", Takes::Number),
    option("grpc-keepalive-min-time", Takes::Duration),
    option("grpc-keepalive-interval", Takes::Duration),
    option("grpc-keepalive-timeout", Takes::Duration),
    option("bcrypt-cost", Takes::Number),
    option("auth-token-ttl", Takes::Number),
    option("cors", Takes::Origins),
    option("host-whitelist", Takes::Text),
    option("enable-pprof", Takes::Switch),
    renamed("corrupt-check-time", "experimental-corrupt-check-time", Takes::Duration),
    renamed("compact-hash-check-time", "experimental-compact-hash-check-time", Takes::Duration),
    renamed("compaction-batch-limit", "experimental-compaction-batch-limit", Takes::Number),
    renamed("compaction-sleep-interval", "experimental-compaction-sleep-interval", Takes::Duration),
    renamed("watch-progress-notify-interval", "experimental-watch-progress-notify-interval", Takes::Duration),
    renamed("warning-apply-duration", "experimental-warning-apply-duration", Takes::Duration),
    renamed(
        "bootstrap-defrag-threshold-megabytes",
        "experimental-bootstrap-defrag-threshold-megabytes",
        Takes::Number,
    ),
    since_3_6("warning-unary-request-duration", Takes::Duration),
    since_3_6("log-format", Takes::OneOf(&["json", "console"])),
];

/// A switch that etcd 3.6 made a feature gate.
#[derive(Clone, Copy, Debug)]
pub struct FeatureGate {
    /// Its name.
    pub name: &'static str,
    /// The key that did the same in 3.5, if any did.
    pub in_3_5: Option<&'static str>,
    /// Whether 3.6 knows it.
    pub in_3_6: bool,
}

/// The gates that may be set. Those that look for corruption are always on.
pub const FEATURE_GATES: &[FeatureGate] = &[
    FeatureGate { name: "FastLeaseKeepAlive", in_3_5: None, in_3_6: false },
    FeatureGate {
        name: "LeaseCheckpoint",
        in_3_5: Some("experimental-enable-lease-checkpoint"),
        in_3_6: true,
    },
    FeatureGate {
        name: "LeaseCheckpointPersist",
        in_3_5: Some("experimental-enable-lease-checkpoint-persist"),
        in_3_6: true,
    },
    FeatureGate { name: "PriorityRequest", in_3_5: None, in_3_6: false },
    FeatureGate { name: "SetMemberLocalAddr", in_3_5: None, in_3_6: true },
    FeatureGate {
        name: "StopGRPCServiceOnDefrag",
        in_3_5: Some("experimental-stop-grpc-service-on-defrag"),
        in_3_6: true,
    },
    FeatureGate {
        name: "TxnModeWriteWithSharedBuffer",
        in_3_5: Some("experimental-txn-mode-write-with-shared-buffer"),
        in_3_6: true,
    },
];

/// Options that endanger what etcd has acknowledged, and how.
pub const DANGEROUS: &[(&str, &str)] = &[
    ("unsafe-no-fsync", "a member that crashes would lose writes that it has acknowledged"),
    ("force-new-cluster", "each member would become a cluster of its own, with its own history"),
    ("pre-vote", "without it, a member that comes back interrupts the leader"),
];

/// Options that the operator sets itself, because members could not find or trust each other otherwise.
pub const RESERVED: &[&str] = &[
    "advertise-client-urls",
    "allowed-cn",
    "auth-token",
    "auto-tls",
    "cert-file",
    "cipher-suites",
    "client-cert-auth",
    "client-transport-security",
    "config-file",
    "data-dir",
    "discovery",
    "discovery-config",
    "discovery-proxy",
    "discovery-srv",
    "discovery-srv-name",
    "enable-log-rotation",
    "feature-gates",
    "initial-advertise-peer-urls",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "key-file",
    "listen-client-http-urls",
    "listen-client-urls",
    "listen-metrics-urls",
    "listen-peer-urls",
    "log-outputs",
    "log-rotation-config-json",
    "logger",
    "name",
    "peer-auto-tls",
    "peer-cert-file",
    "peer-client-cert-auth",
    "peer-key-file",
    "peer-transport-security",
    "peer-trusted-ca-file",
    "quota-backend-bytes",
    "strict-reconfig-check",
    "tls-max-version",
    "tls-min-version",
    "trusted-ca-file",
    "wal-dir",
];
