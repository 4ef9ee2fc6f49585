//! The harness's half of the agent: starts it as an ephemeral container in the target pod, follows its log through the
//! API server and hands its proof on. It needs no route to the pod, and nothing here waits without an end.

mod error;
mod follower;
mod pods;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use error::AgentError;

use follower::{Follower, START_LIMIT};
use pods::Pods;

use super::container::ephemeral_container;
pub use super::container::{AgentTarget, DataVolume};
use super::proof::AgentProof;
use super::protocol::{AgentFault, ProofEvent, ProofLine};

/// The image that agents run from unless the harness is told otherwise.
pub const DEFAULT_IMAGE: &str = "chaos:v0.1.0";

/// How much longer than its fault an agent may live, for the dials before and after.
const PROOF_LIMIT: Duration = Duration::from_secs(45);

/// Carries faults into pods.
pub trait Agent: Send + Sync {
    /// Starts an agent for the fault in the target pod and returns as soon as it is on its way; the handle tells the rest.
    fn apply<'a>(
        &'a self,
        target: &'a AgentTarget,
        fault: AgentFault,
    ) -> BoxFuture<'a, Result<AgentHandle, AgentError>>;
}

/// Starts agents as ephemeral containers.
pub struct EphemeralAgent {
    client: kube::Client,
    image: String,
    /// Tells the containers of one harness from those of another in the same pod.
    run: String,
    started: AtomicU64,
}

impl EphemeralAgent {
    /// Agents from `image`. `run` is a short lower-case word, unique to this run of the harness, that goes into container
    /// names.
    pub fn new(client: kube::Client, image: impl Into<String>, run: impl Into<String>) -> Self {
        Self { client, image: image.into(), run: run.into(), started: AtomicU64::new(0) }
    }

    async fn start(&self, target: &AgentTarget, fault: AgentFault) -> Result<AgentHandle, AgentError> {
        super::protocol::AgentRequest::new(fault.clone()).check()?;
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let container = format!("chaos-{}-{}-{number}", fault.word(), self.run);
        let definition = ephemeral_container(&container, &self.image, target, &fault)?;
        let pods = Pods { client: self.client.clone(), target: target.clone() };
        pods.append(&definition).await?;
        let limit = Instant::now() + START_LIMIT + fault.duration() + PROOF_LIMIT;
        let (sender, lines) = mpsc::unbounded_channel();
        let follower = Follower { pods, container: container.clone(), seen: 0, lines: sender };
        Ok(AgentHandle {
            proof: AgentProof {
                pod: target.pod.clone(),
                pod_uid: target.pod_uid.clone(),
                container,
                fault,
                lines: Vec::new(),
            },
            lines,
            task: Some(AbortOnDropHandle::new(tokio::spawn(follower.follow(limit)))),
            failure: None,
        })
    }
}

impl Agent for EphemeralAgent {
    fn apply<'a>(
        &'a self,
        target: &'a AgentTarget,
        fault: AgentFault,
    ) -> BoxFuture<'a, Result<AgentHandle, AgentError>> {
        Box::pin(self.start(target, fault))
    }
}

/// A running agent. Dropping it stops only the reading: the fault ends by its own timer.
pub struct AgentHandle {
    proof: AgentProof,
    lines: mpsc::UnboundedReceiver<ProofLine>,
    task: Option<AbortOnDropHandle<Result<(), AgentError>>>,
    failure: Option<AgentError>,
}

impl AgentHandle {
    /// What the agent has written so far.
    pub fn proof(&self) -> &AgentProof {
        &self.proof
    }

    /// The next line of proof, or nothing when the agent is done. Loses nothing if it is dropped while waiting.
    pub async fn next_line(&mut self) -> Option<ProofLine> {
        let line = self.lines.recv().await?;
        self.proof.lines.push(line.clone());
        Some(line)
    }

    /// Waits until the fault is in force and says since when, in nanoseconds since 1970.
    ///
    /// # Errors
    /// When the agent failed or ended before.
    pub async fn applied(&mut self) -> Result<u64, AgentError> {
        while self.proof.applied_at().is_none() {
            let Some(line) = self.next_line().await else {
                return Err(self.ended_early("its log ended").await);
            };
            if let ProofEvent::Failed { message } = line.event {
                return Err(self.ended_early(&message).await);
            }
        }
        Ok(self.proof.applied_at().unwrap_or_default())
    }

    /// Reads until the agent's end. The proof is returned whatever happened: ask it for its gaps; the error, if there was
    /// one, says why the log may be short.
    pub async fn finish(mut self) -> (AgentProof, Option<AgentError>) {
        while self.next_line().await.is_some() {}
        self.join().await;
        (self.proof, self.failure)
    }

    async fn ended_early(&mut self, why: &str) -> AgentError {
        self.join().await;
        self.failure
            .take()
            .unwrap_or_else(|| AgentError::EndedEarly { pod: self.proof.pod.clone(), why: why.to_owned() })
    }

    async fn join(&mut self) {
        let Some(task) = self.task.take() else { return };
        self.failure = match task.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(error) => Some(AgentError::EndedEarly {
                pod: self.proof.pod.clone(),
                why: format!("following its log ended: {error}"),
            }),
        };
    }
}
