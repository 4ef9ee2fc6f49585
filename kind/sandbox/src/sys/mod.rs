//! The only place of this crate that speaks to the kernel without a safe wrapper: processes, namespaces, mounts and
//! capabilities. It decides nothing about pods; it does one thing per function and says what failed.
#![allow(unsafe_code)]

pub(crate) mod capability;
pub mod mount;
pub(crate) mod namespace;
pub mod process;
pub(crate) mod terminal;
