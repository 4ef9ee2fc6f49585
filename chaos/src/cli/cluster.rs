//! `chaos cluster up|down|status`: lasting clusters.

use anyhow::{Result, bail};
use chaos::cluster::{self, ClusterKind, ClusterName, LastingStatus, SandboxImages};
use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{ClusterArguments, signals};

/// The lasting cluster's name unless another is given.
const DEFAULT_NAME: &str = "default";

#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Start a lasting cluster and print its kubeconfig; Ctrl-C ends what was started, with exit code 2
    Up(UpArguments),
    /// End a lasting cluster and remove everything it kept
    Down(WhichArguments),
    /// Say whether a lasting cluster runs; exit code 0 if it does, 2 if not
    Status(WhichArguments),
}

#[derive(Debug, Args)]
pub(super) struct UpArguments {
    #[command(flatten)]
    cluster: ClusterArguments,
}

#[derive(Debug, Args)]
pub(super) struct WhichArguments {
    /// The kind of cluster
    #[arg(long, value_enum, default_value = "sandbox", value_name = "KIND")]
    cluster: ClusterKind,
    /// Its name
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME, value_parser = super::parse_name)]
    name: ClusterName,
}

pub(super) async fn carry_out(command: ClusterCommand) -> Result<u8> {
    match command {
        ClusterCommand::Up(arguments) => up(&arguments).await,
        ClusterCommand::Down(arguments) => down(&arguments).await,
        ClusterCommand::Status(arguments) => status(&arguments),
    }
}

async fn up(arguments: &UpArguments) -> Result<u8> {
    refuse_others(arguments.cluster.cluster)?;
    arguments.cluster.check()?;
    let choice = arguments.cluster.choice();
    let name = match &choice.lasting {
        Some(name) => name.clone(),
        None => super::parse_name(DEFAULT_NAME).map_err(anyhow::Error::msg)?,
    };
    let mut images = SandboxImages::collect(choice.operator_binary.as_deref())?;
    for (image, binary) in &choice.other_operators {
        images.sources.append(&mut cluster::images::named_operator(image, binary)?);
    }
    let interrupt = CancellationToken::new();
    let first = || anstream::eprintln!("interrupted: ending what was started; once more to stop at once");
    let _signals = AbortOnDropHandle::new(tokio::spawn(signals::watch(interrupt.clone(), first, || {})?));
    let began = std::time::Instant::now();
    let running = cluster::bring_up(&name, &choice, &images, interrupt.cancelled(), &|step| {
        anstream::eprintln!("{:>6.1}s  {step}", began.elapsed().as_secs_f64());
    })
    .await?;
    let which = cluster::which(choice.kind, &name);
    anstream::eprintln!("the cluster {} runs; end it with `chaos cluster down {which}`", name.as_str());
    anstream::println!("{}", running.kubeconfig().display());
    Ok(0)
}

async fn down(arguments: &WhichArguments) -> Result<u8> {
    refuse_others(arguments.cluster)?;
    let there_was = cluster::bring_down(arguments.cluster, &arguments.name).await?;
    let said = if there_was { "is gone" } else { "was not there" };
    anstream::eprintln!("the cluster {} {said}", arguments.name.as_str());
    Ok(0)
}

fn status(arguments: &WhichArguments) -> Result<u8> {
    refuse_others(arguments.cluster)?;
    let name = arguments.name.as_str();
    let which = cluster::which(arguments.cluster, &arguments.name);
    match cluster::status(arguments.cluster, &arguments.name)? {
        LastingStatus::Running { process_id, kubeconfig } => {
            let process = process_id.map(|id| format!(" (process {id})")).unwrap_or_default();
            anstream::println!("{name} runs{process}, kubeconfig {}", kubeconfig.display());
            Ok(0)
        }
        LastingStatus::Starting => {
            anstream::println!("{name} is still being started");
            Ok(super::EXIT_ERROR)
        }
        LastingStatus::Dead => {
            anstream::println!("{name} no longer runs; clear it with `chaos cluster down {which}`");
            Ok(super::EXIT_ERROR)
        }
        LastingStatus::Absent => {
            anstream::println!("{name} is not there");
            Ok(super::EXIT_ERROR)
        }
    }
}

fn refuse_others(kind: ClusterKind) -> Result<()> {
    match kind {
        ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind => Ok(()),
        ClusterKind::Current => {
            bail!("`current` is a cluster that somebody else runs: it is not ours to bring up or down")
        }
    }
}
