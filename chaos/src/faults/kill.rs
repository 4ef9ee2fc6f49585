//! The container's first process dies as by SIGKILL from the node; the pod stays. Over once it happened; proved by another
//! process in the same pod.

use anyhow::{Context as _, Result};
use futures::future::try_join_all;

use super::agents;
use super::case::{Case, Entered, Victims};
use crate::agent::protocol::AgentFault;
use crate::live::samples;
use crate::record::{ProcessIdentity, Proof};

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims) -> Result<()> {
    let targets = case.entered(victims);
    let before = case.processes(&targets).await?;
    let faults = targets.iter().map(|target| (target.clone(), AgentFault::Kill)).collect();
    let agents = agents::apply(case, faults).await?;
    case.injected();
    case.healed();
    agents::finish(case, agents).await?;
    try_join_all(targets.iter().map(|target| prove_replaced(case, target, &before[&target.pod]))).await?;
    Ok(())
}

/// Waits for another process in the same pod and records it.
pub(super) async fn prove_replaced(
    case: &Case<'_>,
    target: &Entered,
    before: &ProcessIdentity,
) -> Result<()> {
    let what = format!("another process in pod {}", target.pod);
    let after = case
        .wait_for(&what, case.context.repair_within, async || process_after(case, target, before).await)
        .await?;
    case.prove(Some(&target.pod), Proof::ProcessReplaced { before: before.clone(), after });
    Ok(())
}

async fn process_after(
    case: &Case<'_>,
    target: &Entered,
    before: &ProcessIdentity,
) -> Result<Option<ProcessIdentity>> {
    let is_after = |now: &ProcessIdentity| {
        now.container_id != before.container_id && now.restart_count > before.restart_count
    };
    // Whoever watches sees more than whoever asks: the pod may be gone by now.
    let seen = case.context.board.borrow().processes.get(&target.uid).cloned().unwrap_or_default();
    if let Some(after) = seen.into_iter().find(is_after) {
        return Ok(Some(after));
    }
    let pod = case.pods(&target.namespace).get_opt(&target.pod).await.context("failed to read the pod")?;
    let pod = pod.filter(|pod| pod.metadata.uid.as_deref() == Some(target.uid.as_str()));
    Ok(pod.and_then(|pod| samples::process(&pod, target.container)).filter(is_after))
}
