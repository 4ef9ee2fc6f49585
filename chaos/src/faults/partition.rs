//! Packets between the targets and some of their peers are dropped for a while. The kernel's time-out ends it; if the user
//! wants to stop, a fresh agent removes the rules earlier.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::agents;
use super::case::{Case, Entered, Victims};
use crate::agent::protocol::{self, AgentFault, PartitionFault};
use crate::scenario::{Direction, Peers};
use crate::subject::etcd;

pub(super) async fn carry_out(
    case: &Case<'_>,
    victims: &Victims,
    direction: Direction,
    peers: Peers,
    lasting: Duration,
) -> Result<()> {
    let targets = case.entered(victims);
    let faults = targets.iter().map(|target| {
        let cut = addresses_to_cut(victims, target, peers)?;
        Ok((target.clone(), partition(case, direction, &cut, lasting)))
    });
    let faults: Vec<(Entered, AgentFault)> = faults.collect::<Result<_>>()?;
    let agents = agents::apply(case, faults).await?;
    case.injected();
    case.hold(lasting).await;
    if case.context.ending.is_cancelled() {
        agents::heal_early(case, targets).await?;
    }
    // The agent measures after the kernel has lifted the cut; its last line is the proof that the partition is over.
    let finished = agents::finish(case, agents).await;
    case.healed();
    finished.map(drop)
}

fn partition(case: &Case<'_>, direction: Direction, cut: &[Ipv4Addr], lasting: Duration) -> AgentFault {
    let port = etcd::steady_port(case.context.encryption);
    AgentFault::Partition(PartitionFault {
        peers: cut.iter().map(|address| SocketAddrV4::new(*address, port)).collect(),
        direction: match direction {
            Direction::Both => protocol::Direction::Both,
            Direction::Inbound => protocol::Direction::Inbound,
            Direction::Outbound => protocol::Direction::Outbound,
        },
        ports: Vec::new(),
        uncut: vec![case.context.api_server],
        duration_milliseconds: u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX),
    })
}

/// The present addresses of the peers that `target` is cut off from. Fellow targets stay reachable.
fn addresses_to_cut(victims: &Victims, target: &Entered, peers: Peers) -> Result<Vec<Ipv4Addr>> {
    let is_victim = |pod: &str| {
        victims.members.iter().any(|member| member.pod.as_ref().is_some_and(|own| own.pod == pod))
    };
    let mut others: Vec<(bool, Ipv4Addr)> = Vec::new();
    for member in &victims.view.members {
        let Some(pod) = member.pod.as_ref().filter(|pod| pod.pod != target.pod && !is_victim(&pod.pod))
        else {
            continue;
        };
        let address = pod.address.with_context(|| format!("pod {} has no address to be cut", pod.pod))?;
        others.push((victims.view.leader == Some(member.id), address));
    }
    let cut: Vec<Ipv4Addr> = match peers {
        Peers::All => others.into_iter().map(|(_, address)| address).collect(),
        Peers::Leader => others.into_iter().filter(|(leads, _)| *leads).map(|(_, address)| address).collect(),
        Peers::Majority => {
            // With the target itself, one fewer than a quorum may stay reachable.
            let reachable = victims.view.quorum().saturating_sub(1 + victims.members.len());
            others.sort_by_key(|(leads, address)| (!leads, *address));
            let count = others.len().saturating_sub(reachable);
            others.into_iter().take(count).map(|(_, address)| address).collect()
        }
    };
    if cut.is_empty() {
        bail!("there is nobody to cut {} off from", target.pod);
    }
    Ok(cut)
}
