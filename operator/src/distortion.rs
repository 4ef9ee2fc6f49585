//! The one place where a deliberately wrong operator differs from the right one. In a build without the feature `mutants` nothing is
//! distorted and no wrong operator can be named. It decides nothing.

use etcd_operator_core::api::EtcdClusterStatus;
use etcd_operator_core::cluster::observed::Observed;
use etcd_operator_core::cluster::plan::Plan;
use thiserror::Error;

/// The environment variable that chooses a deliberately wrong operator, in builds that have them.
pub const VARIABLE: &str = "ETCD_OPERATOR_MUTANT";

/// Why no wrong operator was chosen.
#[derive(Debug, Error)]
pub enum DistortionError {
    /// The build has none.
    #[error("this build has no mutants: it was made without the feature `mutants`")]
    NotBuilt,
    /// The name is not known.
    #[cfg(feature = "mutants")]
    #[error(transparent)]
    Unknown(#[from] etcd_operator_mutants::UnknownMutant),
}

/// What is distorted: nothing, unless a wrong operator was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Distortion {
    #[cfg(feature = "mutants")]
    mutant: Option<etcd_operator_mutants::Mutant>,
}

#[cfg(not(feature = "mutants"))]
impl Distortion {
    /// Refuses every name.
    pub fn named(_name: &str) -> Result<Self, DistortionError> {
        Err(DistortionError::NotBuilt)
    }

    /// The names that may be asked for.
    pub fn names() -> Result<Vec<&'static str>, DistortionError> {
        Err(DistortionError::NotBuilt)
    }

    pub(crate) fn observed(self, observed: Observed) -> Observed {
        observed
    }

    pub(crate) fn plan(self, _observed: &Observed, plan: Plan) -> Plan {
        plan
    }

    pub(crate) fn status(self, status: EtcdClusterStatus) -> EtcdClusterStatus {
        status
    }
}

#[cfg(feature = "mutants")]
impl Distortion {
    /// The wrong operator of this name.
    pub fn named(name: &str) -> Result<Self, DistortionError> {
        Ok(Self { mutant: Some(name.parse()?) })
    }

    /// The names that may be asked for.
    pub fn names() -> Result<Vec<&'static str>, DistortionError> {
        Ok(etcd_operator_mutants::Mutant::ALL.map(etcd_operator_mutants::Mutant::name).to_vec())
    }

    pub(crate) fn observed(self, observed: Observed) -> Observed {
        match self.mutant {
            Some(mutant) => mutant.distort_observed(observed),
            None => observed,
        }
    }

    pub(crate) fn plan(self, observed: &Observed, plan: Plan) -> Plan {
        match self.mutant {
            Some(mutant) => mutant.distort_plan(observed, plan),
            None => plan,
        }
    }

    pub(crate) fn status(self, status: EtcdClusterStatus) -> EtcdClusterStatus {
        match self.mutant {
            Some(mutant) => mutant.distort_status(status),
            None => status,
        }
    }
}
