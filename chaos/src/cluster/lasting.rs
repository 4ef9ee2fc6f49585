//! Lasting clusters of this machine: brought up, found again, brought down. Their state is one directory in the cache.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sandbox::Lifetime;

use super::local::{self, LocalCluster};
use super::start::{Progress, Start};
use super::{Cluster, ClusterChoice, ClusterKind, SandboxImages, cache, not_ours};

/// How long a cluster whose start was broken off may take to end.
const ENDING_PATIENCE: Duration = Duration::from_secs(5);

/// A name that is safe as a directory: lower-case letters, digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = String;

    fn from_str(text: &str) -> Result<ClusterName, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 40 || !text.chars().all(allowed) || text.starts_with('-') {
            return Err("a cluster's name is 1 to 40 lower-case letters, digits and dashes".to_owned());
        }
        Ok(ClusterName(text.to_owned()))
    }
}

/// A lasting cluster that was found and runs.
pub struct LastingCluster {
    cluster: LocalCluster,
}

/// What `chaos cluster status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastingStatus {
    /// It runs; the kubeconfig reaches it.
    Running {
        /// The process below which all of it runs, if there is one.
        process_id: Option<u32>,
        /// The file that clients read.
        kubeconfig: PathBuf,
    },
    /// Its state is there but its process is gone; `down` clears it.
    Dead,
    /// There is no such cluster.
    Absent,
}

impl LastingCluster {
    /// Finds a running cluster by kind and name.
    pub fn find(kind: ClusterKind, name: &ClusterName) -> Result<LastingCluster> {
        let directory = directory(kind, name)?;
        let which = which(kind, name);
        match LocalCluster::find(kind, &directory)? {
            Some(cluster) => Ok(LastingCluster { cluster }),
            None if directory.exists() => {
                bail!(
                    "the lasting cluster {} no longer runs; clear it with `chaos cluster down {which}`",
                    name.as_str()
                )
            }
            None => {
                bail!(
                    "there is no lasting cluster {}; make it with `chaos cluster up {which}`",
                    name.as_str()
                )
            }
        }
    }

    /// The file that clients read.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Connects to it.
    pub async fn open(self) -> Result<Cluster> {
        let mut cluster = self.cluster.connect().await?;
        cluster.lasting = Some(self.cluster);
        Ok(cluster)
    }
}

/// The arguments by which a command finds the cluster.
#[must_use]
pub fn which(kind: ClusterKind, name: &ClusterName) -> String {
    match kind {
        ClusterKind::Sandbox => format!("--name {}", name.as_str()),
        ClusterKind::Bare | ClusterKind::Kind | ClusterKind::Current => {
            format!("--cluster {kind} --name {}", name.as_str())
        }
    }
}

/// Starts a lasting cluster, unless it is interrupted first: then nothing of it is left. One of the name that runs already
/// is an error, the remains of a dead one are cleared.
pub async fn bring_up(
    name: &ClusterName,
    choice: &ClusterChoice,
    images: &SandboxImages,
    interrupted: impl Future<Output = ()>,
    progress: Progress<'_>,
) -> Result<LastingCluster> {
    let state = directory(choice.kind, name)?;
    if let Some(running) = find_settled(choice.kind, &state).await? {
        let kubeconfig = running.kubeconfig();
        if running.is_starting() {
            bail!("the lasting cluster {} is being started by somebody else", name.as_str());
        }
        bail!("the lasting cluster {} runs already; kubeconfig: {}", name.as_str(), kubeconfig.display());
    }
    local::check(choice)?;
    local::clear_remains(choice.kind, &state).await?;
    let lifetime = Lifetime::Lasting;
    let start = Start { choice, images, state: &state, name: name.as_str(), lifetime, progress };
    match LocalCluster::launch(start, interrupted).await {
        Ok(cluster) => Ok(LastingCluster { cluster }),
        Err(error) => {
            local::clear_remains(choice.kind, &state).await?;
            Err(error)
        }
    }
}

/// Finds the running cluster. One that nobody can use yet may be a start that was broken off a moment ago: it is given time to
/// end.
async fn find_settled(kind: ClusterKind, state: &Path) -> Result<Option<LocalCluster>> {
    let deadline = Instant::now() + ENDING_PATIENCE;
    loop {
        match LocalCluster::find(kind, state)? {
            Some(cluster) if cluster.is_starting() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            found => return Ok(found),
        }
    }
}

/// Ends a lasting cluster and removes everything it kept. Returns whether there was one.
pub async fn bring_down(kind: ClusterKind, name: &ClusterName) -> Result<bool> {
    let directory = directory(kind, name)?;
    if !directory.exists() {
        return Ok(false);
    }
    local::end(kind, &directory).await?;
    Ok(true)
}

/// Whether a lasting cluster is there and runs.
pub fn status(kind: ClusterKind, name: &ClusterName) -> Result<LastingStatus> {
    let directory = directory(kind, name)?;
    Ok(match LocalCluster::find(kind, &directory)? {
        Some(cluster) => LastingStatus::Running {
            process_id: cluster.process_id(),
            kubeconfig: cluster.kubeconfig().to_owned(),
        },
        None if directory.exists() => LastingStatus::Dead,
        None => LastingStatus::Absent,
    })
}

fn directory(kind: ClusterKind, name: &ClusterName) -> Result<PathBuf> {
    let parent = match kind {
        ClusterKind::Sandbox => "clusters",
        ClusterKind::Bare => "bare",
        ClusterKind::Kind => "kind",
        ClusterKind::Current => bail!(not_ours()),
    };
    Ok(cache::directory()?.join(parent).join(name.as_str()))
}
