//! What is told of a cluster's backups: the newest that was proved, and whether it is young enough. Backups of an earlier cluster of the
//! same name are not its own. Never judges a backup: its own status says whether it was proved.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::api::condition::ConditionReason;
use crate::api::{BackupPhase, BackupSummary, EtcdBackup, EtcdClusterStatus};
use crate::backup::reasons::BackupReason;
use crate::cluster::observed::{Backups, Observed};
use crate::cluster::plan::{Hold, HoldReason, Plan};
use crate::conditions::{Finding, Truth};

/// The newest backup that was proved, by revision and then by time, as everywhere.
pub(super) fn newest_proved(observed: &Observed, cluster_id: Option<&str>) -> Option<BackupSummary> {
    let Backups::Known(backups) = &observed.backups else { return None };
    let summary = |backup: &EtcdBackup| {
        let status = backup.status.as_ref()?;
        let is_own = status.cluster_id.is_some() && status.cluster_id.as_deref() == cluster_id;
        // One that is being deleted is as good as gone.
        let is_there = status.phase == BackupPhase::Succeeded && backup.metadata.deletion_timestamp.is_none();
        status.proved_at.as_ref().filter(|_| is_own && is_there)?;
        Some(BackupSummary {
            name: backup.name_any(),
            backup: status.backup.clone()?,
            revision: status.revision?,
            asked_for_at: status.asked_for_at.clone()?,
        })
    };
    backups.iter().filter_map(summary).max_by_key(|backup| (backup.revision, backup.asked_for_at.0))
}

/// Whether the newest is young enough. Where the spec says nothing of backups, nothing but that a version is changed without one.
pub(super) fn backed_up(observed: &Observed, plan: &Plan, status: &EtcdClusterStatus) -> Option<Finding> {
    if observed.cluster.spec.backup.is_none() {
        let is_refused = |hold: &Hold| hold.reason() == HoldReason::UpgradeRefused;
        status.upgrade.as_ref().filter(|_| !plan.holds.iter().any(is_refused))?;
        let message =
            "the version is changed without a backup: spec.backup says nothing of where one is kept";
        let reason = BackupReason::NoStoreDeclared.as_str();
        return Some(Finding { status: Truth::False, reason, message: message.to_owned() });
    }
    if let Backups::Unknown(why) = &observed.backups {
        let message = format!("its EtcdBackups could not be read: {why}");
        return Some(Finding {
            status: Truth::Unknown,
            reason: ConditionReason::ObservationFailed.as_str(),
            message,
        });
    }
    let finding =
        |status, reason: BackupReason, message| Finding { status, reason: reason.as_str(), message };
    let Some(newest) = &status.backup else {
        let message = "no backup of this cluster has been proved".to_owned();
        return Some(finding(Truth::False, BackupReason::NeverProved, message));
    };
    // Its age is not said, so that a cluster at rest says the same at each look.
    let at = newest.asked_for_at.0;
    let message = format!("the newest proved backup is {}, asked for at {at:.0}", newest.name);
    Some(match time_left(observed, status) {
        Some(left) if left.is_negative() => finding(Truth::False, BackupReason::ProvedTooLongAgo, message),
        _ => finding(Truth::True, BackupReason::ProvedLately, message),
    })
}

/// For how long the newest is still young enough; negative once it is not.
pub fn time_left(observed: &Observed, status: &EtcdClusterStatus) -> Option<SignedDuration> {
    let newest: Timestamp = status.backup.as_ref()?.asked_for_at.0;
    let maximum = SignedDuration::from_secs(observed.cluster.spec.backup.as_ref()?.maximum_age_seconds);
    Some(maximum - observed.as_of.duration_since(newest))
}
