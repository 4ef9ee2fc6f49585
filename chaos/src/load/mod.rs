//! The load: clients that write and read an etcd cluster from inside a pod and record each call and what they know of its
//! outcome. The clients judge nothing, and never send a write a second time.

pub mod configuration;
pub mod progress;

pub use configuration::Configuration;
pub use progress::{Progress, StateReport};

/// The port of the load's HTTP server.
pub const PORT: u16 = 8079;

/// The arguments of `chaos load`, which the harness runs inside a pod.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// What to do, as JSON (see `load::Configuration`).
    #[arg(long)]
    pub config: String,
    /// The directory that the history is written to.
    #[arg(long, default_value = "/history")]
    pub history: std::path::PathBuf,
    /// Where the HTTP server listens.
    #[arg(long, default_value_t = std::net::SocketAddr::from(([0, 0, 0, 0], PORT)))]
    pub listen: std::net::SocketAddr,
}

impl Arguments {
    /// Runs until the process is told to end: stopping the clients through HTTP leaves the server up for reading.
    ///
    /// # Errors
    /// When the configuration cannot be read, the port is taken, or the history cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
