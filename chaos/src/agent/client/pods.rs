//! Calls to the API server about one pod, each limited in time. Never follows a log.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::AgentError;
use crate::agent::container::{AgentTarget, append_patch};

/// The time that one call to the API server may take.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Calls about one pod, each limited in time.
pub(super) struct Pods {
    pub(super) client: kube::Client,
    pub(super) target: AgentTarget,
}

impl Pods {
    /// Adds the container to the pod; tries again when somebody else has changed the pod in between.
    pub(super) async fn append(&self, container: &Value) -> Result<(), AgentError> {
        let limit = Instant::now() + CALL_LIMIT;
        let mut pod = self.read().await?;
        while let Some(patch) = append_patch(&pod, container) {
            let Err(refusal) = self.patch(&patch).await else { return Ok(()) };
            let changed = self.read().await?;
            let overtaken = resource_version(&changed) != resource_version(&pod);
            if !is_conflict(&refusal) || !overtaken || Instant::now() >= limit {
                return Err(refusal);
            }
            pod = changed;
        }
        Ok(())
    }

    /// The pod as it is, with every field that the server knows; an error if it is not the target any more.
    pub(super) async fn read(&self) -> Result<Value, AgentError> {
        let request = http::Request::get(self.path("")).body(Vec::new());
        let attempt = "read the state";
        let pod: Value = match self.limited(attempt, self.client.request(valid(request))).await {
            Err(AgentError::Api { source, .. }) if is_status(&source, 404) => return Err(self.gone()),
            other => other?,
        };
        if pod.pointer("/metadata/uid").and_then(Value::as_str) == Some(self.target.pod_uid.as_str()) {
            Ok(pod)
        } else {
            Err(self.gone())
        }
    }

    async fn patch(&self, patch: &Value) -> Result<(), AgentError> {
        let request = http::Request::patch(self.path("/ephemeralcontainers"))
            .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
            .body(patch.to_string().into_bytes());
        let attempt = "add an ephemeral container to the containers";
        self.limited(attempt, self.client.request::<Value>(valid(request))).await.map(drop)
    }

    pub(super) async fn limited<T>(
        &self,
        attempt: &'static str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, AgentError> {
        let pod = self.target.pod.clone();
        match timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(AgentError::Api { attempt, pod, source: Box::new(source) }),
            Err(_) => Err(AgentError::ApiTimedOut { attempt, pod }),
        }
    }

    fn path(&self, subresource: &str) -> String {
        format!("/api/v1/namespaces/{}/pods/{}{subresource}", self.target.namespace, self.target.pod)
    }

    fn gone(&self) -> AgentError {
        AgentError::PodGone { pod: self.target.pod.clone(), uid: self.target.pod_uid.clone() }
    }
}

fn valid(request: http::Result<http::Request<Vec<u8>>>) -> http::Request<Vec<u8>> {
    request.expect("names of Kubernetes objects are valid in a path")
}

/// What a patch of an outdated pod is answered with: a conflict, or, by a server that validates first, a refusal to remove the
/// containers that it does not name.
fn is_conflict(error: &AgentError) -> bool {
    matches!(error, AgentError::Api { source, .. } if is_status(source, 409) || is_status(source, 422))
}

fn resource_version(pod: &Value) -> Option<&str> {
    pod.pointer("/metadata/resourceVersion").and_then(Value::as_str)
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
