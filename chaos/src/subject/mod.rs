//! What a run puts into the cluster: the operator, the cluster under test, the load and probe pods. Never a fault.

pub mod backups;
pub mod etcd;
pub mod handshake;
pub mod manifest;
pub mod namespace;
pub mod operator;
pub mod pods;
pub mod proxy;
pub mod secrets;

/// The field manager of everything that the harness writes.
pub const FIELD_MANAGER: &str = "chaos";
/// On every namespace that a run makes; its value is the run's name. `chaos heal` looks for it.
pub const RUN_LABEL: &str = "etcd.operators.rs/chaos-run";
/// Objects that somebody else owns are acted on only if they carry this label with the value `allowed`.
pub const ALLOWED_LABEL: &str = "etcd.operators.rs/chaos";
