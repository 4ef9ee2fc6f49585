//! The Kubernetes cluster a run acts on: opened, described and closed. Never installs anything into it.

mod archives;
pub mod bare;
pub mod cache;
mod current;
pub mod images;
mod kind;
mod lasting;
mod local;
mod sandboxed;
mod start;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

pub use crate::record::ClusterKind;
pub use bare::NodeCount;
pub use images::SandboxImages;
pub use lasting::{ClusterName, LastingCluster, LastingStatus, bring_down, bring_up, status, which};
pub use start::Progress;

/// Bounds one plain call to the API server; watches and followed logs use a client without this bound.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that decides which cluster is opened.
#[derive(Clone, Debug)]
pub struct ClusterChoice {
    /// Which kind of cluster.
    pub kind: ClusterKind,
    /// The kubeconfig context; required by `current`, meaningless elsewhere.
    pub context: Option<String>,
    /// A lasting cluster made by `chaos cluster up`; without it the run gets one of its own.
    pub lasting: Option<ClusterName>,
    /// Where a new cluster's API server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The `etcd-operator` binary that a new cluster runs.
    pub operator_binary: Option<PathBuf>,
    /// More images of the operator that a new sandbox knows, each with its binary.
    pub other_operators: Vec<(String, PathBuf)>,
    /// How many nodes a new bare cluster has.
    pub nodes: NodeCount,
    /// The node image of a new kind cluster, which decides its Kubernetes version; kind's own default without.
    pub node_image: Option<String>,
}

impl ClusterChoice {
    /// Whether such a cluster can be had from here, as far as that shows before anything is made.
    pub fn check(&self) -> Result<()> {
        match (self.kind, &self.lasting) {
            (ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind, Some(name)) => {
                LastingCluster::find(self.kind, name).map(drop)
            }
            (ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind, None) => local::check(self),
            (ClusterKind::Current, _) => current::check(self).map(drop),
        }
    }
}

/// An open cluster. Dropping one that belongs to the run ends it; [`Cluster::close`] also waits for that.
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
    owned: Option<local::OwnCluster>,
    /// One of this machine that was there before and stays.
    lasting: Option<local::LocalCluster>,
}

impl Cluster {
    /// Opens what `choice` names. `state` is a directory below the run's own, used by a cluster made for this run only, whose
    /// start tells `progress` how far it is. If `interrupted` comes first, that is an error, and nothing is left.
    pub async fn open(
        choice: &ClusterChoice,
        images: &SandboxImages,
        state: PathBuf,
        interrupted: impl Future<Output = ()>,
        progress: Progress<'_>,
    ) -> Result<Cluster> {
        match (choice.kind, &choice.lasting) {
            (ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind, Some(name)) => {
                LastingCluster::find(choice.kind, name)?.open().await
            }
            (ClusterKind::Sandbox | ClusterKind::Bare | ClusterKind::Kind, None) => {
                local::start(choice, images, state, interrupted, progress).await
            }
            (ClusterKind::Current, _) => current::open(choice).await,
        }
    }

    /// Copies the logs of a cluster that belongs to this run into the directory `to`; other clusters keep their own.
    pub fn keep_logs(&self, to: &Path) -> Result<()> {
        self.owned.as_ref().map_or(Ok(()), |own| own.keep_logs(to))
    }

    /// Returns when the cluster is no more, for those that end as a whole and can be watched from here; never for others.
    pub async fn ended(&self) {
        let local = self.owned.as_ref().map(local::OwnCluster::cluster).or(self.lasting.as_ref());
        match local {
            Some(cluster) if cluster.ended().await.is_ok() => (),
            // One that cannot be watched is not called ended: then failing calls tell.
            Some(_) | None => std::future::pending().await,
        }
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
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .context("failed to read the kubeconfig")?;
        // kube repeats a call up to fifteen times on 503, which pods/proxy answers for every pod that is down.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let watching = Client::try_from(config.clone()).context("failed to build a Kubernetes client")?;
        config.read_timeout = Some(CALL_TIMEOUT);
        config.connect_timeout = Some(CALL_TIMEOUT);
        let client = Client::try_from(config).context("failed to build a Kubernetes client")?;
        Ok(Cluster { client, watching, kind, server, operator_is_ours: true, owned: None, lasting: None })
    }
}

/// What is said where a cluster would be made or ended that is not ours.
fn not_ours() -> &'static str {
    "`current` is a cluster that somebody else runs: it is not ours to bring up or down"
}
