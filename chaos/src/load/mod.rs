//! The load: clients that write and read an etcd cluster from inside a pod and record each call and what they know of its
//! outcome. The clients judge nothing, and never send a write a second time.

pub mod configuration;
pub mod progress;

mod choice;
mod client;
mod connection;
mod contents;
mod counters;
mod dump;
mod outcome;
mod pins;
mod service;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use configuration::Configuration;
pub(crate) use connection::resolve;
pub use contents::Contents;
pub use progress::{Progress, StateReport};

use client::Shared;
use counters::Counters;
use pins::Pins;
use service::Service;

use crate::history::{ClientId, Writer};
use crate::in_pod::{self, Histories, HistoryFile};

/// The port of the load's HTTP server.
pub const PORT: u16 = 8079;
/// The file of the clients' calls.
pub const LOAD_FILE: &str = "load.jsonl";
/// The file of the final dump.
pub const FINAL_FILE: &str = "final.jsonl";

/// The arguments of `chaos load`, which the harness runs inside a pod.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// What to do, as JSON (see `load::Configuration`).
    #[arg(long)]
    pub config: String,
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
    /// Runs until the process is told to end: stopping the clients through HTTP leaves the server up for reading.
    ///
    /// # Errors
    /// When the configuration cannot be read, the port is taken, or the history cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        let configuration: Configuration =
            serde_json::from_str(&self.config).context("failed to read --config of the load")?;
        configuration.check().context("failed to check --config of the load")?;
        let (listener, histories) = in_pod::open(self.listen, &self.history, self.offset).await?;
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::new(Counters::default());
        let pins = Arc::new(Pins::new(&configuration));
        let (directory, prefix) = (histories.directory().to_owned(), configuration.prefix.clone());
        let service =
            Arc::new(Service::new(directory, prefix, histories.clock, counters.clone(), pins.clone(), stop));
        let work = async {
            let first = dump::first_revision(&configuration, histories.clock).await;
            let first = first.context("failed to read the store's revision before the first call")?;
            let mut header = histories.header(Writer::Load, &configuration.prefix);
            header.first_revision = Some(first);
            let file = histories.create(LOAD_FILE, header)?;
            let shared = Shared {
                pins,
                configuration: Arc::new(configuration),
                clock: histories.clock,
                recorder: file.recorder(),
                counters,
                stop: stopped,
                first,
            };
            load_then_dump(shared, file, &histories, &service).await
        };
        in_pod::run(listener, service.clone(), work).await
    }
}

/// The clients' work and the dump after it. Stays for ever: the result is to be read over HTTP.
async fn load_then_dump(
    shared: Shared,
    file: HistoryFile,
    histories: &Histories,
    service: &Service,
) -> anyhow::Result<Infallible> {
    let result = until_dumped(shared, file, histories, service).await;
    service.finish(result.unwrap_or_else(|error| StateReport::Failed { error: format!("{error:#}") }));
    std::future::pending().await
}

async fn until_dumped(
    shared: Shared,
    file: HistoryFile,
    histories: &Histories,
    service: &Service,
) -> anyhow::Result<StateReport> {
    run_clients(&shared).await;
    file.close(shared.clock.now()).await.context("failed to write the history of the clients")?;
    service.dumping();
    let dump = dump::take(&shared.configuration, shared.first, shared.clock);
    let dump = dump.await.context("failed to take the final dump")?;
    let (revision, events) = (dump.read.revision.0, dump.events.len());
    let mut header = histories.header(Writer::FinalRead, &shared.configuration.prefix);
    header.first_revision = Some(shared.first);
    let file = histories.create(FINAL_FILE, header)?;
    let recorder = file.recorder();
    dump.into_lines().for_each(|line| recorder.record(line));
    file.close(shared.clock.now()).await.context("failed to write the final dump")?;
    Ok(StateReport::Done { revision, events: u64::try_from(events).unwrap_or(u64::MAX) })
}

/// Runs all clients until they are told to stop.
async fn run_clients(shared: &Shared) {
    let mut clients = JoinSet::new();
    for number in 0..shared.configuration.clients {
        clients.spawn(client::run(ClientId(number), shared.clone()));
    }
    clients.join_all().await;
}
