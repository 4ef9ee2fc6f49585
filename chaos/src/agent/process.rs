//! Faults of the target container's first process: death, standstill, and a wiped directory under its feet. They run on one
//! thread of their own, because ptrace belongs to a thread.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::output;
use super::proc_files::process_state;
use super::protocol::{Observation, PauseFault, ProcessState, WipeFault};
use super::tracer::{Hold, HolderDeath, doom};
use super::wipe::{Content, empty_directory, measure};

/// The first process of the pid namespace that the agent shares with the target container.
const TARGET: i32 = 1;
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// How long an emptied member stands still before it dies. Whoever replaces it then removes the pod at once, and with it the log in
/// which the proof stands; until then nobody has a reason to.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long threads may take to leave the tracing stop after their release.
const CONTINUE_LIMIT: Duration = Duration::from_secs(5);

/// Kills the process by dying while bound to it. Returns only if that failed.
pub(super) fn kill() -> anyhow::Result<()> {
    output::before(observe()?)?;
    doom(TARGET)?;
    output::applied(None)?;
    die()
}

/// Stops the process for a while.
pub(super) fn pause(fault: &PauseFault) -> anyhow::Result<()> {
    let duration = Duration::from_millis(fault.duration_milliseconds);
    output::before(observe()?)?;
    let hold = Hold::take(TARGET, HolderDeath::Releases)?;
    let end = Instant::now() + duration;
    output::applied(Some(output::unix_nanoseconds() + fault.duration_milliseconds * 1_000_000))?;
    loop {
        output::during(observe()?)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(MEASURE_INTERVAL));
    }
    hold.release()?;
    output::after(observe_continued()?)
}

/// Empties a directory, while the process stands still if it is to be killed after.
pub(super) fn wipe(fault: &WipeFault) -> anyhow::Result<()> {
    output::before(observe_directory(fault, false)?)?;
    if !fault.then_kill {
        empty_directory(&fault.path)?;
        output::applied(None)?;
        return output::after(observe_directory(fault, false)?);
    }
    // Held until this process ends: the process must not write again.
    let _hold = Hold::take(TARGET, HolderDeath::Kills)?;
    empty_directory(&fault.path)?;
    output::during(observe_directory(fault, true)?)?;
    output::during(observe()?)?;
    output::applied(None)?;
    std::thread::sleep(LAST_WORDS);
    die()
}

/// The kernel kills what is bound to this process as soon as it is gone, and with PID 1 the whole pid namespace. Nothing is
/// released on the way.
fn die() -> ! {
    std::process::exit(0)
}

fn observe() -> anyhow::Result<Observation> {
    Ok(Observation::Process {
        process: process_state(TARGET).context("failed to look at the target process")?,
    })
}

fn observe_continued() -> anyhow::Result<Observation> {
    let limit = Instant::now() + CONTINUE_LIMIT;
    loop {
        let process = process_state(TARGET).context("failed to look at the target process")?;
        let stopped = |state: &ProcessState| state.threads_by_state.contains_key(&'t');
        if !process.as_ref().is_some_and(stopped) || Instant::now() >= limit {
            return Ok(Observation::Process { process });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn observe_directory(fault: &WipeFault, process_stopped: bool) -> anyhow::Result<Observation> {
    let Content { entries, bytes } = measure(&fault.path)?;
    Ok(Observation::Directory { entries, bytes, process_stopped })
}
