//! The deciding half of the etcd operator, in reading order:
//!
//! 1. [`api`]: what users write and read, `EtcdCluster`.
//! 2. [`names`]: every name, label, annotation, port and path.
//! 3. [`quorum`]: counting votes.
//! 4. [`desired`]: the spec, parsed once.
//! 5. [`target`]: what a member should run.
//! 6. [`observed`]: what the shell saw of the world, plain data; [`memory`]: what it remembers of earlier looks.
//! 7. [`world`]: the same, arranged by member, without what is another object's.
//! 8. [`gate`]: whether a member's etcd may start on the disk that it found.
//! 9. [`render`]: the Kubernetes objects and the etcd configuration as they should be.
//! 10. [`plan`]: what happens next, and what is held back and why.
//! 11. [`status`] and [`events`]: what the user is told.
//!
//! Nothing here does anything: no clock, no randomness, no file, no network, no task. Time is
//! [`observed::Observed::as_of`], randomness is [`names::Entropy`]; both come from the shell. Equal inputs give equal
//! outputs, byte for byte.

pub mod api;
pub mod desired;
pub mod events;
pub mod explained;
pub mod gate;
pub mod memory;
pub mod names;
pub mod observed;
pub mod plan;
pub mod quorum;
pub mod render;
pub mod status;
pub mod target;
pub mod world;
