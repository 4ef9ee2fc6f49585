//! The Kubernetes cluster a run acts on: opened, described and closed. Never installs anything into it.

pub mod cache;
mod current;
pub mod images;
mod lasting;
mod sandboxed;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sandbox::Sandbox;

pub use crate::record::ClusterKind;
pub use images::SandboxImages;
pub use lasting::{ClusterName, LastingCluster, LastingStatus, bring_down, bring_up, status};

/// Bounds one plain call to the API server; watches and followed logs use a client without this bound.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that decides which cluster is opened.
#[derive(Clone, Debug)]
pub struct ClusterChoice {
    /// Which kind of cluster.
    pub kind: ClusterKind,
    /// The kubeconfig context; required by `current`, meaningless elsewhere.
    pub context: Option<String>,
    /// A lasting sandbox made by `chaos cluster up`; without it the run gets a sandbox of its own.
    pub lasting: Option<ClusterName>,
    /// Where a new sandbox's API server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The `etcd-operator` binary that a new sandbox runs.
    pub operator_binary: Option<PathBuf>,
    /// More images of the operator that a new sandbox knows, each with its binary.
    pub other_operators: Vec<(String, PathBuf)>,
}

impl ClusterChoice {
    /// Whether such a cluster can be had from here, as far as that shows before anything is made.
    pub fn check(&self) -> Result<()> {
        match (self.kind, &self.lasting) {
            (ClusterKind::Sandbox, Some(name)) => LastingCluster::find(name).map(drop),
            (ClusterKind::Sandbox, None) => sandboxed::check(self.listen),
            (ClusterKind::Current, _) => current::check(self).map(drop),
            (ClusterKind::Bare | ClusterKind::Kind, _) => bail!(not_built_yet(self.kind)),
        }
    }
}

/// An open cluster. Dropping a sandbox that belongs to the run ends it; [`Cluster::close`] also waits for that.
pub struct Cluster {
    /// For plain calls: each is bounded in time and none is retried behind our back.
    pub client: Client,
    /// For watches and followed logs, which may rightly be silent for long.
    pub watching: Client,
    /// The kind that was asked for.
    pub kind: ClusterKind,
    /// The server's address, for people.
    pub server: String,
    /// Whether the harness may install the operator and act on its pod.
    pub operator_is_ours: bool,
    owned: Option<sandboxed::OwnSandbox>,
    /// A sandbox that was there before and stays.
    lasting: Option<Sandbox>,
}

impl Cluster {
    /// Opens what `choice` names. `state` is a directory below the run's own, used by a sandbox made for this run only.
    pub async fn open(choice: &ClusterChoice, images: &SandboxImages, state: PathBuf) -> Result<Cluster> {
        match choice.kind {
            ClusterKind::Sandbox => match &choice.lasting {
                Some(name) => LastingCluster::find(name)?.open().await,
                None => sandboxed::start(choice, images, state).await,
            },
            ClusterKind::Current => current::open(choice).await,
            ClusterKind::Bare | ClusterKind::Kind => bail!(not_built_yet(choice.kind)),
        }
    }

    /// Copies the log of a sandbox that belongs to this run; other clusters keep their own.
    pub fn keep_log(&self, to: &Path) -> Result<()> {
        self.owned.as_ref().map_or(Ok(()), |sandbox| sandbox.keep_log(to))
    }

    /// Returns when the cluster is no more, for those that end as a whole and can be watched from here; never for others.
    pub async fn ended(&self) {
        let sandbox = self.owned.as_ref().map(sandboxed::OwnSandbox::sandbox).or(self.lasting.as_ref());
        match sandbox {
            Some(sandbox) if sandbox.ended().await.is_ok() => (),
            // One that cannot be watched is not called ended: then failing calls tell.
            Some(_) | None => std::future::pending().await,
        }
    }

    /// Clears what an opening left that was broken off.
    pub async fn abandon(state: &Path) -> Result<()> {
        sandboxed::clear(state).await
    }

    /// Ends a cluster that belongs to this run and waits until nothing of it is left. A lasting or foreign one stays.
    pub async fn close(mut self) -> Result<()> {
        match self.owned.take() {
            Some(sandbox) => sandbox.stop().await,
            None => Ok(()),
        }
    }

    async fn from_kubeconfig(
        kubeconfig: Kubeconfig,
        context: Option<&str>,
        kind: ClusterKind,
    ) -> Result<Cluster> {
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &options).await.context("reading the kubeconfig")?;
        // kube repeats a call up to fifteen times on 503, which pods/proxy answers for every pod that is down.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let watching = Client::try_from(config.clone()).context("building a Kubernetes client")?;
        config.read_timeout = Some(CALL_TIMEOUT);
        config.connect_timeout = Some(CALL_TIMEOUT);
        let client = Client::try_from(config).context("building a Kubernetes client")?;
        Ok(Cluster { client, watching, kind, server, operator_is_ours: true, owned: None, lasting: None })
    }
}

/// What is said for a cluster kind that cannot be used yet.
#[must_use]
pub fn not_built_yet(kind: ClusterKind) -> String {
    format!(
        "--cluster {kind} is not built yet; use --cluster sandbox (needs nothing), or --cluster current --context \
         NAME for a cluster that runs already"
    )
}
