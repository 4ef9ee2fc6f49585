//! What the API server asks of the node: logs of containers, programs in them, and connections to pods.

use super::context::NodeContext;
use super::{log, session};
use crate::apiserver::inputs::{
    Connection, LogRequest, LogStream, NodeAccess, NodeAccessError, Session, SessionRequest,
};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// The node as the API server sees it.
#[derive(Clone)]
pub(crate) struct Access(pub(crate) Arc<NodeContext>);

impl NodeAccess for Access {
    fn log(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, NodeAccessError>> {
        let node = self.0.clone();
        async move {
            let file = node.logs.find(&request.uid, &request.container, request.previous);
            let file = file.ok_or_else(|| NodeAccessError::NotAvailable(no_log(&request)))?;
            let options = log::Request {
                follow: request.follow,
                timestamps: request.timestamps,
                tail_lines: request.tail_lines,
                since_seconds: request.since_seconds,
                limit_bytes: request.limit_bytes,
            };
            let stream = log::open(file, options).await;
            let stream = stream.map_err(|error| NodeAccessError::NotAvailable(error.to_string()))?;
            Ok(stream.boxed() as LogStream)
        }
        .boxed()
    }

    fn connect(
        &self,
        _pod: Value,
        address: IpAddr,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>> {
        async move {
            let connected = tokio::net::TcpStream::connect((address, port)).await;
            let stream = connected.map_err(|source| NodeAccessError::Dial { address, port, source })?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        }
        .boxed()
    }

    fn admit_session(&self, request: &SessionRequest) -> Result<(), NodeAccessError> {
        session::admit(&self.0, request)
    }

    fn admit_ports(&self, pod: &Value) -> Result<(), NodeAccessError> {
        session::admit_ports(&self.0, pod)
    }

    fn open_session(&self, request: SessionRequest) -> BoxFuture<'static, Result<Session, NodeAccessError>> {
        let node = self.0.clone();
        async move { session::open(&node, request).await }.boxed()
    }

    fn forward_port(
        &self,
        pod: Value,
        port: u16,
    ) -> BoxFuture<'static, Result<Box<dyn Connection>, NodeAccessError>> {
        let node = self.0.clone();
        async move {
            let uid = pod.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
            session::connect_inside(&node, uid, port).await
        }
        .boxed()
    }
}

/// The kubelet's words.
fn no_log(request: &LogRequest) -> String {
    let LogRequest { namespace, pod, container, previous, .. } = request;
    if *previous {
        format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
    } else {
        format!("container \"{container}\" in pod \"{namespace}/{pod}\" is waiting to start")
    }
}
