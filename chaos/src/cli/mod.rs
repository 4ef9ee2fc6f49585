//! The command line: what can be asked for and how it is explained. Exit codes: 0 pass, 1 fail, 2 invalid or error.

mod assignments;
mod cluster;
mod cross;
mod doctor;
mod heal;
mod image;
mod judge;
mod outcomes;
mod plan;
mod run;
mod show;
mod signals;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chaos::cluster::{ClusterChoice, ClusterKind, ClusterName, NodeCount};
use chaos::{agent, load, probe};
use clap::{Args, Parser, Subcommand};

/// The exit code of everything that could not be done.
const EXIT_ERROR: u8 = 2;

/// Breaks etcd clusters on Kubernetes on purpose and judges whether quorum and data survived.
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    version,
    about,
    long_about = "Breaks etcd clusters on Kubernetes on purpose and judges whether quorum and data survived.\n\nA \
                  scenario file says what is broken, in whom and when. `chaos run` makes a cluster, puts the operator \
                  and an etcd cluster into it, writes and reads all the time, breaks what the scenario says, measures \
                  that it really broke and really healed, and then judges the recorded history.",
    after_help = "Exit codes: 0 every run passed; 1 some run failed: data, quorum or the operator's promises were \
                  lost; 2 some run was invalid (it proved nothing), was interrupted, or could not be done. The worst \
                  of several counts: fail over invalid over pass.\n\nStart here: chaos run scenarios/quickstart.yaml"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and judge them
    Run(run::RunArguments),
    /// Show what a scenario will do with a seed; needs no cluster
    Plan(plan::PlanArguments),
    /// Judge the record of an earlier run again
    Check(judge::CheckArguments),
    /// Write the reports of an earlier run again
    Report(judge::ReportArguments),
    /// Bring lasting clusters up and down
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Write container images as OCI archives, without a container engine
    Image(image::ImageArguments),
    /// Say whether a cluster is fit for chaos (rights, operator, PodSecurity, image) and what to do; exit code 0 if it is, 2 if not
    Doctor(doctor::DoctorArguments),
    /// Print the least rights that chaos needs in a cluster, for an administrator to apply
    Rbac(doctor::RbacArguments),
    /// End what a killed run left broken in a cluster
    Heal(heal::HealArguments),
    /// Write a scenario for each fault of others, in the middle of an upgrade or downgrade of etcd
    Cross(cross::CrossArguments),
    /// Carries out one fault inside a pod
    #[command(hide = true)]
    Agent(agent::Arguments),
    /// Writes and reads inside a pod
    #[command(hide = true)]
    Load(load::Arguments),
    /// Asks members inside a pod
    #[command(hide = true)]
    Probe(probe::Arguments),
}

/// Which cluster a command acts on.
#[derive(Clone, Debug, Args)]
struct ClusterArguments {
    /// Where to act: `sandbox` needs nothing but root and etcd images; `bare` is real Kubernetes without Docker and needs
    /// root, containerd and runc; `kind` is Kubernetes in Docker and needs kind and Docker; `current` acts on the cluster that --context names, in a namespace that the run makes
    #[arg(long, value_enum, default_value = "sandbox", value_name = "KIND")]
    cluster: ClusterKind,
    /// The kubeconfig context for `--cluster current`
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// A lasting cluster made by `chaos cluster up`, instead of one that lives as long as the run
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<ClusterName>,
    /// Where a new cluster's API server listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The etcd-operator binary for a new cluster, instead of the one beside this program
    #[arg(long, value_name = "FILE")]
    operator_binary: Option<PathBuf>,
    /// One more image of the operator that a new sandbox knows, for upgrades: etcd-operator:v0.0.9=FILE
    #[arg(long, value_name = "IMAGE=FILE", value_parser = parse_image, hide_short_help = true)]
    another_operator: Vec<(String, PathBuf)>,
    /// How many nodes a new bare cluster has, 1 to 9
    #[arg(long, value_name = "N", value_parser = parse_nodes)]
    nodes: Option<NodeCount>,
    /// The node image of a new kind cluster, such as kindest/node:v1.34.11: it decides the Kubernetes version. Without it, the
    /// environment's CHAOS_NODE_IMAGE, or else the image that kind takes
    #[arg(long, value_name = "IMAGE")]
    node_image: Option<String>,
}

/// Names the node image of every new kind cluster, as where no registry can be reached; not a value of the flag, since it is
/// no mistake with other kinds of clusters.
const NODE_IMAGE_VARIABLE: &str = "CHAOS_NODE_IMAGE";

fn parse_image(text: &str) -> Result<(String, PathBuf), String> {
    let (image, file) =
        text.split_once('=').ok_or("it is IMAGE=FILE, for example etcd-operator:v0.0.9=target/old")?;
    Ok((image.to_owned(), PathBuf::from(file)))
}

fn parse_name(text: &str) -> Result<ClusterName, String> {
    text.parse()
}

fn parse_nodes(text: &str) -> Result<NodeCount, String> {
    text.parse()
}

impl ClusterArguments {
    /// What must be said again, beyond the kind of cluster, to act on the same one.
    fn to_repeat(&self) -> Vec<String> {
        let mut again = Vec::new();
        let mut add = |flag: &str, value: String| again.extend([flag.to_owned(), value]);
        if let Some(context) = &self.context {
            add("--context", context.clone());
        }
        if let Some(name) = &self.name {
            add("--name", name.as_str().to_owned());
        }
        if let Some(binary) = &self.operator_binary {
            add("--operator-binary", binary.display().to_string());
        }
        for (image, binary) in &self.another_operator {
            add("--another-operator", format!("{image}={}", binary.display()));
        }
        if let Some(nodes) = self.nodes {
            add("--nodes", nodes.to_string());
        }
        if let Some(image) = self.node_image() {
            add("--node-image", image);
        }
        again
    }

    fn node_image(&self) -> Option<String> {
        match self.cluster {
            ClusterKind::Kind => self
                .node_image
                .clone()
                .or_else(|| std::env::var(NODE_IMAGE_VARIABLE).ok().filter(|image| !image.is_empty())),
            ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Current => None,
        }
    }

    fn choice(&self) -> ClusterChoice {
        ClusterChoice {
            kind: self.cluster,
            context: self.context.clone(),
            lasting: self.name.clone(),
            listen: self.listen,
            operator_binary: self.operator_binary.clone(),
            other_operators: self.another_operator.clone(),
            nodes: self.nodes.unwrap_or(NodeCount::ONE),
            node_image: self.node_image(),
        }
    }

    /// Refuses what cannot work before anything is made.
    fn check(&self) -> Result<()> {
        if self.nodes.is_some() && (self.cluster != ClusterKind::Bare) {
            anyhow::bail!("--nodes belongs to --cluster bare")
        }
        if self.node_image.is_some() && self.cluster != ClusterKind::Kind {
            anyhow::bail!("--node-image belongs to --cluster kind")
        }
        match self.cluster {
            ClusterKind::Current if self.context.is_none() => {
                anyhow::bail!(
                    "--cluster current needs --context NAME: it is never guessed which cluster may be broken"
                )
            }
            ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind if self.context.is_some() => {
                anyhow::bail!("--context belongs to --cluster current")
            }
            ClusterKind::Current if self.name.is_some() => {
                anyhow::bail!("--name belongs to the clusters of this machine: sandbox, bare, kind")
            }
            ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind | ClusterKind::Current => Ok(()),
        }
    }
}

/// Does what was asked and returns the exit code. Errors are printed here and nowhere else.
pub(crate) fn carry_out(arguments: Arguments) -> ExitCode {
    let done = rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed"))
        .and_then(|()| tokio::runtime::Runtime::new().context("failed to start the runtime"))
        .and_then(|runtime| {
            let done = runtime.block_on(dispatch(arguments.command));
            // What is still blocked on the disk or in a name look-up must not hold the exit up.
            runtime.shutdown_timeout(std::time::Duration::from_secs(2));
            done
        });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(EXIT_ERROR)
        }
    }
}

async fn dispatch(command: Command) -> Result<u8> {
    match command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Plan(arguments) => plan::plan(&arguments),
        Command::Cross(arguments) => cross::cross(&arguments),
        Command::Check(arguments) => judge::check(&arguments),
        Command::Report(arguments) => judge::report(&arguments),
        Command::Cluster(command) => cluster::carry_out(command).await,
        Command::Image(arguments) => image::image(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments).await,
        Command::Rbac(arguments) => Ok(doctor::rbac(&arguments)),
        Command::Heal(arguments) => heal::heal(&arguments).await,
        Command::Agent(arguments) => arguments.run().await.map(|()| 0),
        Command::Load(arguments) => arguments.run().await.map(|()| 0),
        Command::Probe(arguments) => arguments.run().await.map(|()| 0),
    }
}
