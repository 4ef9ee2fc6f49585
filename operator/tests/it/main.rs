//! Integration tests of the operator's shell: one binary, so that linking stays cheap.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod backups;
mod etcd_port;
mod fleet;
mod gate_network;
mod gate_volume;
mod lease;
mod membership;
mod process;
mod reconcile;
mod registration;
mod support;
