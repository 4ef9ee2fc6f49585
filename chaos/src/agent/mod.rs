//! The agent: the half that runs inside the target pod and does the damage, the half in the harness that starts it there,
//! and the protocol between them. No fault here outlives its own timer.

// Decides, or says what things are.
pub mod container;
pub mod proof;
pub mod protocol;

// Runs where the harness runs.
pub mod client;

// Runs inside the target pod.
mod dial;
mod nft;
mod output;
mod partition;
mod proc_files;
mod process;
mod spoil;
mod tracer;
mod wipe;

use anyhow::Context;

use protocol::{AgentFault, AgentRequest, ProofEvent};

/// Whether the packet filter of this thread's network namespace holds a table of ours, be it in force or expired.
///
/// # Errors
/// When the kernel does not tell; it asks for CAP_NET_ADMIN.
pub fn has_left_a_table() -> anyhow::Result<bool> {
    nft::is_present().context("failed to look for our nftables table")
}

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
        let result = carry_out(&self.request).await;
        match &result {
            Ok(()) => output::write(ProofEvent::Finished)?,
            Err(error) => output::write(ProofEvent::Failed { message: format!("{error:#}") })?,
        }
        result
    }
}

async fn carry_out(request: &str) -> anyhow::Result<()> {
    let request: AgentRequest = serde_json::from_str(request).context("failed to read the request")?;
    request.check()?;
    let fault = request.fault;
    output::write(ProofEvent::Started { fault: fault.clone(), boot_id: proc_files::boot_id()? })?;
    match fault {
        AgentFault::Partition(partition) => partition::partition(&partition).await,
        AgentFault::CheckHeal(check) => partition::check_heal(&check).await,
        AgentFault::Kill => on_own_thread(process::kill).await,
        AgentFault::Pause(pause) => on_own_thread(move || process::pause(&pause)).await,
        AgentFault::Spoil(fault) => on_own_thread(move || spoil::spoil(&fault)).await,
        AgentFault::Wipe(wipe) => on_own_thread(move || process::wipe(&wipe)).await,
    }
}

/// Runs on a fresh thread, which ends with the work: what it holds by ptrace is released at the latest then.
async fn on_own_thread(work: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<()> {
    let (sender, result) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    result.await.context("the thread of the fault ended without a word")?
}
