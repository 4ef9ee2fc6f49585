//! Events of Kubernetes, as plain data: what is told, and of which fact. Never decides when.

/// An Event about one of the operator's own objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether a person should look.
    pub severity: Severity,
    /// One CamelCase word.
    pub reason: &'static str,
    /// What the operator did, or would do: `action` of `events.k8s.io/v1`.
    pub action: &'static str,
    /// Which fact it tells: what is said of the same fact again, in whatever words, is the same Event.
    pub fact: String,
    /// A sentence.
    pub note: String,
    /// How soon the same is told again.
    pub again: Again,
}

/// How soon the same fact is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// At once: each time is a fact of its own, which somebody may look for.
    EachTime,
    /// After a while: it is so, or is done, for as long as something lasts.
    Later,
}

/// The type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `Normal`
    Normal,
    /// `Warning`
    Warning,
}

impl Severity {
    /// The word in `.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}
