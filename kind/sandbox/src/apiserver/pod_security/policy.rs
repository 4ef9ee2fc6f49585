//! What the labels of a namespace say: a level, and by the rules of which version of Kubernetes.
//!
//! Pure.

use std::fmt;

use serde_json::{Value, json};

use super::super::error::Cause;
use super::super::json::text;

const PREFIX: &str = "pod-security.kubernetes.io";
const MODES: [&str; 3] = ["enforce", "audit", "warn"];
const NO_LEVEL: &str = "must be one of privileged, baseline, restricted";
const NO_VERSION: &str = "must be \"latest\" or \"v1.x\"";

/// How much a namespace allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The rules of which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Latest,
    /// `v1.` and this.
    Minor(u32),
}

/// What a namespace enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) level: Level,
    version: Version,
}

impl Policy {
    /// Reads a namespace. Without labels everything is allowed; a level that can't be read allows least.
    pub(super) fn of(namespace: &Value) -> Self {
        let level = label(namespace, "enforce");
        let version = label(namespace, "enforce-version");
        Self {
            level: level.map_or(Level::Privileged, |text| Level::read(text).unwrap_or(Level::Restricted)),
            version: version.and_then(Version::read).unwrap_or(Version::Latest),
        }
    }

    /// The minor version whose rules hold; beyond all for the latest.
    pub(super) fn minor(self) -> u32 {
        match self.version {
            Version::Latest => u32::MAX,
            Version::Minor(minor) => minor,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            Version::Latest => write!(out, "{level}:latest"),
            Version::Minor(minor) => write!(out, "{level}:v1.{minor}"),
        }
    }
}

impl Level {
    fn read(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let minor = text.strip_prefix("v1.")?;
        let canonical =
            minor == "0" || !minor.starts_with('0') && minor.bytes().all(|one| one.is_ascii_digit());
        minor.parse().ok().filter(|_| canonical).map(Self::Minor)
    }
}

/// The labels that say nothing, level before version, mode by mode.
pub(super) fn wrong_labels(namespace: &Value) -> Vec<Cause> {
    let mut wrong = Vec::new();
    for mode in MODES {
        let version = format!("{mode}-version");
        let looked = [
            (mode, NO_LEVEL, label(namespace, mode).is_some_and(|text| Level::read(text).is_none())),
            (
                &version,
                NO_VERSION,
                label(namespace, &version).is_some_and(|text| Version::read(text).is_none()),
            ),
        ];
        for (name, why, is_wrong) in looked {
            if is_wrong {
                let value = json!(label(namespace, name));
                wrong.push(Cause::invalid(format!("metadata.labels[{PREFIX}/{name}]"), &value, why));
            }
        }
    }
    wrong
}

fn label<'a>(namespace: &'a Value, name: &str) -> Option<&'a str> {
    let pointer = format!("/metadata/labels/{PREFIX}~1{name}");
    namespace.pointer(&pointer).map(|_| text(namespace, &pointer))
}
