//! From what is written to what is meant: every value checked once, with its place at hand. Pure.

use super::error::{ScenarioError, Source};
use super::fields::Fields;
use super::raw::{At, RawAllow, RawCluster, RawExpect, RawLoad, RawScenario, RawSelector, RawSubject};
use super::{
    Allow, ClusterSize, EtcdVersion, Expect, Fault, Load, Mix, Period, PlannedFault, QuorumLoss, Scenario,
    Seed, Subject, SubjectCluster, SubjectSelector, model, validate_fault,
};

/// The seed of a scenario that names none.
const DEFAULT_SEED: Seed = Seed(1);
/// The newest release that the project tests first.
const DEFAULT_VERSION: &str = "3.6.16";
const DEFAULT_STORAGE: &str = "1Gi";
/// Most bytes of keys in a scenario that compares what backups hold.
const MOST_COMPARED_BYTES: u64 = 1024 * 1024;
/// The oldest release of each line that is supported, by the project's policy.
const SUPPORTED: [(u16, u16, u16); 3] = [(3, 5, 32), (3, 6, 11), (3, 7, 0)];

/// Checks everything that one value, or one fault by itself, can have wrong.
pub(super) fn validate(source: &Source<'_>, raw: &RawScenario) -> Result<Scenario, ScenarioError> {
    let fields = Fields::of(source);
    let subject = subject(&fields, &raw.subject)?;
    let faults = validate_fault::faults(&fields, raw, &subject)?;
    let load = load(&fields, &raw.load)?;
    comparable(&fields, raw, &load, &faults)?;
    enough_clients(&fields, raw, &load, subject.largest_size(faults.iter().map(|planned| &planned.fault)))?;
    Ok(Scenario {
        name: fields.parsed("name", &raw.name)?,
        seed: raw.seed.map_or(DEFAULT_SEED, Seed),
        load,
        faults,
        expect: expect(&fields, &raw.expect)?,
        allow: allow(&fields, &raw.allow)?,
        subject,
    })
}

/// What a backup holds is written into the record whole.
fn comparable(
    fields: &Fields<'_>,
    raw: &RawScenario,
    load: &Load,
    faults: &[PlannedFault],
) -> Result<(), ScenarioError> {
    let bytes = u64::from(load.keys) * load.value_bytes as u64;
    let is_compared = faults.iter().any(|planned| planned.fault == Fault::Backup);
    if !is_compared || bytes <= MOST_COMPARED_BYTES {
        return Ok(());
    }
    let message = format!(
        "`kind: backup` compares all keys: keys × valueBytes is {bytes}, and may be {MOST_COMPARED_BYTES} at most"
    );
    match (&raw.load.keys, &raw.load.value_bytes) {
        (Some(at), _) => Err(fields.error("load.keys", at, message)),
        (None, Some(at)) => Err(fields.error("load.valueBytes", at, message)),
        (None, None) => Err(fields.error("faults", &raw.faults, message)),
    }
}

/// Some client always asks each member, so that a member is asked while it is cut off; and one asks the Service.
fn enough_clients(
    fields: &Fields<'_>,
    raw: &RawScenario,
    load: &Load,
    size: ClusterSize,
) -> Result<(), ScenarioError> {
    let needed = size.members() as u64 + 1;
    match &raw.load.clients {
        Some(at) if u64::from(load.clients) < needed => {
            let message = format!(
                "{} are too few: each of {size} members has a client of its own, and one asks the Service: write {needed} or more",
                load.clients
            );
            Err(fields.error("load.clients", at, message))
        }
        Some(_) | None => Ok(()),
    }
}

fn subject(fields: &Fields<'_>, raw: &At<RawSubject>) -> Result<Subject, ScenarioError> {
    match (&raw.value.cluster, &raw.value.selector) {
        (Some(cluster), None) => Ok(Subject::Cluster(cluster_of(fields, cluster)?)),
        (None, Some(selector)) => Ok(Subject::Selector(selector_of(fields, selector)?)),
        (Some(_), Some(_)) => {
            Err(fields.error("subject", raw, "`cluster` and `selector` exclude each other"))
        }
        (None, None) => Err(fields.error("subject", raw, "write `cluster` or `selector`")),
    }
}

fn cluster_of(fields: &Fields<'_>, raw: &RawCluster) -> Result<SubjectCluster, ScenarioError> {
    let version = match &raw.version {
        Some(at) => supported_version(fields, "subject.cluster.version", at)?,
        None => DEFAULT_VERSION.parse().expect("the default version is a version"),
    };
    let storage = match &raw.storage {
        Some(at) if is_quantity(&at.value) => at.value.clone(),
        Some(at) => {
            let message = format!("`{}` is not a size of a volume: write 512Mi, 1Gi or 10Gi", at.value);
            return Err(fields.error("subject.cluster.storage", at, message));
        }
        None => DEFAULT_STORAGE.to_owned(),
    };
    let most = Period::from_seconds(3600);
    let soak = match &raw.soak {
        Some(at) => Some(fields.period("subject.cluster.soak", at, Period::default()..=most)?),
        None => None,
    };
    let size = fields.size("subject.cluster.size", &raw.size)?;
    let tls = raw.tls.as_ref().map(|at| at.value.clone());
    Ok(SubjectCluster { size, version, storage, soak, tls })
}

/// A version of etcd that the project supports.
pub(super) fn supported_version(
    fields: &Fields<'_>,
    field: &str,
    at: &At<String>,
) -> Result<EtcdVersion, ScenarioError> {
    let version: EtcdVersion = fields.parsed(field, at)?;
    if is_supported(&version) {
        return Ok(version);
    }
    let message = format!("etcd {version} is not supported: use 3.5.32 or later, 3.6.11 or later, or 3.7");
    Err(fields.error(field, at, message))
}

fn is_supported(version: &EtcdVersion) -> bool {
    let (major, minor, patch) = version.numbers();
    SUPPORTED.iter().any(|oldest| (major, minor) == (oldest.0, oldest.1) && patch >= oldest.2)
}

/// A whole number with a binary unit: the part of Kubernetes' quantities that sizes of volumes are written in.
fn is_quantity(text: &str) -> bool {
    let Some(digits) = ["Mi", "Gi", "Ti"].iter().find_map(|unit| text.strip_suffix(unit)) else {
        return false;
    };
    digits.len() <= 6
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.trim_start_matches('0').is_empty()
}

fn selector_of(fields: &Fields<'_>, raw: &RawSelector) -> Result<SubjectSelector, ScenarioError> {
    if raw.labels.value.is_empty() {
        let message = "without a label every pod of the namespace would be a member";
        return Err(fields.error("subject.selector.labels", &raw.labels, message));
    }
    Ok(SubjectSelector {
        namespace: raw.namespace.value.clone(),
        labels: raw.labels.value.clone(),
        size: fields.size("subject.selector.size", &raw.size)?,
        container: raw.container.as_ref().map_or_else(|| "etcd".to_owned(), |at| at.value.clone()),
    })
}

fn load(fields: &Fields<'_>, raw: &RawLoad) -> Result<Load, ScenarioError> {
    let millisecond = Period::from_milliseconds;
    let second = Period::from_seconds;
    let mix = match &raw.mix {
        None => Mix { put: 50, get: 35, transaction: 15 },
        Some(at) => Mix { put: at.value.put, get: at.value.get, transaction: at.value.transaction },
    };
    if let Some(at) = raw.mix.as_ref().filter(|_| mix.put == 0) {
        let message = "`put` must not be 0: without writes a run proves nothing";
        return Err(fields.error("load.mix", at, message));
    }
    if let Some(at) =
        raw.mix.as_ref().filter(|_| [mix.put, mix.get, mix.transaction].iter().any(|w| *w > 1000))
    {
        return Err(fields.error("load.mix", at, "a weight is at most 1000"));
    }
    let timeout_bounds = millisecond(50)..=second(60);
    let pause_bounds = Period::default()..=second(600);
    Ok(Load {
        clients: fields.small_number_or("load.clients", raw.clients.as_ref(), 1..=256, 8)?,
        requests_per_second: fields.small_number_or(
            "load.requestsPerSecond",
            raw.requests_per_second.as_ref(),
            1..=20_000,
            200,
        )?,
        keys: fields.small_number_or("load.keys", raw.keys.as_ref(), 1..=100_000, 32)?,
        value_bytes: fields.small_number_or("load.valueBytes", raw.value_bytes.as_ref(), 32..=65_536, 128)?,
        mix,
        request_timeout: fields.period_or(
            "load.requestTimeout",
            raw.request_timeout.as_ref(),
            timeout_bounds,
            second(2),
        )?,
        warm_up: fields.period_or("load.warmUp", raw.warm_up.as_ref(), pause_bounds.clone(), second(3))?,
        cool_down: fields.period_or("load.coolDown", raw.cool_down.as_ref(), pause_bounds, second(3))?,
    })
}

fn expect(fields: &Fields<'_>, raw: &RawExpect) -> Result<Expect, ScenarioError> {
    let bounds = Period::from_seconds(1)..=Period::from_seconds(3600);
    let seconds = Period::from_seconds;
    let period = |field: &str, at: Option<&At<String>>, default: Period| {
        fields.period_or(&format!("expect.{field}"), at, bounds.clone(), default)
    };
    Ok(Expect {
        quorum_back_within: period("quorumBackWithin", raw.quorum_back_within.as_ref(), seconds(30))?,
        recovery_within: period("recoveryWithin", raw.recovery_within.as_ref(), seconds(120))?,
        status_lag_within: period("statusLagWithin", raw.status_lag_within.as_ref(), seconds(10))?,
        steady_for: period("steadyFor", raw.steady_for.as_ref(), model::steady_for())?,
        repair_within: period("repairWithin", raw.repair_within.as_ref(), model::repair_within())?,
        longest_outage: period("longestOutage", raw.longest_outage.as_ref(), model::longest_outage())?,
        acknowledged_writes: fields.number_or(
            "expect.acknowledgedWrites",
            raw.acknowledged_writes.as_ref(),
            1..=10_000_000,
            100,
        )?,
        acknowledged_writes_per_fault: fields.number_or(
            "expect.acknowledgedWritesPerFault",
            raw.acknowledged_writes_per_fault.as_ref(),
            1..=1_000_000,
            5,
        )?,
    })
}

fn allow(fields: &Fields<'_>, raw: &RawAllow) -> Result<Allow, ScenarioError> {
    let bounds = Period::from_seconds(1)..=Period::from_seconds(3600);
    let quorum_loss = match &raw.quorum_loss {
        None => None,
        Some(raw) => {
            let field = "allow.quorumLoss.quorumBackWithin";
            Some(QuorumLoss { quorum_back_within: fields.period(field, &raw.quorum_back_within, bounds)? })
        }
    };
    Ok(Allow { quorum_loss })
}
