//! Reads an agent's log through the API server, whatever happens to the connection or the pod.

use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::AgentError;
use super::pods::Pods;
use crate::agent::container::{ContainerState, container_state};
use crate::agent::protocol::{PROTOCOL_FORMAT, ProofEvent, ProofLine};

/// How long an agent may take from the patch to its first line.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
/// The pause between two questions while waiting for the container.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// How far one reading of a log came.
enum LogEnd {
    /// The agent said that it is done.
    LastWord,
    /// The log was read to where it ends now.
    Whole,
    /// The connection broke, or the log could not be opened.
    BrokeOff,
}

/// Reads one agent's log to its end, however often the connection breaks.
pub(super) struct Follower {
    pub(super) pods: Pods,
    pub(super) container: String,
    /// Lines handed on so far. The log is read from its start after each break, and these are skipped.
    pub(super) seen: usize,
    pub(super) lines: mpsc::UnboundedSender<ProofLine>,
}

impl Follower {
    pub(super) async fn follow(mut self, limit: Instant) -> Result<(), AgentError> {
        let pod = self.pods.target.pod.clone();
        let waiting_for = format!("the log of container {}", self.container);
        match timeout_at(limit, self.follow_to_the_end()).await {
            Ok(result) => result,
            Err(_) => Err(AgentError::TimedOut { pod, waiting_for }),
        }
    }

    async fn follow_to_the_end(&mut self) -> Result<(), AgentError> {
        self.wait_until_started().await?;
        loop {
            // Asked before the log is read: what a terminated container has written is then all there.
            let state = self.state().await?;
            let terminated = matches!(state, Some(ContainerState::Terminated { .. }));
            match self.read_log(!terminated).await? {
                LogEnd::LastWord => return Ok(()),
                LogEnd::Whole if terminated => return Ok(()),
                LogEnd::Whole | LogEnd::BrokeOff => sleep(POLL_INTERVAL).await,
            }
        }
    }

    async fn wait_until_started(&mut self) -> Result<(), AgentError> {
        let limit = Instant::now() + START_LIMIT;
        loop {
            let reason = match self.state().await? {
                Some(ContainerState::Running | ContainerState::Terminated { .. }) => return Ok(()),
                Some(ContainerState::Waiting(reason)) => reason.unwrap_or_else(|| "waiting".to_owned()),
                None => "the API server does not answer".to_owned(),
            };
            if Instant::now() >= limit {
                let waiting_for = format!("the start of container {} ({reason})", self.container);
                return Err(AgentError::TimedOut { pod: self.pods.target.pod.clone(), waiting_for });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The container's state; nothing while the API server cannot be asked.
    async fn state(&self) -> Result<Option<ContainerState>, AgentError> {
        match self.pods.read().await {
            Ok(pod) => Ok(Some(container_state(&pod, &self.container))),
            Err(gone @ AgentError::PodGone { .. }) => Err(gone),
            Err(error) => {
                tracing::debug!(%error, pod = self.pods.target.pod, "asking for the agent's state again");
                Ok(None)
            }
        }
    }

    /// Hands on what is new in the log. A log that breaks off is to be read again.
    async fn read_log(&mut self, follow: bool) -> Result<LogEnd, AgentError> {
        let pods: Api<Pod> = Api::namespaced(self.pods.client.clone(), &self.pods.target.namespace);
        let parameters =
            LogParams { container: Some(self.container.clone()), follow, ..LogParams::default() };
        let opened =
            self.pods.limited("open the log", pods.log_stream(&self.pods.target.pod, &parameters)).await;
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                tracing::debug!(%error, "opening the agent's log again");
                return Ok(LogEnd::BrokeOff);
            }
        };
        let log = std::pin::pin!(log);
        let mut lines = log.lines().enumerate();
        while let Some((number, line)) = lines.next().await {
            let Ok(line) = line else { return Ok(LogEnd::BrokeOff) };
            if number < self.seen {
                continue;
            }
            let Some(proof) = self.parse(&line)? else { return Ok(LogEnd::BrokeOff) };
            self.seen = number + 1;
            let last = matches!(proof.event, ProofEvent::Finished | ProofEvent::Failed { .. });
            if self.lines.send(proof).is_err() || last {
                return Ok(LogEnd::LastWord);
            }
        }
        Ok(LogEnd::Whole)
    }

    /// A line of proof; nothing for a line that a broken connection has cut.
    fn parse(&self, line: &str) -> Result<Option<ProofLine>, AgentError> {
        match serde_json::from_str::<ProofLine>(line) {
            Ok(proof) if proof.format == PROTOCOL_FORMAT => Ok(Some(proof)),
            Err(error) if error.is_eof() => Ok(None),
            Ok(_) | Err(_) => {
                Err(AgentError::NotProof { pod: self.pods.target.pod.clone(), line: line.to_owned() })
            }
        }
    }
}
