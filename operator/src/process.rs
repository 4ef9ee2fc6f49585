//! What a process of ours does for itself when it starts, whatever it is there for. It decides nothing.

use anyhow::Context as _;
use std::future::Future;
use tokio::signal::unix::{SignalKind, signal};

/// Has all of TLS done by one provider. The first user of TLS in a process installs it; another one being there would do as well.
pub fn install_tls_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Listens from now on for being told to end; what it gives waits for that, and says by what.
pub fn told_to_end() -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => "told to end",
            _ = interrupt.recv() => "interrupted",
        }
    })
}
