//! Requests that end at the node: logs, and the proxy to a pod's port.
//!
//! Reaches pods only through [`NodeAccess`]; spawns nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use http::{Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

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
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: NodeAccessError) -> ApiError {
    match error {
        NodeAccessError::NotAvailable(why) => ApiError::bad_request(why),
        NodeAccessError::Dial { ref source, .. } => ApiError::unavailable(format!("{error}: {source}")),
    }
}

pub(super) fn no_node() -> ApiError {
    ApiError::unavailable("no node is registered with this API server")
}

/// Forwards a request to a pod and its answer back.
pub(crate) async fn proxy(
    node: Option<Arc<dyn NodeAccess>>,
    plan: ProxyPlan,
    request: &ApiRequest,
) -> Result<Response<ResponseBody>, ApiError> {
    let node = node.ok_or_else(no_node)?;
    let host = format!("{}:{}", plan.address, plan.port);
    let stream = node.connect(plan.pod, plan.address, plan.port).await.map_err(refused)?;
    let failed = |error: hyper::Error| ApiError::unavailable(format!("proxying to {host}: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut forwarded =
        Request::builder().method(request.method.clone()).uri(&plan.path).header(header::HOST, &host);
    for (name, value) in [(header::CONTENT_TYPE, &request.content_type), (header::ACCEPT, &request.accept)] {
        if !value.is_empty() {
            forwarded = forwarded.header(name, value);
        }
    }
    let forwarded = forwarded.body(Full::new(request.body.clone()));
    let forwarded =
        forwarded.map_err(|error| ApiError::bad_request(format!("proxying to {host}: {error}")))?;
    let connection = async move { drop(connection.await) }.boxed();
    let response = match select(Box::pin(sender.send_request(forwarded)), connection).await {
        Either::Left((response, connection)) => {
            response.map_err(failed)?.map(|body| Driven { connection: Some(connection), body })
        }
        Either::Right(((), response)) => {
            response.await.map_err(failed)?.map(|body| Driven { connection: None, body })
        }
    };
    let (mut parts, body) = response.into_parts();
    // The length of the body and whether the connection stays are for this hop only.
    for hop in [header::CONNECTION, header::TRANSFER_ENCODING] {
        parts.headers.remove(hop);
    }
    Ok(Response::from_parts(parts, body.map_err(std::io::Error::other).boxed_unsync()))
}

/// A body together with the connection that brings it, so that reading the one drives the other.
struct Driven {
    connection: Option<BoxFuture<'static, ()>>,
    body: Incoming,
}

impl Body for Driven {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(connection) = self.connection.as_mut()
            && Pin::new(connection).poll(context).is_ready()
        {
            self.connection = None;
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}
