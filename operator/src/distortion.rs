//! The one place where a deliberately wrong operator differs from the right one. In a build without the feature `mutants` nothing is
//! distorted and no wrong operator can be named. It decides nothing.

use anyhow::Context as _;
use etcd_operator_core::api::EtcdClusterStatus;
use etcd_operator_core::backup::inventory::Backup;
use etcd_operator_core::backup::layout::BackupId;
use etcd_operator_core::backup::proof::Comparison;
use etcd_operator_core::backup::restoring::Revisions;
use etcd_operator_core::backup::source::Candidate;
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

impl Distortion {
    /// The wrong operator that the environment asks for, if it asks for one.
    pub fn from_environment() -> anyhow::Result<Self> {
        match std::env::var(VARIABLE) {
            Ok(name) => {
                let distortion = Self::named(&name).with_context(|| format!("failed to parse {VARIABLE}"))?;
                tracing::warn!(mutant = name, "this operator is deliberately wrong");
                Ok(distortion)
            }
            Err(std::env::VarError::NotPresent) => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("failed to read {VARIABLE}")),
        }
    }
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

    pub(crate) fn candidates<E>(self, candidates: Vec<Candidate<E>>) -> Vec<Candidate<E>> {
        candidates
    }

    pub(crate) fn comparison(self, comparison: Comparison) -> Comparison {
        comparison
    }

    pub(crate) fn revisions(self, revisions: Revisions) -> Revisions {
        revisions
    }

    pub(crate) fn deleted(self, _backups: &[Backup], deleted: Vec<BackupId>) -> Vec<BackupId> {
        deleted
    }

    pub(crate) fn forgets_uploads(self) -> bool {
        false
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

    pub(crate) fn candidates<E>(self, candidates: Vec<Candidate<E>>) -> Vec<Candidate<E>> {
        match self.mutant {
            Some(mutant) => mutant.distort_candidates(candidates),
            None => candidates,
        }
    }

    pub(crate) fn comparison(self, comparison: Comparison) -> Comparison {
        match self.mutant {
            Some(mutant) => mutant.distort_comparison(comparison),
            None => comparison,
        }
    }

    pub(crate) fn revisions(self, revisions: Revisions) -> Revisions {
        match self.mutant {
            Some(mutant) => mutant.distort_revisions(revisions),
            None => revisions,
        }
    }

    pub(crate) fn deleted(self, backups: &[Backup], deleted: Vec<BackupId>) -> Vec<BackupId> {
        match self.mutant {
            Some(mutant) => mutant.distort_deleted(backups, deleted),
            None => deleted,
        }
    }

    pub(crate) fn forgets_uploads(self) -> bool {
        self.mutant.is_some_and(etcd_operator_mutants::Mutant::forgets_uploads)
    }
}
