//! As much of nftables as a partition needs, spoken to the kernel over netlink: one table with a set whose elements expire
//! and rules that count and drop. No program is started, and no table but our own is touched.
//!
//! The numbers come from the kernel's interface header `include/uapi/linux/netfilter/nf_tables.h`.

mod attributes;
mod expressions;
mod message;
mod ruleset;
mod socket;
#[cfg(test)]
mod tests;

pub(super) use ruleset::TABLE;
pub(super) use socket::{counters, cut_addresses, install, is_present, remove};
