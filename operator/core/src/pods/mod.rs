//! What the pods of all kinds have in common: what they may do ([`security`]), the parts that they are put together from ([`parts`]), and
//! what Kubernetes says of those that do not come up ([`trouble`]). It knows no kind of object.

pub mod parts;
pub mod security;
pub mod trouble;
