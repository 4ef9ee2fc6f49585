//! The agent: the half that runs inside the target pod and does the damage, the half in the harness that starts it there,
//! and the protocol between them. No fault here outlives its own timer.

pub mod client;
pub mod container;
pub mod proof;
pub mod protocol;

/// The arguments of `chaos agent`, which the harness runs inside pods.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The request, as JSON (see `agent::protocol::AgentRequest`).
    pub request: String,
}

impl Arguments {
    /// Carries the fault out and writes its proof to standard output, one JSON object a line.
    ///
    /// # Errors
    /// When the request cannot be read or the fault could not be carried out; the proof says so too.
    pub async fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
