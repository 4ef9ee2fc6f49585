//! The shell of the etcd operator: it observes, executes, serves, and guards each member's start. What to do is decided
//! in `etcd-operator-core`, which has no clock, no randomness and no network; this crate has all three and decides
//! as little as it can. In reading order:
//!
//! 1. [`run`]: the running operator, put together from the rest.
//! 2. [`controller`], [`queue`], [`watch`], [`audit`]: which object is looked at when.
//! 3. [`reconcile`]: one look, in five verbs; [`cluster`]: what they do with an `EtcdCluster`.
//! 4. [`backup_kinds`]: what they do with an `EtcdBackup`.
//! 5. [`etcd`], [`http`], [`kept`], [`lease`], [`registration`], [`write`](mod@write), [`status`], [`events`], [`metrics`], [`server`],
//!    [`process`]: what these stand on.
//! 6. [`tls`]: certificates, read, made and shown.
//! 7. [`gate`]: the other process, in front of every etcd.
//! 8. [`backup`]: what is done by hand, and by Jobs, with backups.
//! 9. [`manifest`]: what installs all this.

pub mod args;
pub mod audit;
pub mod backup;
pub mod backup_kinds;
pub mod clock;
pub mod cluster;
pub mod controller;
pub mod distortion;
pub mod etcd;
pub mod events;
pub mod gate;
pub mod http;
pub mod kept;
pub mod kubernetes;
pub mod lease;
pub mod manifest;
pub mod metrics;
pub mod process;
pub mod queue;
pub mod reconcile;
pub mod registration;
pub mod run;
pub mod server;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod watch;
pub mod write;
