//! What is decided about an `EtcdBackupSchedule`: one CronJob takes its backups ([`render`]), so that they go on while the operator is gone;
//! each Job that it has started becomes an `EtcdBackup`, and the object of one that its retention has deleted goes ([`plan`]). It never
//! deletes a backup itself: the Job does, which sees the store.

pub mod observed;
mod plan;
mod render;
mod status;

pub use plan::{Action, Plan, Standing, plan};
pub use status::status;
