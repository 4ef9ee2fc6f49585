//! What is decided about backups, in reading order:
//!
//! 1. [`location`], [`name`], [`layout`]: where a store is, what a backup is called, and which objects it is made of.
//! 2. [`manifest`]: what those objects say.
//! 3. [`source`]: which member a snapshot is taken from; [`trailer`]: whether it came over whole.
//! 4. [`proof`]: whether what was restored is what the cluster had.
//! 5. [`inventory`]: what a store holds, and which backup is meant.
//! 6. [`restoring`]: how a data directory is made from one.
//!
//! It reads and writes no store, and starts no process.

pub mod inventory;
pub mod layout;
pub mod location;
pub mod manifest;
pub mod name;
pub mod proof;
pub mod restoring;
pub mod source;
pub mod trailer;
