//! What is done with an `EtcdCluster`: the five verbs ([`verbs`]), each in a place of its own ([`observe`], [`execute`], [`report`];
//! parsing and planning are in the core), and what is watched between two looks ([`vigil`]). What other kinds need as well stands
//! outside this folder.

pub mod execute;
pub mod observe;
pub mod report;
pub mod verbs;
pub mod vigil;
