//! Wrong ways with backups: what is taken, what is believed of it, what is kept, and what begins with it.

use etcd_operator_core::backup::inventory::Backup;
use etcd_operator_core::backup::layout::BackupId;
use etcd_operator_core::backup::proof::Comparison;
use etcd_operator_core::backup::restoring::Revisions;
use etcd_operator_core::backup::source::Candidate;
use etcd_operator_core::cluster::observed::Observed;
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};

use crate::Mutant;

impl Mutant {
    /// What the wrong program knows of the members that it could take a snapshot from.
    pub fn distort_candidates<E>(self, mut candidates: Vec<Candidate<E>>) -> Vec<Candidate<E>> {
        if self == Mutant::LaggingSource {
            // Whoever did not answer a linearizable read has something all the same.
            candidates.iter_mut().filter(|one| one.read.is_err()).for_each(|one| one.read = Ok(1));
        }
        candidates
    }

    /// What the wrong program thinks of what it restored.
    pub fn distort_comparison(self, comparison: Comparison) -> Comparison {
        if self == Mutant::NoHashCheck { Comparison::Same } else { comparison }
    }

    /// What the wrong program does with revisions.
    pub fn distort_revisions(self, revisions: Revisions) -> Revisions {
        if self == Mutant::NoBump { Revisions::Kept } else { revisions }
    }

    /// What the wrong program deletes instead.
    pub fn distort_deleted(self, backups: &[Backup], deleted: Vec<BackupId>) -> Vec<BackupId> {
        if self == Mutant::RetentionByName {
            let mut by_name: Vec<BackupId> = backups.iter().map(|backup| backup.manifest.id()).collect();
            by_name.sort();
            by_name.truncate(deleted.len());
            return by_name;
        }
        if self == Mutant::DropsNewestProved {
            let proved = backups.iter().filter(|backup| backup.proof.is_some());
            let newest = proved.max_by_key(|backup| backup.age()).map(|backup| backup.manifest.id());
            return deleted.into_iter().chain(newest).collect();
        }
        deleted
    }

    /// Whether the wrong program leaves what killed ones have begun.
    pub fn forgets_uploads(self) -> bool {
        self == Mutant::ForgetsUploads
    }
}

/// No store is declared, so that versions change without a backup.
pub(crate) fn without_a_store(mut observed: Observed) -> Observed {
    observed.cluster.spec.backup = None;
    observed
}

/// Every Job that restores has come to a good end.
pub(crate) fn with_restores_that_succeeded(mut observed: Observed) -> Observed {
    let complete =
        JobCondition { type_: "Complete".to_owned(), status: "True".to_owned(), ..JobCondition::default() };
    for job in &mut observed.restore.jobs {
        job.status = Some(JobStatus { conditions: Some(vec![complete.clone()]), ..JobStatus::default() });
    }
    observed
}
