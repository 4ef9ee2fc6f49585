//! Which Event tells of which action or hold.

use crate::observed::Observed;
use crate::plan::{Action, Plan};

/// An Event about the cluster object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether a person should look.
    pub severity: Severity,
    /// One CamelCase word.
    pub reason: &'static str,
    /// What the operator did, or would do: `events.k8s.io`'s `action`.
    pub action: &'static str,
    /// A sentence.
    pub note: String,
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

/// The Event to write once this action has been carried out. Actions that only keep records tell nothing.
pub fn of_action(_action: &Action) -> Option<Event> {
    None
}

/// The Events for what this plan holds back and the observed status does not show yet.
pub fn of_new_holds(_observed: &Observed, _plan: &Plan) -> Vec<Event> {
    Vec::new()
}
