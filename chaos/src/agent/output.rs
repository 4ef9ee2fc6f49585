//! Writes proof to standard output, one JSON object a line, flushed at once: the agent may not live to flush it later.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

use super::protocol::{Observation, PROTOCOL_FORMAT, ProofEvent, ProofLine};

/// Writes one line of proof.
pub(super) fn write(event: ProofEvent) -> anyhow::Result<()> {
    let line = ProofLine { format: PROTOCOL_FORMAT, at_unix_nanoseconds: unix_nanoseconds(), event };
    let mut text = serde_json::to_vec(&line).context("failed to encode a line of proof")?;
    text.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&text).and_then(|()| output.flush()).context("failed to write a line of proof")
}

/// Writes what was measured before anything was changed.
pub(super) fn before(observation: Observation) -> anyhow::Result<()> {
    write(ProofEvent::Before { observation })
}

/// Says that the fault is in force, and until when.
pub(super) fn applied(ends_at_unix_nanoseconds: Option<u64>) -> anyhow::Result<()> {
    write(ProofEvent::Applied { ends_at_unix_nanoseconds })
}

/// Writes what was measured while the fault was in force.
pub(super) fn during(observation: Observation) -> anyhow::Result<()> {
    write(ProofEvent::During { observation })
}

/// Writes what was measured after the fault.
pub(super) fn after(observation: Observation) -> anyhow::Result<()> {
    write(ProofEvent::After { observation })
}

/// The wall clock, which the harness compares with other lines of the same node only.
pub(super) fn unix_nanoseconds() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
