//! What the shell saw of one `EtcdBackupSchedule`, by live reads made for this plan: plain data. Nothing here judges.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};

use crate::api::{EtcdBackup, EtcdBackupSchedule, EtcdCluster};

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When the observation was complete.
    pub as_of: Timestamp,
    /// The operator's own image, from which its program is copied into the Jobs' pods.
    pub operator_image: String,
    /// The object, with its status.
    pub schedule: EtcdBackupSchedule,
    /// The cluster that is backed up, if it exists.
    pub cluster: Option<EtcdCluster>,
    /// The CronJob of its name, if there is one.
    pub cron_job: Option<CronJob>,
    /// Jobs that bear its label.
    pub jobs: Vec<Job>,
    /// EtcdBackups that bear its label.
    pub backups: Vec<EtcdBackup>,
}
