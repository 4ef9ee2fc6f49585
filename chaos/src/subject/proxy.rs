//! Small HTTP calls to a pod's port through the API server's `pods/proxy`: the harness needs no route to any pod.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;

/// Bounds one call; the pods answer from memory or a local file.
const PATIENCE: Duration = Duration::from_secs(15);

/// One port of one pod.
#[derive(Clone, Debug)]
pub struct PodPort {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The port that an HTTP server in it listens on.
    pub port: u16,
}

/// An answer with a success status.
pub struct Answer {
    /// The headers.
    pub headers: http::HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl PodPort {
    /// `GET`s a path (with its query, without a leading slash) and parses the answer as JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, client: &Client, path: &str) -> Result<T> {
        let answer = self.call(client, http::Method::GET, path).await?;
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("failed to parse the answer of {}/{path}", self.pod))
    }

    /// `GET`s raw bytes.
    pub async fn get(&self, client: &Client, path: &str) -> Result<Answer> {
        self.call(client, http::Method::GET, path).await
    }

    /// `POST`s without a body.
    pub async fn post(&self, client: &Client, path: &str) -> Result<Answer> {
        self.call(client, http::Method::POST, path).await
    }

    async fn call(&self, client: &Client, method: http::Method, path: &str) -> Result<Answer> {
        let what = format!("{method} {path} of pod {} port {}", self.pod, self.port);
        let called = tokio::time::timeout(PATIENCE, self.exchange(client, method, path)).await;
        called.with_context(|| format!("{what}: no answer in {} s", PATIENCE.as_secs()))?.context(what)
    }

    async fn exchange(&self, client: &Client, method: http::Method, path: &str) -> Result<Answer> {
        let Self { namespace, pod, port } = self;
        let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}");
        let request = http::Request::builder().method(method).uri(uri).body(Body::empty())?;
        let response = client.send(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("failed to read the body")?.to_bytes();
        if !parts.status.is_success() {
            bail!("status {}: {}", parts.status, String::from_utf8_lossy(&body[..body.len().min(300)]));
        }
        Ok(Answer { headers: parts.headers, body })
    }
}
