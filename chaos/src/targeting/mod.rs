//! Who is hit: a pure choice from what was seen a moment ago. Never looks at the cluster itself, never draws a number.

mod guard;
mod resolve;
#[cfg(test)]
mod tests;
mod view;

pub use guard::{Refusal, permit};
pub use resolve::{NoTarget, resolve};
pub use view::{MemberPod, SeenMember, View};
