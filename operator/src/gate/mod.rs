//! The start gate: the entrypoint of every etcd container. It locks the volume, reads what the core's decision needs,
//! and then either becomes etcd or holds and says why. It deletes nothing, and it decides nothing itself: see
//! [`etcd_operator_core::gate::decide`].

mod access;
mod boot_counter;
pub mod log_identity;
mod paths;
mod pod_info;
mod private;
mod report;
mod start;
mod termination;
mod volume;

pub use paths::Paths;
pub(crate) use volume::write_durably;

use crate::http::{listen_everywhere, listen_family};
use anyhow::{Context as _, ensure};
use etcd_operator_core::gate::{
    FORMAT, GateConfiguration, GateDecision, GateInputs, Start, decide, is_understood,
};
use etcd_operator_core::names::METRICS_PORT;
use nix::fcntl::Flock;
use report::Holding;
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often a holding gate looks again whether it may start.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Runs as the container's first process. Returns only if it was told to end or cannot work; else it is etcd by then.
/// What it cannot do is left as the container's termination message.
pub fn run(argument: &str) -> anyhow::Result<()> {
    crate::telemetry::start();
    let paths = Paths::in_pod();
    with_last_words(&paths, || start_etcd(argument, &paths))
}

fn start_etcd(argument: &str, paths: &Paths) -> anyhow::Result<()> {
    let configuration = parse(argument)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start a runtime")?;
    let Some((lock, start)) = runtime.block_on(wait_for_start(&configuration, paths))? else {
        tracing::info!("told to end before etcd was started");
        return Ok(());
    };
    drop(runtime);
    let listen = listen_family().context("failed to find out which addresses this pod has")?;
    start::prepare(&configuration, paths, &start, &listen)?;
    start::become_etcd(paths, lock)
}

/// Copies this binary to where the etcd container finds it. The copy appears as a whole or not at all.
pub fn install(destination: &Path) -> anyhow::Result<()> {
    with_last_words(&Paths::in_pod(), || copy_to(destination))
}

/// Does something, and leaves why it failed as the container's termination message.
fn with_last_words(paths: &Paths, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    work().inspect_err(|error| termination::leave_message(&paths.termination_message, error))
}

fn copy_to(destination: &Path) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("failed to find this binary")?;
    let partial = destination.with_extension("partial");
    std::fs::copy(&own, &partial)
        .with_context(|| format!("failed to copy {} to {}", own.display(), partial.display()))?;
    std::fs::rename(&partial, destination)
        .with_context(|| format!("failed to rename {} to {}", partial.display(), destination.display()))
}

/// The gate's argument. A format that this build would misunderstand is refused: guessing could start etcd wrongly.
fn parse(argument: &str) -> anyhow::Result<GateConfiguration> {
    let configuration: GateConfiguration = serde_json::from_str(argument)
        .context("failed to read the gate's configuration (its only argument)")?;
    ensure!(
        is_understood(configuration.oldest_reader),
        "the gate's configuration has format {}, which no gate before format {} understands; this build knows {FORMAT}",
        configuration.format,
        configuration.oldest_reader
    );
    Ok(configuration)
}

/// Waits until etcd may start, or until SIGTERM or SIGINT. A first process has no default handlers: without ours, a
/// holding pod would take its whole grace period to end.
async fn wait_for_start(
    configuration: &GateConfiguration,
    paths: &Paths,
) -> anyhow::Result<Option<(Flock<File>, Box<Start>)>> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let decided = async {
        let lock = lock(paths).await?;
        let start = hold_until_start(configuration, paths).await?;
        Ok::<_, anyhow::Error>(Some((lock, start)))
    };
    tokio::select! {
        biased;
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
        decided = decided => decided,
    }
}

/// Waits for the volume: another process on it, perhaps of a pod that still ends, must be gone.
async fn lock(paths: &Paths) -> anyhow::Result<Flock<File>> {
    let mut told = false;
    loop {
        if let Some(lock) = volume::try_lock(&paths.lock)? {
            return Ok(lock);
        }
        if !told {
            tracing::warn!(lock = %paths.lock.display(), "another process uses the volume; waiting for it");
            told = true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Asks the core; while the answer is to hold, serves it and asks again.
async fn hold_until_start(configuration: &GateConfiguration, paths: &Paths) -> anyhow::Result<Box<Start>> {
    let mut holding: Option<Holding> = None;
    loop {
        let inputs = inputs(configuration, paths)?;
        match decide(&inputs) {
            GateDecision::Start(start) => {
                tracing::info!(
                    member = %start.stamp.member,
                    cluster_state = ?start.initial.state,
                    boot_counter = start.stamp.boot_counter,
                    permit = start.spend.as_ref().map(|permit| permit.0.as_str()),
                    "etcd may start"
                );
                return Ok(start);
            }
            GateDecision::Hold(reason) => {
                let report = report::of(&inputs, reason);
                match &mut holding {
                    Some(holding) => holding.update(report),
                    None => {
                        let listener = listen_everywhere(METRICS_PORT).with_context(|| {
                            format!("failed to listen on port {METRICS_PORT} while holding")
                        })?;
                        holding = Some(Holding::serve(listener, report)?);
                    }
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// Reads everything that the decision depends on.
fn inputs(configuration: &GateConfiguration, paths: &Paths) -> anyhow::Result<GateInputs> {
    let annotations = pod_info::annotations(&paths.annotations)?;
    Ok(GateInputs {
        configuration: configuration.clone(),
        pod_uid: pod_info::uid(&paths.pod_uid)?,
        disk: volume::read(paths)?,
        permit: pod_info::permit(&annotations),
        fence_epoch: pod_info::fence_epoch(&annotations),
        spent: volume::spent_permits(&paths.spent_permits)?,
    })
}

#[cfg(test)]
mod tests;
