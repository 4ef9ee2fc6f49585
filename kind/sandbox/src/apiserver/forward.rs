//! Requests that end at the node: logs, and the proxy to a pod's port.
//!
//! Reaches pods only through [`NodeAccess`].

use std::sync::Arc;

use http::Response;

use super::error::ApiError;
use super::inputs::{LogRequest, NodeAccess, NodeAccessError};
use super::request::ApiRequest;
use super::serve::{ResponseBody, streamed};
use super::subresource::ProxyPlan;

/// Streams a container's log.
pub(crate) async fn log(
    node: Option<Arc<dyn NodeAccess>>,
    wanted: LogRequest,
) -> Result<Response<ResponseBody>, ApiError> {
    let node = node.ok_or_else(no_node)?;
    match node.log(wanted).await {
        Ok(pieces) => Ok(streamed("text/plain", pieces)),
        Err(NodeAccessError::NotAvailable(why)) => Err(ApiError::bad_request(why)),
        Err(error @ NodeAccessError::Dial { .. }) => Err(ApiError::unavailable(error.to_string())),
    }
}

/// Forwards a request to a pod and its answer back.
pub(crate) async fn proxy(
    node: Option<Arc<dyn NodeAccess>>,
    _plan: ProxyPlan,
    _request: &ApiRequest,
) -> Result<Response<ResponseBody>, ApiError> {
    let _node = node.ok_or_else(no_node)?;
    Err(ApiError::unavailable("not served yet"))
}

fn no_node() -> ApiError {
    ApiError::unavailable("no node is registered with this API server")
}
