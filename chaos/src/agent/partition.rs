//! Cuts this pod off from some addresses and measures that it is. The kernel ends the cut: this code only waits for it,
//! and removes the empty table after.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep, sleep_until};

use super::dial::dial_all;
use super::nft;
use super::output;
use super::protocol::{CheckHealFault, Dial, Observation, PartitionFault, ProofEvent};

/// How long a dial may take at most; a quarter of the fault if that is shorter, so that one fits in.
const DIAL_LIMIT: Duration = Duration::from_millis(400);
/// How long before the reckoned end of the cut a measurement must be over to count: the kernel counts in ticks.
const END_MARGIN: Duration = Duration::from_millis(30);
/// How long all addresses may take to answer before the fault. A busy machine is not a broken network.
const READY_LIMIT: Duration = Duration::from_secs(3);
/// From the start of one measurement to the start of the next.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// How long after its time the kernel may keep an element in the set. It skips expired elements at once.
const EXPIRY_LIMIT: Duration = Duration::from_secs(2);
/// How long peers may take to be reachable again.
const HEAL_LIMIT: Duration = Duration::from_secs(10);
const HEAL_INTERVAL: Duration = Duration::from_millis(200);

/// Carries the fault out, from the dials before to those after.
pub(super) async fn partition(fault: &PartitionFault) -> anyhow::Result<()> {
    let duration = Duration::from_millis(fault.duration_milliseconds);
    let dial_limit = DIAL_LIMIT.min(duration / 4);
    output::before(observe_until_reachable(&fault.peers, &fault.uncut, READY_LIMIT).await?)?;
    // Reckoned from before the cut, so that the kernel's own end is never earlier.
    let end = Instant::now() + duration;
    let ends_at = output::unix_nanoseconds() + fault.duration_milliseconds * 1_000_000;
    nft::install(fault)?;
    output::applied(Some(ends_at))?;
    measure_until(fault, end, dial_limit).await?;
    let observation = observe_expired(fault, end).await?;
    output::write(ProofEvent::Expired { observation })?;
    remove_if_expired()?;
    output::after(observe_until_reachable(&fault.peers, &fault.uncut, HEAL_LIMIT).await?)
}

/// Removes what earlier faults have left and measures that all is reachable.
pub(super) async fn check_heal(fault: &CheckHealFault) -> anyhow::Result<()> {
    output::before(observe(&fault.reachable, &[], DIAL_LIMIT).await?)?;
    let found = nft::remove()?;
    tracing::debug!(found, table = nft::TABLE, "removed what earlier faults have left");
    output::applied(None)?;
    output::after(observe_until_reachable(&fault.reachable, &[], HEAL_LIMIT).await?)
}

/// Only measurements that were over before the end of the cut count: a dial across the end proves neither.
async fn measure_until(fault: &PartitionFault, end: Instant, dial_limit: Duration) -> anyhow::Result<()> {
    let mut next = Instant::now();
    while next + dial_limit + END_MARGIN < end {
        sleep_until(next).await;
        let observation = observe(&fault.peers, &fault.uncut, dial_limit).await?;
        if Instant::now() + END_MARGIN < end {
            output::during(observation)?;
        }
        next += MEASURE_INTERVAL;
    }
    sleep_until(end).await;
    Ok(())
}

async fn observe_expired(fault: &PartitionFault, end: Instant) -> anyhow::Result<Observation> {
    while !nft::cut_addresses()?.is_empty() && Instant::now() < end + EXPIRY_LIMIT {
        sleep(Duration::from_millis(20)).await;
    }
    observe(&fault.peers, &fault.uncut, DIAL_LIMIT).await
}

/// A later fault may have replaced our table by its own, which must stay as long as it cuts anything.
fn remove_if_expired() -> anyhow::Result<()> {
    if nft::cut_addresses()?.is_empty() {
        nft::remove().context("failed to remove the expired table")?;
    }
    Ok(())
}

async fn observe_until_reachable(
    peers: &[SocketAddrV4],
    uncut: &[SocketAddrV4],
    patience: Duration,
) -> anyhow::Result<Observation> {
    let limit = Instant::now() + patience;
    loop {
        let observation = observe(peers, uncut, DIAL_LIMIT).await?;
        if all_reachable(&observation) || Instant::now() >= limit {
            return Ok(observation);
        }
        sleep(HEAL_INTERVAL).await;
    }
}

async fn observe(
    peers: &[SocketAddrV4],
    uncut: &[SocketAddrV4],
    limit: Duration,
) -> anyhow::Result<Observation> {
    let (peers, uncut) = tokio::join!(dial_all(peers, limit), dial_all(uncut, limit));
    let (dropped, cut_addresses) = (nft::counters()?, nft::cut_addresses()?);
    Ok(Observation::Network { peers, uncut, dropped, cut_addresses })
}

fn all_reachable(observation: &Observation) -> bool {
    match observation {
        Observation::Network { peers, uncut, cut_addresses, .. } => {
            cut_addresses.is_empty() && peers.iter().chain(uncut).all(Dial::path_works)
        }
        Observation::Process { .. } | Observation::Directory { .. } | Observation::File { .. } => false,
    }
}
