//! The `chaos` command. Only the table of contents: each subcommand lives in its own module.

use clap::Parser;

/// Breaks etcd clusters on Kubernetes on purpose and judges whether quorum and data survived.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Carries one fault out inside the pod that it is started in.
    #[command(hide = true)]
    Agent(chaos::agent::Arguments),
    /// Writes and reads an etcd cluster and records each call.
    #[command(hide = true)]
    Load(chaos::load::Arguments),
    /// Asks each etcd member what it knows and records the answers.
    #[command(hide = true)]
    Probe(chaos::probe::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Agent(arguments) => arguments.run().await,
        Command::Load(arguments) => arguments.run().await,
        Command::Probe(arguments) => arguments.run().await,
    }
}
