//! The objects as they should be.

mod etcd_configuration;
pub mod quantity;

pub use etcd_configuration::etcd_configuration;
