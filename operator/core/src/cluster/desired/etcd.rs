//! etcd's own settings, parsed. Never compares them with what runs.

use std::collections::BTreeMap;

use super::{EtcdVersion, Invalid, quantity};
use crate::api::{Amount, CompactionMode, EtcdSettings, LogLevel, MetricsLevel, TracingSettings};
use crate::etcd_options::{self, EtcdOptions, FEATURE_GATES, OPTIONS, Refused};

/// The longest time without a heartbeat that etcd accepts, in milliseconds (`maxElectionMs` in `server/embed/config.go`).
const LONGEST_ELECTION_TIMEOUT: i64 = 50_000;
const DEFAULT_HEARTBEAT: i64 = 100;
const DEFAULT_ELECTION_TIMEOUT: i64 = 1_000;

/// What a spec asks of etcd.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DesiredEtcd {
    /// All options but the quota.
    pub options: EtcdOptions,
    /// The quota in bytes; what fits the volume if `None`.
    pub quota_backend_bytes: Option<u64>,
}

pub(super) fn parse(settings: Option<&EtcdSettings>, version: EtcdVersion) -> Result<DesiredEtcd, Invalid> {
    let Some(settings) = settings else { return Ok(DesiredEtcd::default()) };
    // Destructured without `..`, so that a new field cannot be forgotten here.
    let EtcdSettings {
        quota_backend_bytes,
        auto_compaction_mode,
        auto_compaction_retention,
        snapshot_count,
        heartbeat_interval_milliseconds,
        election_timeout_milliseconds,
        max_request_bytes,
        max_txn_ops,
        metrics,
        log_level,
        tracing,
        feature_gates,
        options,
        advertised_client_urls,
    } = settings;
    check_times(*heartbeat_interval_milliseconds, *election_timeout_milliseconds)?;
    check_compaction(*auto_compaction_mode, auto_compaction_retention.as_deref())?;
    let bytes =
        max_request_bytes.as_ref().map(|amount| bytes("spec.etcd.maxRequestBytes", amount)).transpose()?;
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    let mut set: BTreeMap<String, String> = [
        ("auto-compaction-mode", auto_compaction_mode.map(compaction_mode)),
        ("auto-compaction-retention", auto_compaction_retention.clone()),
        ("snapshot-count", number(*snapshot_count)),
        ("heartbeat-interval", number(*heartbeat_interval_milliseconds)),
        ("election-timeout", number(*election_timeout_milliseconds)),
        ("max-request-bytes", bytes.map(|bytes| bytes.to_string())),
        ("max-txn-ops", number(*max_txn_ops)),
        ("metrics", metrics.map(metrics_level)),
        ("log-level", log_level.map(level)),
    ]
    .into_iter()
    .chain(tracing.iter().flat_map(of_tracing))
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    for option in OPTIONS {
        if let Some(value) = set.get(option.name) {
            etcd_options::check_value(option, value).map_err(Invalid::EtcdOption)?;
        }
    }
    for (name, value) in options {
        etcd_options::check(name, &value.0).map_err(Invalid::EtcdOption)?;
        set.insert(name.clone(), value.0.clone());
    }
    check_gates(feature_gates)?;
    let options = EtcdOptions {
        options: set,
        feature_gates: feature_gates.clone(),
        advertised_client_urls: parse_urls(advertised_client_urls)?,
    };
    options.check_version(version).map_err(Invalid::EtcdOption)?;
    let quota = quota_backend_bytes.as_ref();
    let quota = quota.map(|amount| bytes_of_quota("spec.etcd.quotaBackendBytes", amount)).transpose()?;
    Ok(DesiredEtcd { options, quota_backend_bytes: quota })
}

fn compaction_mode(mode: CompactionMode) -> String {
    match mode {
        CompactionMode::Periodic => "periodic",
        CompactionMode::Revision => "revision",
    }
    .to_owned()
}

fn metrics_level(level: MetricsLevel) -> String {
    match level {
        MetricsLevel::Basic => "basic",
        MetricsLevel::Extensive => "extensive",
    }
    .to_owned()
}

fn level(level: LogLevel) -> String {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Panic => "panic",
        LogLevel::Fatal => "fatal",
    }
    .to_owned()
}

fn of_tracing(tracing: &TracingSettings) -> [(&'static str, Option<String>); 4] {
    let TracingSettings { address, service_name, samples_per_million } = tracing;
    [
        ("enable-distributed-tracing", Some("true".to_owned())),
        ("distributed-tracing-address", Some(address.clone())),
        ("distributed-tracing-service-name", service_name.clone()),
        ("distributed-tracing-sampling-rate", samples_per_million.map(|samples| samples.to_string())),
    ]
}

/// etcd's own rules about its two times.
fn check_times(heartbeat: Option<i64>, election: Option<i64>) -> Result<(), Invalid> {
    let heartbeat = heartbeat.unwrap_or(DEFAULT_HEARTBEAT);
    let election = election.unwrap_or(DEFAULT_ELECTION_TIMEOUT);
    if heartbeat < 1 || election < heartbeat.saturating_mul(5) || election > LONGEST_ELECTION_TIMEOUT {
        return Err(Invalid::ElectionTimeout { heartbeat, election });
    }
    Ok(())
}

fn check_compaction(mode: Option<CompactionMode>, retention: Option<&str>) -> Result<(), Invalid> {
    let Some(retention) = retention else {
        return if mode.is_some() { Err(Invalid::CompactionRetention(String::new())) } else { Ok(()) };
    };
    let is_number = !retention.is_empty() && retention.bytes().all(|byte| byte.is_ascii_digit());
    let is_valid = match mode {
        Some(CompactionMode::Revision) => is_number,
        Some(CompactionMode::Periodic) | None => {
            let unit = retention.chars().next_back();
            is_number || (matches!(unit, Some('s' | 'm' | 'h')) && etcd_options::is_duration(retention))
        }
    };
    if is_valid { Ok(()) } else { Err(Invalid::CompactionRetention(retention.to_owned())) }
}

fn check_gates(gates: &BTreeMap<String, bool>) -> Result<(), Invalid> {
    if let Some(unknown) =
        gates.keys().find(|name| FEATURE_GATES.iter().all(|gate| gate.name != name.as_str()))
    {
        return Err(Invalid::EtcdOption(Refused::Unknown(unknown.clone())));
    }
    let is_on = |name: &str| gates.get(name).copied().unwrap_or(false);
    if is_on("LeaseCheckpointPersist") && !is_on("LeaseCheckpoint") {
        return Err(Invalid::EtcdOption(Refused::PersistWithoutCheckpoint));
    }
    Ok(())
}

fn bytes(field: &str, amount: &Amount) -> Result<u32, Invalid> {
    let bytes = bytes_of_quota(field, amount)?;
    u32::try_from(bytes).map_err(|_| refused(field, amount))
}

fn bytes_of_quota(field: &str, amount: &Amount) -> Result<u64, Invalid> {
    let thousandths = quantity::parse(&amount.0).filter(|value| *value > 0 && value % 1000 == 0);
    let bytes = thousandths.and_then(|value| u64::try_from(value / 1000).ok());
    bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(|| refused(field, amount))
}

fn refused(field: &str, amount: &Amount) -> Invalid {
    Invalid::Quantity { field: field.to_owned(), value: amount.0.clone(), example: "4Gi" }
}

/// The host of a URL may hold the member's name; all else is as etcd accepts it.
fn parse_urls(urls: &[String]) -> Result<Vec<String>, Invalid> {
    for url in urls {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let is_plain = rest.and_then(|rest| rest.rsplit_once(':')).is_some_and(|(host, port)| {
            let host_is_plain = !host.is_empty() && !host.contains(['/', ',', ' ', '@', '?', '#']);
            host_is_plain && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !is_plain {
            return Err(Invalid::ClientUrl(url.clone()));
        }
    }
    Ok(urls.to_vec())
}
