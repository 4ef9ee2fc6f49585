//! What is decided about an `EtcdBackup`: one Job takes it ([`render`]), what becomes of that is read from the Job and its pods
//! ([`plan`]), and told in the status ([`status`]). Once it is over nothing more is done, until the object is to go and its backup with it
//! ([`deletion`]). It never talks to a store, and needs no credentials of one.

mod deletion;
pub mod observed;
mod plan;
mod render;
mod status;

pub use plan::{Action, Course, Plan, plan};
pub use render::deletion_name;
pub use status::{event, status};
