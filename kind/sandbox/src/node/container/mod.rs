//! One container: its specification, the process that starts and watches it, and its root file system.

pub(crate) mod process;
mod root;
pub(crate) mod shim;
pub(crate) mod spec;
