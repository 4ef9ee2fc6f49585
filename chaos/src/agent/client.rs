//! The harness's half of the agent: starts it as an ephemeral container in the target pod, follows its log through the
//! API server and hands its proof on. It needs no route to the pod, and nothing here waits without an end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

pub use super::container::{AgentTarget, DataVolume};
use super::container::{ContainerState, NoDataVolume, append_patch, container_state, ephemeral_container};
use super::proof::AgentProof;
use super::protocol::{AgentFault, PROTOCOL_FORMAT, ProofEvent, ProofLine};

/// The image that agents run from unless the harness is told otherwise.
pub const DEFAULT_IMAGE: &str = "chaos:v0.1.0";

/// The time that one call to the API server may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// How long an agent may take from the patch to its first line.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How much longer than its fault an agent may live, for the dials before and after.
const PROOF_LIMIT: Duration = Duration::from_secs(45);
/// The pause between two questions while waiting for the container.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// Why an agent could not be started or followed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The fault cannot be asked for in this form.
    #[error("the fault cannot be carried out as it stands")]
    Request(#[from] super::protocol::RequestError),
    /// The fault needs a volume that is not known.
    #[error(transparent)]
    NoDataVolume(#[from] NoDataVolume),
    /// The API server refused or did not answer.
    #[error("{doing} of pod {pod}")]
    Api {
        /// What was asked.
        doing: &'static str,
        /// The pod.
        pod: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A call to the API server took too long.
    #[error("{doing} of pod {pod}: no answer in {} s", CALL_LIMIT.as_secs())]
    ApiTimedOut {
        /// What was asked.
        doing: &'static str,
        /// The pod.
        pod: String,
    },
    /// The pod is gone, or another pod has taken its name.
    #[error("pod {pod} with uid {uid} is gone")]
    PodGone {
        /// The pod.
        pod: String,
        /// Its uid.
        uid: String,
    },
    /// The agent's log held something else than proof.
    #[error("the agent in pod {pod} wrote a line that is not proof: {line}")]
    NotProof {
        /// The pod.
        pod: String,
        /// The line.
        line: String,
    },
    /// The agent ended before its fault was in force.
    #[error("the agent in pod {pod} ended before its fault was in force: {why}")]
    EndedEarly {
        /// The pod.
        pod: String,
        /// What is known about the end.
        why: String,
    },
    /// The agent took too long to start or to end.
    #[error("the agent in pod {pod} was not done in time: {waiting_for}")]
    TimedOut {
        /// The pod.
        pod: String,
        /// What was waited for.
        waiting_for: String,
    },
}

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

/// Calls about one pod, each limited in time.
struct Pods {
    client: kube::Client,
    target: AgentTarget,
}

impl Pods {
    /// Adds the container to the pod; tries again when somebody else has changed the pod in between.
    async fn append(&self, container: &Value) -> Result<(), AgentError> {
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
    async fn read(&self) -> Result<Value, AgentError> {
        let request = http::Request::get(self.path("")).body(Vec::new());
        let doing = "reading the state";
        let pod: Value = match self.limited(doing, self.client.request(valid(request))).await {
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
        let doing = "adding an ephemeral container to the containers";
        self.limited(doing, self.client.request::<Value>(valid(request))).await.map(drop)
    }

    async fn limited<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, AgentError> {
        let pod = self.target.pod.clone();
        match timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(AgentError::Api { doing, pod, source: Box::new(source) }),
            Err(_) => Err(AgentError::ApiTimedOut { doing, pod }),
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
struct Follower {
    pods: Pods,
    container: String,
    /// Lines handed on so far. The log is read from its start after each break, and these are skipped.
    seen: usize,
    lines: mpsc::UnboundedSender<ProofLine>,
}

impl Follower {
    async fn follow(mut self, limit: Instant) -> Result<(), AgentError> {
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
            self.pods.limited("opening the log", pods.log_stream(&self.pods.target.pod, &parameters)).await;
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
