//! The probe: asks each etcd member, from inside a pod, what it knows, and records answers and silence alike. It looks only
//! at etcd: what the operator says is not asked here.

/// The port of the probe's HTTP server.
pub const PORT: u16 = 8078;

/// The arguments of `chaos probe`, which the harness runs inside a pod.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// A DNS name that resolves to each member's address, with the client port, such as `demo-peers.namespace.svc:2379`.
    #[arg(long)]
    pub peers_dns: String,
    /// From the start of one round to the start of the next, in milliseconds.
    #[arg(long, default_value_t = 250)]
    pub interval_milliseconds: u64,
    /// How long a member may take to answer one question, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    pub call_limit_milliseconds: u64,
    /// The key that the linearizable read asks for.
    #[arg(long, default_value = "chaos/probe")]
    pub key: String,
    /// The directory that the history is written to.
    #[arg(long, default_value = "/history")]
    pub history: std::path::PathBuf,
    /// Where the HTTP server listens.
    #[arg(long, default_value_t = std::net::SocketAddr::from(([0, 0, 0, 0], PORT)))]
    pub listen: std::net::SocketAddr,
}

impl Arguments {
    /// Runs until the process is told to end.
    ///
    /// # Errors
    /// When the arguments make no sense, the port is taken, or the history cannot be written.
    pub async fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
