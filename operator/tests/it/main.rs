//! Integration tests of the operator's shell: one binary, so that linking stays cheap.

mod etcd_port;
mod lease;
mod membership;
mod reconcile;
mod registration;
mod support;
