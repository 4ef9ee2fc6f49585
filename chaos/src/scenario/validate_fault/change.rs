//! What a `change` says: the patch of the spec, what it does to members, and how long one that cannot be carried out stands. Pure; what
//! the fields of the spec mean is the operator's business.

use super::OneFault;
use crate::scenario::error::ScenarioError;
use crate::scenario::{ChangeEffect, Fault, Period};

/// A longer patch is no change of settings.
const LONGEST_PATCH: usize = 16 * 1024;
/// How long a change that cannot be carried out stands if the scenario does not say.
const DEFAULT_REFUSAL: Period = Period::from_seconds(20);
/// Fields of the spec that are not for a `change`, and why.
const NOT_HERE: [(&str, &str); 2] =
    [("size", "the size is changed by `resize`"), ("version", "the version is changed by `upgrade`")];

impl OneFault<'_> {
    /// The change that the fields describe.
    pub(super) fn change(&self) -> Result<Fault, ScenarioError> {
        let at = self.raw.spec.as_ref().ok_or_else(|| self.missing("spec"))?;
        let effect = self.raw.effect.as_ref().ok_or_else(|| self.missing("effect"))?.value;
        let spec = at.value.clone();
        if spec.is_empty() {
            return Err(self.error("spec", at, "an empty patch changes nothing"));
        }
        if let Some((field, why)) = NOT_HERE.iter().find(|(field, _)| spec.contains_key(*field)) {
            return Err(self.error("spec", at, format!("`{field}` is no field of a change: {why}")));
        }
        let bytes = serde_json::to_vec(&spec).map_or(usize::MAX, |text| text.len());
        if bytes > LONGEST_PATCH {
            let message = format!("the patch is too long: at most {} KiB", LONGEST_PATCH / 1024);
            return Err(self.error("spec", at, message));
        }
        let lasting = match (effect, &self.raw.lasting) {
            (ChangeEffect::Refused, Some(_)) => Some(self.lasting()?),
            (ChangeEffect::Refused, None) => Some(DEFAULT_REFUSAL),
            (ChangeEffect::Restarted | ChangeEffect::Replaced | ChangeEffect::None, None) => None,
            (ChangeEffect::Restarted | ChangeEffect::Replaced | ChangeEffect::None, Some(at)) => {
                let message = "only a change with the effect `refused` is taken back after a time";
                return Err(self.error("for", at, message));
            }
        };
        Ok(Fault::Change { spec, effect, lasting })
    }
}
