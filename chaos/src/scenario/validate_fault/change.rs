//! What a `change` says: the patch of the spec, what it does to members, and how long one that cannot be carried out stands. Pure; what
//! the fields of the spec mean is the operator's business.

use super::OneFault;
use crate::scenario::error::ScenarioError;
use crate::scenario::{ChangeEffect, Fault, Period};

/// A longer patch is no change of settings.
const LONGEST_PATCH: usize = 16 * 1024;
/// How long a change that cannot be carried out stands if the scenario does not say.
const DEFAULT_REFUSAL: Period = Period::from_seconds(20);
/// Why the size is not for a `change`.
const NO_SIZE: &str = "`size` is no field of a change: the size is changed by `resize`";
/// Why a version that the operator is to come to is not for a `change`.
const NO_VERSION: &str =
    "`version` is a field only of a change with the effect `refused`: the version is changed by `upgrade`";

impl OneFault<'_> {
    /// The change that the fields describe.
    pub(super) fn change(&self) -> Result<Fault, ScenarioError> {
        let at = self.raw.spec.as_ref().ok_or_else(|| self.missing("spec"))?;
        let effect = self.raw.effect.as_ref().ok_or_else(|| self.missing("effect"))?.value;
        let spec = at.value.clone();
        if spec.is_empty() {
            return Err(self.error("spec", at, "an empty patch changes nothing"));
        }
        if spec.contains_key("size") {
            return Err(self.error("spec", at, NO_SIZE));
        }
        if spec.contains_key("version") && effect != ChangeEffect::Refused {
            return Err(self.error("spec", at, NO_VERSION));
        }
        let bytes = serde_json::to_vec(&spec).map_or(usize::MAX, |text| text.len());
        if bytes > LONGEST_PATCH {
            let message = format!("the patch is too long: at most {} KiB", LONGEST_PATCH / 1024);
            return Err(self.error("spec", at, message));
        }
        let lasting = match (effect, &self.raw.lasting) {
            (ChangeEffect::Refused, Some(_)) => Some(self.lasting()?),
            (ChangeEffect::Refused, None) => Some(DEFAULT_REFUSAL),
            (
                ChangeEffect::Restarted
                | ChangeEffect::CarriedOut
                | ChangeEffect::Replaced
                | ChangeEffect::None,
                at,
            ) => match at {
                None => None,
                Some(at) => {
                    let message = "only a change with the effect `refused` is taken back after a time";
                    return Err(self.error("for", at, message));
                }
            },
        };
        Ok(Fault::Change { spec, effect, lasting })
    }
}
