//! Subresources other than `status`.
use std::net::IpAddr;

use serde_json::Value;

use super::answer::Answer;
use super::cluster::{Cluster, Inputs, Target};
use super::error::ApiError;
use super::request::{ApiRequest, ResourcePath};

/// A request to forward to a pod.
#[derive(Clone, Debug)]
pub(crate) struct ProxyPlan {
    pub(crate) pod: Value,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Path and query, beginning with `/`.
    pub(crate) path: String,
}

/// Answers a request for a subresource.
pub(crate) fn answer(
    _cluster: &mut Cluster,
    _inputs: &mut Inputs<'_>,
    _target: &Target,
    _path: &ResourcePath,
    _request: &ApiRequest,
) -> Result<Answer, ApiError> {
    Err(ApiError::no_such_path())
}
