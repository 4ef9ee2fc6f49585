//! The probe: asks each etcd member, from inside a pod, what it knows, and records answers and silence alike. It looks only
//! at etcd: what the operator says is not asked here.

mod hashes;
mod members;
mod questions;
mod rounds;
mod samples;
mod service;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};

pub use samples::{Sample, Samples};

use rounds::Prober;
use service::Service;

use crate::history::Writer;
use crate::in_pod;

/// The port of the probe's HTTP server.
pub const PORT: u16 = 8078;
/// The file of rounds and hashes.
pub const PROBE_FILE: &str = "probe.jsonl";

/// The arguments of `chaos probe`, which the harness runs inside a pod.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// DNS names that resolve to each member's address, with the client port, separated by commas; such as
    /// `demo-peers.namespace.svc:2379`.
    #[arg(long)]
    pub peers_dns: String,
    /// How TLS is spoken, as JSON (see `in_pod::Tls`); only plain text is without it.
    #[arg(long)]
    pub tls: Option<in_pod::Tls>,
    /// From the start of one round to the start of the next, in milliseconds.
    #[arg(long, default_value_t = 250)]
    pub interval_milliseconds: u64,
    /// How long a member may take to answer one question, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    pub call_limit_milliseconds: u64,
    /// The key that the linearizable read asks for; it need not exist.
    #[arg(long, default_value = "chaos/probe")]
    pub key: String,
    /// The directory that the history is written to.
    #[arg(long, default_value = "/history")]
    pub history: PathBuf,
    /// Where the HTTP server listens.
    #[arg(long, default_value_t = std::net::SocketAddr::from(([0, 0, 0, 0], PORT)))]
    pub listen: std::net::SocketAddr,
    /// How wrong the clock is.
    #[command(flatten)]
    pub offset: in_pod::ClockOffset,
}

impl Arguments {
    /// Runs until the process is told to end, or is asked to stop over HTTP and then told to end.
    ///
    /// # Errors
    /// When the arguments make no sense, the port is taken, or the history cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        ensure!(
            (10..=60_000).contains(&self.interval_milliseconds),
            "--interval-milliseconds must be 10 to 60000"
        );
        ensure!(
            (10..=60_000).contains(&self.call_limit_milliseconds),
            "--call-limit-milliseconds must be 10 to 60000"
        );
        let (listener, histories) = in_pod::open(self.listen, &self.history, self.offset).await?;
        let header = histories.header(Writer::Probe, "");
        let file = histories.create(PROBE_FILE, header.clone())?;
        let prober = Arc::new(Prober::new(
            self.peers_dns.clone(),
            in_pod::Dialer::new(self.tls.clone()),
            self.key.clone(),
            Duration::from_millis(self.call_limit_milliseconds),
            histories.clock,
        ));
        let directory = histories.directory().to_owned();
        let service = Arc::new(Service::new(directory, header, prober.clone(), file.recorder()));
        let interval = Duration::from_millis(self.interval_milliseconds);
        let work = async {
            let failed = service.sample_for_ever(interval, file).await;
            failed.with_context(|| {
                format!("failed to write {}", histories.directory().join(PROBE_FILE).display())
            })
        };
        in_pod::run(listener, service.clone(), work).await
    }
}
