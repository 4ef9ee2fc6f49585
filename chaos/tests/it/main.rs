//! Tests that need more than one function: processes, network namespaces, real etcd. One binary, one module for each area.

mod agent_partition;
mod agent_process;
mod judge;
mod load;
mod probe;
mod support;
