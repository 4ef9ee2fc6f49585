//! The sandbox's network: one wire per pod, service addresses and names. IPv4 only. It reads the API through watches
//! of its own and knows nothing of containers.

pub(crate) mod address;
mod dns;
pub(crate) mod names;
pub mod netlink;
mod proxy;
pub(crate) mod root;
pub(crate) mod services;
pub(crate) mod wire;
