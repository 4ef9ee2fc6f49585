//! What an `upgrade` says: the version of etcd that is declared from then on. Pure; which ways lead from one version to another is the
//! operator's business.

use super::OneFault;
use crate::scenario::Fault;
use crate::scenario::error::ScenarioError;
use crate::scenario::validate::supported_version;

impl OneFault<'_> {
    /// The upgrade that the fields describe. A version that is declared already would change nothing.
    pub(super) fn upgrade(&self) -> Result<Fault, ScenarioError> {
        let at = self.raw.version.as_ref().ok_or_else(|| self.missing("version"))?;
        let version = supported_version(self.fields, &self.field("version"), at)?;
        if self.declared == Some(&version) {
            return Err(self.error("version", at, format!("etcd {version} is declared already")));
        }
        Ok(Fault::Upgrade { version })
    }
}
