//! The data directory is emptied and the process killed while it is stopped, so that nothing is written again; the pod
//! stays. Over once it happened; proved by the empty directory and by another process in the same pod.

use std::path::PathBuf;

use anyhow::Result;
use futures::future::try_join_all;

use super::case::{Case, DATA_DIRECTORY, Victims};
use super::{agents, kill};
use crate::agent::protocol::{AgentFault, WipeFault};

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims) -> Result<()> {
    let targets = case.entered(victims);
    let before = case.processes(&targets).await?;
    let wipe = AgentFault::Wipe(WipeFault { path: PathBuf::from(DATA_DIRECTORY), then_kill: true });
    let faults = targets.iter().map(|target| (target.clone(), wipe.clone())).collect();
    let agents = agents::apply(case, faults).await?;
    case.injected();
    case.healed();
    agents::finish(case, agents).await?;
    try_join_all(targets.iter().map(|target| kill::prove_replaced(case, target, &before[&target.pod])))
        .await?;
    Ok(())
}
