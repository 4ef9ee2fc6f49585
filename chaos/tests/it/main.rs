//! Tests that need more than one function: processes, network namespaces, real etcd. One binary, one module for each area.

// A test ends where something is not as it should be, in its helpers too.
#![allow(clippy::unwrap_used)]

mod agent_client;
mod agent_partition;
mod agent_process;
mod bare;
mod cli;
mod engine;
mod hosted;
mod judge;
mod load;
mod probe;
mod promises;
mod situations;
mod support;
mod tls;
