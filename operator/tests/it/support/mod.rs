//! What several tests stand on.

pub(crate) mod etcd;
pub(crate) mod fake_etcd;
pub(crate) mod kubernetes;
pub(crate) mod pod;
