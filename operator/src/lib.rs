//! The shell of the etcd operator: it observes, executes, serves, and guards each member's start. What to do is decided
//! in `etcd-operator-core`, which has no clock, no randomness and no network; this crate has all three and decides
//! as little as it can.

pub mod args;
pub mod clock;
pub mod etcd;
pub mod http;
pub mod kubernetes;
pub mod lease;
pub mod manifest;
pub mod metrics;
pub mod server;
pub mod telemetry;
