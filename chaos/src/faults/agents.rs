//! Runs one agent in each target pod at once and turns what the agents measured into the record's proofs.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::{join_all, try_join_all};

use super::case::{Case, Entered};
use crate::agent::client::{Agent as _, AgentHandle};
use crate::agent::proof::AgentProof;
use crate::agent::protocol::{AgentFault, CheckHealFault, Observation, ProofEvent};
use crate::record::{Dial, Proof};

/// Starts an agent in every pod and waits until each says that its fault is in force.
///
/// # Errors
/// If one of them cannot do its work. The others end by their own timers.
pub(super) async fn apply(case: &Case<'_>, faults: Vec<(Entered, AgentFault)>) -> Result<Vec<AgentHandle>> {
    let started = faults.into_iter().map(async |(target, fault)| {
        let target = target.agent_target();
        let mut handle = case.context.agent.apply(&target, fault).await?;
        handle.applied().await?;
        Ok::<_, crate::agent::client::AgentError>(handle)
    });
    try_join_all(started)
        .await
        .with_context(|| format!("failed to inject {} through the agent", case.step.name))
}

/// Waits until every agent is done and records what it measured.
///
/// # Errors
/// If an agent's proof has a gap: the fault was then not real, or is not over.
pub(super) async fn finish(case: &Case<'_>, handles: Vec<AgentHandle>) -> Result<Vec<AgentProof>> {
    let mut proofs = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    for (proof, error) in join_all(handles.into_iter().map(AgentHandle::finish)).await {
        for proved in proofs_of(&proof) {
            case.prove(Some(&proof.pod), proved);
        }
        let gaps = proof.gaps();
        wrong.extend(gaps.iter().map(|gap| format!("in pod {}: {gap}", proof.pod)));
        if let Some(error) = error.filter(|_| !proof.fault.kills_the_agent()) {
            wrong.push(format!("in pod {}: {:#}", proof.pod, anyhow::Error::from(error)));
        }
        proofs.push(proof);
    }
    if wrong.is_empty() { Ok(proofs) } else { bail!("the proof has gaps: {}", wrong.join("; ")) }
}

/// Asks a fresh agent in every pod to remove what an interrupted fault left.
pub(super) async fn heal_early(case: &Case<'_>, targets: Vec<Entered>) -> Result<()> {
    let check = || AgentFault::CheckHeal(CheckHealFault::default());
    let healing = targets.into_iter().map(async |target| {
        let agent = case.context.agent.apply(&target.agent_target(), check()).await?;
        let (_, error) = agent.finish().await;
        error.map_or(Ok(()), Err)
    });
    let healed = tokio::time::timeout(Duration::from_secs(30), try_join_all(healing)).await;
    healed.context("early healing took too long")?.map(drop).context("failed to heal early")
}

/// What of an agent's lines the record keeps.
fn proofs_of(proof: &AgentProof) -> Vec<Proof> {
    let mut proofs = Vec::new();
    let observations = |wanted: fn(&ProofEvent) -> Option<&Observation>| {
        proof.lines.iter().filter_map(move |line| wanted(&line.event))
    };
    let felt: Vec<&Observation> = observations(during).collect();
    let over = observations(after).next_back();
    match &proof.fault {
        AgentFault::Partition(_) => {
            proofs.extend(felt.iter().rev().find_map(|observation| partition_felt(observation)));
            proofs.extend(over.and_then(partition_over));
        }
        AgentFault::Pause(_) => {
            proofs.extend(felt.iter().rev().find_map(|observation| stopped(observation)));
            proofs.extend(over.and_then(resumed));
        }
        AgentFault::Wipe(wipe) => {
            let before = observations(before).find_map(entries);
            let emptied = observations(changed).filter_map(entries).next_back();
            if let (Some(entries_before), Some(entries_after)) = (before, emptied) {
                let path = wipe.path.display().to_string();
                proofs.push(Proof::DirectoryEmptied { path, entries_before, entries_after });
            }
        }
        // No fault of scenarios yet.
        AgentFault::Spoil(_) => {}
        AgentFault::Kill | AgentFault::CheckHeal(_) => {}
    }
    proofs
}

fn before(event: &ProofEvent) -> Option<&Observation> {
    match event {
        ProofEvent::Before { observation } => Some(observation),
        _ => None,
    }
}

fn during(event: &ProofEvent) -> Option<&Observation> {
    match event {
        ProofEvent::During { observation } => Some(observation),
        _ => None,
    }
}

fn after(event: &ProofEvent) -> Option<&Observation> {
    match event {
        ProofEvent::After { observation } => Some(observation),
        _ => None,
    }
}

/// Measured at any time after the change was made.
fn changed(event: &ProofEvent) -> Option<&Observation> {
    match event {
        ProofEvent::During { observation }
        | ProofEvent::Expired { observation }
        | ProofEvent::After { observation } => Some(observation),
        ProofEvent::Started { .. }
        | ProofEvent::Before { .. }
        | ProofEvent::Applied { .. }
        | ProofEvent::Finished
        | ProofEvent::Failed { .. } => None,
    }
}

fn dials(dials: &[crate::agent::protocol::Dial]) -> Vec<Dial> {
    dials.iter().map(|dial| Dial { peer: dial.address.to_string(), connected: dial.path_works() }).collect()
}

fn partition_felt(observation: &Observation) -> Option<Proof> {
    match observation {
        Observation::Network { peers, uncut, dropped, .. } => Some(Proof::PartitionFelt {
            dropped_packets: dropped.inbound_packets + dropped.outbound_packets,
            inbound_packets: Some(dropped.inbound_packets),
            outbound_packets: Some(dropped.outbound_packets),
            cut: dials(peers),
            uncut: dials(uncut),
        }),
        Observation::Process { .. } | Observation::Directory { .. } | Observation::File { .. } => None,
    }
}

fn partition_over(observation: &Observation) -> Option<Proof> {
    match observation {
        Observation::Network { peers, .. } => Some(Proof::PartitionOver { dials: dials(peers) }),
        Observation::Process { .. } | Observation::Directory { .. } | Observation::File { .. } => None,
    }
}

/// Threads that a tracer stopped, and all threads.
fn threads(observation: &Observation) -> Option<(u32, u32)> {
    let Observation::Process { process: Some(process) } = observation else { return None };
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let stopped = process.threads_by_state.get(&'t').copied().unwrap_or_default();
    Some((count(stopped), count(process.threads_by_state.values().sum())))
}

fn stopped(observation: &Observation) -> Option<Proof> {
    threads(observation).map(|(stopped, threads)| Proof::Stopped { stopped, threads })
}

fn resumed(observation: &Observation) -> Option<Proof> {
    threads(observation).map(|(stopped, _)| Proof::Resumed { stopped })
}

fn entries(observation: &Observation) -> Option<u64> {
    match observation {
        Observation::Directory { entries, .. } => Some(*entries),
        Observation::Network { .. } | Observation::Process { .. } | Observation::File { .. } => None,
    }
}
