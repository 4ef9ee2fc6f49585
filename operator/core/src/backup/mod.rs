//! What is decided about backups, in reading order:
//!
//! 1. [`location`], [`name`], [`layout`]: where a store is, what a backup is called, and which objects it is made of.
//! 2. [`manifest`]: what those objects say; [`encryption`]: which keys open a snapshot.
//! 3. [`source`]: which member a snapshot is taken from; [`trailer`]: whether it came over whole.
//! 4. [`proof`]: whether what was restored is what the cluster had.
//! 5. [`inventory`]: what a store holds, and which backup is meant.
//! 6. [`retention`]: which backups are kept.
//! 7. [`restoring`]: how a data directory is made from one.
//! 8. [`outcome`]: what a run leaves for whoever started it; `job`: what has become of its Job.
//! 9. [`reasons`], `reached`, `task`, [`work`]: what both kinds of objects have in common: why something does not go on, how a pod reaches a
//!    store, what a Job does with it, and the pod that does so.
//! 10. [`run`]: what is decided about an `EtcdBackup`; [`schedule`]: about an `EtcdBackupSchedule`.
//! 11. [`restore_job`]: the Job that restores the first member of a new cluster.
//!
//! It reads and writes no store, and starts no process.

pub mod encryption;
pub mod inventory;
pub(crate) mod job;
pub mod layout;
pub mod location;
pub mod manifest;
pub mod name;
pub mod outcome;
pub mod proof;
mod reached;
pub mod reasons;
pub mod restore_job;
pub mod restoring;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod source;
mod task;
pub mod trailer;
pub mod work;

#[cfg(test)]
mod tests;
