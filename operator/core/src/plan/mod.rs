//! `plan`: what happens next.

mod action;
mod hold;

pub use action::{Action, Delete, Kind, Object, Patch, PatchOperation, PatchPurpose, PlannedOn, Target};
pub use hold::Hold;

use crate::desired::Desired;
use crate::observed::Observed;

/// What happens next, and what does not and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Carried out in order; the first failure ends the pass, and the next plan starts from what is there.
    pub actions: Vec<Action>,
    /// Shown to the user.
    pub holds: Vec<Hold>,
}

/// Decides what happens next. Depends on its arguments alone.
pub fn plan(_observed: &Observed, _desired: &Desired) -> Plan {
    Plan::default()
}
