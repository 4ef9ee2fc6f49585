//! What the operator promises about itself, on a whole cluster: that it installs from one file, that clusters live without it,
//! that its upgrade disturbs nobody, and that the harness needs no more rights than it prints.
//!
//! Each test has a sandbox of its own; `CHAOS_TEST_CLUSTER=bare` gives it a bare cluster, for which only one test may run at a
//! time. `CHAOS_TEST_KUBECONFIG=FILE` runs them on another cluster instead, one after the other,
//! which has to know the images.

pub(crate) mod arena;
mod install;
mod members;
mod principles;
mod rights;
mod upgrade;
pub(crate) mod writers;
