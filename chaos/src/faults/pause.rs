//! Every thread of the container's first process stands still for a while. The agent's timer ends it, and so does the
//! agent's death.

use std::time::Duration;

use anyhow::{Result, bail};

use super::agents;
use super::case::{Case, Victims};
use crate::agent::client::AgentHandle;
use crate::agent::protocol::{AgentFault, PauseFault};
use crate::subject::operator;

pub(super) async fn carry_out(case: &Case<'_>, victims: &Victims, lasting: Duration) -> Result<()> {
    let agents = stop(case, victims, lasting).await?;
    case.injected();
    case.hold(lasting).await;
    // The agent lets go at its own timer and measures afterwards; its last line is the proof that the pause is over.
    let finished = agents::finish(case, agents).await;
    case.healed();
    finished.map(drop)
}

/// Stops the operator, so that nothing is repaired meanwhile.
pub(super) async fn stop_operator(case: &Case<'_>, lasting: Duration) -> Result<Vec<AgentHandle>> {
    let operators = Victims { operator: operator::pods(&case.context.client).await?, ..Victims::default() };
    if operators.operator.is_empty() {
        bail!("the operator has no pod that could be paused");
    }
    stop(case, &operators, lasting).await
}

/// Stops the processes; each is let go after `lasting` whatever happens to the harness.
pub(super) async fn stop(case: &Case<'_>, victims: &Victims, lasting: Duration) -> Result<Vec<AgentHandle>> {
    let duration_milliseconds = u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX);
    let pause = AgentFault::Pause(PauseFault { duration_milliseconds });
    let faults = case.entered(victims).into_iter().map(|target| (target, pause.clone())).collect();
    agents::apply(case, faults).await
}
