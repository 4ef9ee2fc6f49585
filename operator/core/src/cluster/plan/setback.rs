//! What came of an action that was not carried out, and what the user is told of it. Never decides when it is tried again.

use super::{Concern, Hold, ObjectHold, Wait};

/// An action that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What it was about.
    pub concern: Concern,
    /// The action, in words.
    pub what: String,
    /// How it went.
    pub kind: SetbackKind,
}

/// How an action failed. These are told apart because only what was refused or undone wants a person, and only what could not be
/// done now is worth the same request again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetbackKind {
    /// The world had moved on; the next look shows how.
    Overtaken,
    /// The server understood and refused: by validation, quota, admission or rights. In its own words.
    Refused(String),
    /// It was carried out, and somebody undid it, several times in a row: an admission webhook, or another controller.
    Undone,
    /// The server, or the way to it, could not do it now.
    NotNow(String),
    /// This process may not act any more, or not for long enough: a successor does it.
    NotOurs,
}

impl Setback {
    /// What the user is told.
    pub fn to_hold(&self) -> Option<Hold> {
        let what = self.what.clone();
        match &self.kind {
            SetbackKind::Overtaken | SetbackKind::NotOurs => None,
            SetbackKind::Refused(message) => {
                Some(Hold::Object(ObjectHold::Refused { what, message: message.clone() }))
            }
            SetbackKind::Undone => Some(Hold::Object(ObjectHold::Overridden { what })),
            SetbackKind::NotNow(message) => Some(Hold::Wait(Wait::Server { what, message: message.clone() })),
        }
    }
}
