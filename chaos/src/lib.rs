//! The chaos harness as a library: it breaks an etcd cluster on Kubernetes, records what happened and judges the record.
//!
//! Deciding modules ([`scenario`], [`history`], [`record`], [`checker`], [`report`]) are pure: they know no clock, no
//! randomness of their own, no network and no tokio. Everything that acts lives in the other modules.

// Decides: data in, data out.
pub mod checker;
pub mod history;
pub mod record;
pub mod report;
pub mod scenario;

// Runs inside pods of the chaos image.
pub mod agent;
pub mod in_pod;
pub mod load;
pub mod probe;

// Runs where the user is: talks to Kubernetes and carries the schedule out.
pub mod cluster;
pub mod doctor;
pub mod faults;
pub mod image;
pub mod live;
pub mod progress;
pub mod rights;
pub mod runner;
pub mod subject;
pub mod targeting;
