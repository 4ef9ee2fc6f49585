//! Backups by hand, and by the Jobs that do the same: [`take`] one, [`prove`] one, [`list`] them, [`restore`] one. All of it works
//! without Kubernetes, on any etcd and any [`store`], since who needs a backup may have nothing else left. In reading order: [`commands`]
//! is the table of contents; [`squeeze`] and [`fetch`] are the two ways of a snapshot's bytes, which [`keys`] lock and open; [`tools`] and [`throwaway`] run etcd's own
//! programs. Which member, which backup, what is the same: that is decided in the core.

pub mod args;
pub mod commands;
pub mod fetch;
pub mod keys;
pub mod list;
pub mod prove;
pub mod restore;
pub mod squeeze;
pub mod store;
pub mod take;
pub mod throwaway;
pub mod tools;

use crate::clock::{SharedClock, SharedIdentifiers};
use crate::distortion::Distortion;
use crate::etcd::Connector;
use futures::future::{BoxFuture, Shared};
use keys::Keys;
use store::Store;

/// What every one of the commands needs.
pub struct Context {
    /// The store.
    pub store: Store,
    /// What snapshots in it are encrypted and opened with.
    pub keys: Keys,
    /// Makes connections to members.
    pub connector: Connector,
    /// Dates what is written.
    pub clock: SharedClock,
    /// Names what is new.
    pub identifiers: SharedIdentifiers,
    /// Tells people how far it is.
    pub say: Box<dyn Fn(&str) + Send + Sync>,
    /// What a deliberately wrong program does instead.
    pub distortion: Distortion,
    /// Ends once somebody wants us to end; whoever waits takes a clone.
    pub interrupted: Shared<BoxFuture<'static, ()>>,
}

/// Chunks of a stream that wait for the thread which compresses or decompresses them. etcd's are 32 KiB each.
const WAITING_CHUNKS: usize = 16;

/// Who wrote an object of ours.
pub fn written_by() -> String {
    concat!("etcd-operator ", env!("CARGO_PKG_VERSION")).to_owned()
}
