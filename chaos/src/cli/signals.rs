//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process. What is orderly, others know.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::EXIT_ERROR;

/// Cancels `interrupt` at the first signal, after calling `first`; calls `second` at the second and exits. From its
/// return on no signal ends the process by itself; the future does the rest.
///
/// # Errors
/// If signals cannot be listened for.
pub(super) fn watch(
    interrupt: CancellationToken,
    first: impl Fn(),
    second: impl Fn(),
) -> Result<impl Future<Output = ()>> {
    let mut interrupts = signal(SignalKind::interrupt()).context("failed to listen for Ctrl-C")?;
    let mut terminations = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    Ok(async move {
        loop {
            tokio::select! {
                biased;
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            if interrupt.is_cancelled() {
                second();
                anstream::eprintln!("stopped at once");
                std::process::exit(i32::from(EXIT_ERROR));
            }
            first();
            interrupt.cancel();
        }
    })
}
