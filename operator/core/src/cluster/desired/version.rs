//! etcd versions: three numbers, and which of them are safe to run. Never looks at a running member.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An etcd version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EtcdVersion {
    /// Always 3 today.
    pub major: u32,
    /// The minor.
    pub minor: u32,
    /// The patch.
    pub patch: u32,
}

/// A minor of etcd with all its patches: `3.6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Always 3 today.
    pub major: u32,
    /// The minor.
    pub minor: u32,
}

impl Line {
    /// Reads `3.6` or `3.6.0`, as etcd writes minors.
    pub fn parse(text: &str) -> Option<Line> {
        let with_patch = EtcdVersion::parse(text).or_else(|| EtcdVersion::parse(&format!("{text}.0")));
        with_patch.map(EtcdVersion::line)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl EtcdVersion {
    /// Its minor.
    pub fn line(self) -> Line {
        Line { major: self.major, minor: self.minor }
    }

    /// Reads `3.6.16`. Anything else, a leading `v` included, is none.
    pub fn parse(text: &str) -> Option<EtcdVersion> {
        let mut parts = text.split('.').map(parse_number);
        let version = EtcdVersion { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }

    /// Whether the version is one that may be run without being asked twice.
    ///
    /// 3.5 below 32 and 3.6 below 11 are what etcd's own guides refuse as a start for an upgrade: they can leave members
    /// in the list that were removed (<https://etcd.io/docs/v3.6/upgrades/upgrade_3_6/>,
    /// <https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/>).
    pub fn is_supported(self) -> bool {
        match (self.major, self.minor) {
            (3, 5) => self.patch >= 32,
            (3, 6) => self.patch >= 11,
            (3, 7) => true,
            _ => false,
        }
    }

    /// Whether TLS may be used: in earlier versions a client that opens a connection and says nothing keeps the others out.
    pub fn has_sound_tls(self) -> bool {
        match (self.major, self.minor) {
            (3, 5) => self.patch >= 33,
            (3, 6) => self.patch >= 14,
            (3, 7) => self.patch >= 1,
            _ => true,
        }
    }
}

/// A number without a sign and without leading zeros.
fn parse_number(text: &str) -> Option<u32> {
    let is_plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if is_plain { text.parse().ok() } else { None }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl TryFrom<String> for EtcdVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        EtcdVersion::parse(&text).ok_or_else(|| format!("{text:?} is no version of three numbers"))
    }
}

impl From<EtcdVersion> for String {
    fn from(version: EtcdVersion) -> String {
        version.to_string()
    }
}
