//! All that is decided about an `EtcdCluster`, in reading order:
//!
//! 1. [`desired`]: the spec, parsed once; [`target`]: what a member should run; [`requests`]: what is asked for once.
//! 2. [`observed`]: what the shell saw of the world, plain data; [`memory`]: what it remembers of earlier looks.
//! 3. [`world`]: the same, arranged by member, without what is another object's.
//! 4. [`render`]: the Kubernetes objects and the etcd configuration as they should be.
//! 5. [`plan`]: what happens next, and what is held back and why.
//! 6. [`status`] and [`events`]: what the user is told.
//! 7. [`pace`]: when the next look is due; [`vigil`]: what makes it come earlier.
//!
//! Another kind of object stands beside this folder, with a plan and a status of its own. Time is [`observed::Observed::as_of`].

pub mod desired;
pub mod events;
pub mod memory;
pub mod observed;
pub mod pace;
pub mod plan;
pub mod render;
pub mod requests;
pub mod status;
pub mod target;
pub mod vigil;
pub mod world;
