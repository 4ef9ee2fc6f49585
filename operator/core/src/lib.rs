//! The deciding half of the etcd operator, in reading order:
//!
//! 1. [`api`]: what users write and read.
//! 2. [`names`]: every name, label, annotation, port and path.
//! 3. [`quorum`]: counting votes.
//! 4. [`gate`]: whether a member's etcd may start on the disk that it found.
//! 5. [`etcd_options`]: what may be said of etcd's own options, and what each minor calls them.
//! 6. [`explained`], `conditions`, [`event`]: how users are told, for all kinds of objects.
//! 7. [`key`], [`seen`]: which object is looked at, and what watches have told of those beside it.
//! 8. [`pods`]: what the pods of all kinds have in common.
//! 9. [`tls`]: certificates, and the Secrets that they are in.
//! 10. [`cluster`]: what is decided about an `EtcdCluster`.
//! 11. [`backup`]: what is decided about backups.
//!
//! Nothing here does anything: no clock, no randomness, no file, no network, no task. Time and [`names::Entropy`] come from the
//! shell. Equal inputs give equal outputs, byte for byte.

pub mod api;
pub mod backup;
pub mod cluster;
mod conditions;
pub mod etcd_options;
pub mod event;
pub mod explained;
pub mod gate;
pub mod key;
pub mod names;
pub mod pods;
pub mod quorum;
pub mod seen;
pub mod tls;
