//! Names, numbers and moments of a history, each a type of its own. Never a bare string or integer.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One client of the load, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u32);

impl fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "client {}", self.0)
    }
}

/// A key as the load wrote it, prefix included. The load writes keys of ASCII letters, digits and `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A value as the load wrote it. The load never writes one value twice in a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(pub String);

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may be kilobytes of padding; its start names it.
        match self.0.char_indices().nth(40) {
            Some((end, _)) => write!(formatter, "{}…", &self.0[..end]),
            None => formatter.write_str(&self.0),
        }
    }
}

/// A revision of etcd's key space. Grows by one with every committed transaction that changes a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Nanoseconds on the writer's monotonic clock since the [`Header`](super::Header).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Elapsed(pub u64);

impl Elapsed {
    /// The count of nanoseconds.
    pub fn nanoseconds(self) -> u64 {
        self.0
    }
}

/// Nanoseconds since 1970-01-01 UTC on a wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixNanoseconds(pub u64);

impl UnixNanoseconds {
    /// The moment so many nanoseconds later; stays at the end of time instead of overflowing.
    pub fn plus_nanoseconds(self, nanoseconds: u64) -> UnixNanoseconds {
        UnixNanoseconds(self.0.saturating_add(nanoseconds))
    }

    /// The moment so much later.
    pub fn plus(self, duration: std::time::Duration) -> UnixNanoseconds {
        self.plus_nanoseconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The time since an earlier moment; zero if that moment is later.
    pub fn since(self, earlier: UnixNanoseconds) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The identity that etcd gave a member. Written in hexadecimal, as etcdctl prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// The identity that etcd gave a cluster. Written in hexadecimal, as etcdctl prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:x}", self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                u64::from_str_radix(&text, 16).map($name).map_err(de::Error::custom)
            }
        }
    )*};
}
hexadecimal!(MemberId, ClusterId);
