//! Conditions of all kinds: a finding becomes one once it has its times. Never finds anything.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition says before it gets its times.
pub(crate) struct Finding {
    /// Whether it is so.
    pub(crate) status: Truth,
    /// One CamelCase word.
    pub(crate) reason: &'static str,
    /// A sentence.
    pub(crate) message: String,
}

/// The three values of a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It is so.
    True,
    /// It is not.
    False,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    /// The word in `.status.conditions[].status`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

/// The object that conditions are about.
pub(crate) struct About<'a> {
    /// Its generation.
    pub(crate) generation: Option<i64>,
    /// What its status said before, which lends only the time since when a condition has been what it is.
    pub(crate) before: &'a [Condition],
    /// When it was seen.
    pub(crate) as_of: Timestamp,
}

impl About<'_> {
    /// The condition of this type.
    pub(crate) fn condition(&self, kind: &str, finding: Finding) -> Condition {
        let status = finding.status.as_str();
        let same = self.before.iter().find(|condition| condition.type_ == kind && condition.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: finding.reason.to_owned(),
            message: finding.message,
            observed_generation: self.generation,
            last_transition_time: match same {
                Some(condition) => condition.last_transition_time.clone(),
                None => Time(self.as_of),
            },
        }
    }
}
