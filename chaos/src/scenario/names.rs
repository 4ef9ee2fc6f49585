//! Names and numbers of a scenario that are checked once, where they are read. Never a bare string afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: use 1 to 40 lower-case letters, digits and dashes, starting with a letter")]
pub struct NameError(String);

// Names end up in Kubernetes object names (RFC 1123 labels, 63 characters) together with prefixes and suffixes.
fn check_name(text: &str) -> Result<(), NameError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if text.len() <= 40 && starts && !text.ends_with('-') && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(NameError(text.chars().take(60).collect()))
    }
}

macro_rules! name {
    ($(#[$documentation:meta] $name:ident),*) => {$(
        #[$documentation]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check_name(text)?;
                Ok($name(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
name! {
    /// The name of a scenario: part of the run's namespace and folder.
    ScenarioName,
    /// The name of a fault, unique in its scenario.
    FaultName
}

/// How many voting members a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ClusterSize(u8);

/// Why a number is not a [`ClusterSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a size of an etcd cluster: write 1, 3, 5 or 7 (an even member adds no safety)")]
pub struct SizeError(u64);

impl ClusterSize {
    /// Checks a number.
    ///
    /// # Errors
    /// Anything but 1, 3, 5 and 7.
    pub fn new(size: u64) -> Result<ClusterSize, SizeError> {
        match size {
            1 => Ok(ClusterSize(1)),
            3 => Ok(ClusterSize(3)),
            5 => Ok(ClusterSize(5)),
            7 => Ok(ClusterSize(7)),
            other => Err(SizeError(other)),
        }
    }

    /// The number of members.
    pub fn members(self) -> usize {
        usize::from(self.0)
    }

    /// How many members must answer for a write to be committed.
    pub fn quorum(self) -> usize {
        self.members() / 2 + 1
    }

    /// How many members may be lost while a quorum remains.
    pub fn spare(self) -> usize {
        self.members() - self.quorum()
    }
}

impl fmt::Display for ClusterSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for ClusterSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ClusterSize::new(u64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What every random choice of a run is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl fmt::Display for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// A released version of etcd, such as `3.6.16`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EtcdVersion(String);

/// Why a text is not an [`EtcdVersion`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an etcd version: write three numbers, such as 3.6.16")]
pub struct VersionError(String);

impl EtcdVersion {
    /// The version without a leading `v`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Major, minor and patch.
    pub fn numbers(&self) -> (u16, u16, u16) {
        let mut numbers = self.0.split('.').map(|part| part.parse().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        (next(), next(), next())
    }

    /// Its major and minor number.
    pub fn line(&self) -> (u16, u16) {
        let (major, minor, _) = self.numbers();
        (major, minor)
    }
}

impl FromStr for EtcdVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let parts: Vec<&str> = text.split('.').collect();
        let number = |part: &&str| part.len() <= 4 && part.parse::<u16>().is_ok() && !part.starts_with('+');
        if parts.len() == 3 && parts.iter().all(number) {
            Ok(EtcdVersion(text.to_owned()))
        } else {
            Err(VersionError(text.chars().take(60).collect()))
        }
    }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EtcdVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
