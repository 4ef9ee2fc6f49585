//! What the shell saw of one `EtcdBackup`, by live reads made for this plan: plain data. Nothing here judges.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use crate::api::{EtcdBackup, EtcdCluster};

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When the observation was complete.
    pub as_of: Timestamp,
    /// The operator's own image, from which its program is copied into the Job's pods.
    pub operator_image: String,
    /// The object, with its status.
    pub backup: EtcdBackup,
    /// The cluster that it is of, if it exists.
    pub cluster: Option<EtcdCluster>,
    /// The Job of its name, if there is one.
    pub job: Option<Job>,
    /// The pods of that Job; once the object is to go, those of earlier Jobs of its name too.
    pub pods: Vec<Pod>,
    /// The Job that deletes the backup from its store, if there is one. Looked for once the object is to go.
    pub deletion_job: Option<Job>,
    /// The pods of that Job.
    pub deletion_pods: Vec<Pod>,
}
