//! The shell of the etcd operator: it observes, executes, serves, and guards each member's start. What to do is decided
//! in `etcd-operator-core`, which has no clock, no randomness and no network; this crate has all three and decides
//! as little as it can.

pub mod args;
pub mod clock;
pub mod kubernetes;
pub mod manifest;
pub mod telemetry;
