//! What can go wrong between the harness and an agent. Only types.

use super::pods::CALL_LIMIT;
use crate::agent::container::NoDataVolume;

/// Why an agent could not be started or followed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The fault cannot be asked for in this form.
    #[error("the fault cannot be carried out as it stands")]
    Request(#[from] crate::agent::protocol::RequestError),
    /// The fault needs a volume that is not known.
    #[error(transparent)]
    NoDataVolume(#[from] NoDataVolume),
    /// The API server refused or did not answer.
    #[error("failed to {attempt} of pod {pod}")]
    Api {
        /// What was asked.
        attempt: &'static str,
        /// The pod.
        pod: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A call to the API server took too long.
    #[error("failed to {attempt} of pod {pod}: no answer in {} s", CALL_LIMIT.as_secs())]
    ApiTimedOut {
        /// What was asked.
        attempt: &'static str,
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
