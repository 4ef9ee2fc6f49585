//! etcd's own options: what a spec may say of them, and how a member of one minor is told. Never starts etcd.

mod duration;
pub mod rules;
mod table;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use table::{DANGEROUS, EtcdOption, FEATURE_GATES, FeatureGate, OPTIONS, RESERVED, Takes};

use crate::cluster::desired::{EtcdVersion, Line};

/// Options and feature gates that differ from etcd's defaults, by the names that etcd 3.7 has for them. Every one is in
/// the tables, and has a value that etcd can read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdOptions {
    /// By name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// By name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// Client URLs that members advertise beside the one inside the cluster; `{member}` stands for the member's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advertised_client_urls: Vec<String>,
}

/// What is wrong with an option.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It endangers data.
    #[error("{0} is refused: {1}")]
    Dangerous(String, &'static str),
    /// The operator sets it.
    #[error("{0} is set by the operator")]
    Reserved(String),
    /// There is a field for it.
    #[error("{0} has a field of its own: spec.etcd.{1}")]
    HasField(String, &'static str),
    /// It is named as in 3.5.
    #[error("{0} is the name in etcd 3.5; write {1}, which fits every version")]
    OldName(String, &'static str),
    /// Nobody knows it.
    #[error("{0} is not an option of etcd 3.5 to 3.7 that can be set")]
    Unknown(String),
    /// The version does not have it.
    #[error("{0} is not known to etcd {1}")]
    NotInVersion(String, EtcdVersion),
    /// The value cannot be read.
    #[error("{name} is {value:?}; it must be {wanted}")]
    Value {
        /// The option.
        name: String,
        /// What it says.
        value: String,
        /// What it takes.
        wanted: String,
    },
    /// One gate needs another.
    #[error("feature gate LeaseCheckpointPersist needs LeaseCheckpoint")]
    PersistWithoutCheckpoint,
}

impl Takes {
    /// In words.
    pub fn wanted(self) -> String {
        match self {
            Takes::Number => "a whole number".to_owned(),
            Takes::Switch => "true or false".to_owned(),
            Takes::Duration => "a duration, for example 500ms or 1m30s".to_owned(),
            Takes::OneOf(words) => format!("one of {}", words.join(", ")),
            Takes::Origins => {
                "* or origins with their ports, for example https://example.com:443, apart by commas"
                    .to_owned()
            }
            Takes::Text => "a text".to_owned(),
        }
    }

    /// The value as etcd's configuration file has it; `None` if it cannot be read.
    fn read(self, value: &str) -> Option<Value> {
        match self {
            Takes::Number => {
                let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                value.parse::<u32>().ok().filter(|_| is_plain).map(|number| json!(number))
            }
            Takes::Switch => value.parse::<bool>().ok().map(|is_on| json!(is_on)),
            // Go's durations are nanoseconds in JSON.
            Takes::Duration => duration::nanoseconds(value).map(|nanoseconds| json!(nanoseconds)),
            Takes::OneOf(words) => words.contains(&value).then(|| json!(value)),
            Takes::Origins => is_origins(value).then(|| json!(value)),
            Takes::Text => Some(json!(value)),
        }
    }
}

/// Whether etcd takes it as origins of pages: it ends at once where one has no port.
fn is_origins(value: &str) -> bool {
    let is_origin = |origin: &str| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.and_then(|host| host.rsplit_once(':')).is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['/', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    value == "*" || value.split(',').all(is_origin)
}

/// Whether a text is a duration as Go writes it.
pub fn is_duration(text: &str) -> bool {
    duration::nanoseconds(text).is_some()
}

fn by_name(name: &str) -> Option<&'static EtcdOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

fn gate_by_name(name: &str) -> Option<&'static FeatureGate> {
    FEATURE_GATES.iter().find(|gate| gate.name == name)
}

/// Checks an option that is set by its name.
///
/// # Errors
/// Says why it cannot be set.
pub fn check(name: &str, value: &str) -> Result<(), Refused> {
    if let Some((_, why)) = DANGEROUS.iter().find(|(dangerous, _)| *dangerous == name) {
        return Err(Refused::Dangerous(name.to_owned(), why));
    }
    if RESERVED.contains(&name) {
        return Err(Refused::Reserved(name.to_owned()));
    }
    let Some(option) = by_name(name) else {
        let renamed = OPTIONS.iter().find(|option| option.in_3_5 == Some(name));
        return Err(match renamed {
            Some(option) => Refused::OldName(name.to_owned(), option.name),
            None => Refused::Unknown(name.to_owned()),
        });
    };
    if let Some(field) = option.field {
        return Err(Refused::HasField(name.to_owned(), field));
    }
    check_value(option, value)
}

/// Checks the value of an option, whoever sets it.
///
/// # Errors
/// Says what it takes.
pub fn check_value(option: &EtcdOption, value: &str) -> Result<(), Refused> {
    let refused = || Refused::Value {
        name: option.name.to_owned(),
        value: value.to_owned(),
        wanted: option.takes.wanted(),
    };
    option.takes.read(value).map(|_| ()).ok_or_else(refused)
}

impl EtcdOptions {
    /// Whether all is as etcd has it by default.
    pub fn is_default(&self) -> bool {
        *self == EtcdOptions::default()
    }

    /// Checks that members of a version know all that is set.
    ///
    /// # Errors
    /// Names the first that they do not know.
    pub fn check_version(&self, version: EtcdVersion) -> Result<(), Refused> {
        let unknown_option =
            self.options.keys().find(|name| by_name(name).is_none_or(|one| key(one, version).is_none()));
        let unknown_gate = self
            .feature_gates
            .keys()
            .find(|name| gate_by_name(name).is_none_or(|gate| !has_gate(gate, version)));
        match unknown_option.or(unknown_gate) {
            Some(name) => Err(Refused::NotInVersion(name.clone(), version)),
            None => Ok(()),
        }
    }

    /// The entries of the configuration file of a member of a version. What that version does not know is left out: it counts once
    /// the member is upgraded.
    pub fn configuration(&self, version: EtcdVersion) -> Map<String, Value> {
        let options = self.options.iter().filter_map(|(name, value)| {
            let option = by_name(name)?;
            Some((key(option, version)?.to_owned(), option.takes.read(value)?))
        });
        let old_gates = FEATURE_GATES.iter().filter_map(|gate| {
            let is_on = self.feature_gates.get(gate.name)?;
            let key = gate.in_3_5.filter(|_| !has_gates(version))?;
            Some((key.to_owned(), json!(is_on)))
        });
        options.chain(old_gates).collect()
    }

    /// The feature gates that are set, as `NAME=true`, for a version that has feature gates.
    pub fn gates(&self, version: EtcdVersion) -> Vec<String> {
        let has = |name: &str| gate_by_name(name).is_some_and(|gate| has_gate(gate, version));
        let set = self.feature_gates.iter().filter(|(name, _)| has_gates(version) && has(name));
        set.map(|(name, is_on)| format!("{name}={is_on}")).collect()
    }
}

/// The first minor that has feature gates, and that knows no option by an old name any more.
const FIRST_WITH_GATES: Line = Line { major: 3, minor: 6 };

/// Whether a version has feature gates. An earlier one has options instead.
pub(crate) fn has_gates(version: EtcdVersion) -> bool {
    version.line() >= FIRST_WITH_GATES
}

fn key(option: &EtcdOption, version: EtcdVersion) -> Option<&'static str> {
    if has_gates(version) { Some(option.name) } else { option.in_3_5 }
}

fn has_gate(gate: &FeatureGate, version: EtcdVersion) -> bool {
    match version.line().cmp(&FIRST_WITH_GATES) {
        Ordering::Less => gate.in_3_5.is_some(),
        Ordering::Equal => gate.in_3_6,
        Ordering::Greater => true,
    }
}
