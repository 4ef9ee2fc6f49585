//! Lasting clusters of this machine: brought up, found again, brought down. Their state is one directory in the cache.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sandbox::Lifetime;

use super::local::{self, LocalCluster, Stage};
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
    /// Somebody starts it; nobody can use it yet.
    Starting,
    /// Its state is there but it does not run; `down` clears it.
    Dead,
    /// There is no such cluster.
    Absent,
}

impl LastingCluster {
    /// Finds a running cluster by kind and name.
    pub fn find(kind: ClusterKind, name: &ClusterName) -> Result<LastingCluster> {
        let which = which(kind, name);
        let found = look(kind, &directory(kind, name)?)?;
        let name = name.as_str();
        match found {
            Found::Cluster(cluster, Stage::Running) => Ok(LastingCluster { cluster: *cluster }),
            Found::Cluster(_, Stage::Starting) => {
                bail!(
                    "the lasting cluster {name} is still being started; `chaos cluster status {which}` says when it runs"
                )
            }
            Found::Cluster(_, Stage::BrokenOff) | Found::Remains => {
                bail!("the lasting cluster {name} no longer runs; clear it with `chaos cluster down {which}`")
            }
            Found::Nothing => {
                bail!("there is no lasting cluster {name}; make it with `chaos cluster up {which}`")
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

/// What a state directory leads to.
enum Found {
    Cluster(Box<LocalCluster>, Stage),
    Remains,
    Nothing,
}

fn look(kind: ClusterKind, directory: &Path) -> Result<Found> {
    Ok(match LocalCluster::find(kind, directory)? {
        Some(cluster) => {
            let stage = cluster.stage()?;
            Found::Cluster(Box::new(cluster), stage)
        }
        None if directory.exists() => Found::Remains,
        None => Found::Nothing,
    })
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
    match find_settled(choice.kind, &state).await? {
        Found::Cluster(_, Stage::Starting) => {
            bail!("the lasting cluster {} is being started by somebody else", name.as_str())
        }
        Found::Cluster(running, Stage::Running) => {
            let kubeconfig = running.kubeconfig().display();
            bail!("the lasting cluster {} runs already; kubeconfig: {kubeconfig}", name.as_str())
        }
        Found::Cluster(remains, Stage::BrokenOff) => remains.stop().await?,
        Found::Remains | Found::Nothing => {}
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
async fn find_settled(kind: ClusterKind, state: &Path) -> Result<Found> {
    let deadline = Instant::now() + ENDING_PATIENCE;
    loop {
        match look(kind, state)? {
            Found::Cluster(_, Stage::Starting) if Instant::now() < deadline => {
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
    Ok(match look(kind, &directory(kind, name)?)? {
        Found::Cluster(cluster, Stage::Running) => LastingStatus::Running {
            process_id: cluster.process_id(),
            kubeconfig: cluster.kubeconfig().to_owned(),
        },
        Found::Cluster(_, Stage::Starting) => LastingStatus::Starting,
        Found::Cluster(_, Stage::BrokenOff) | Found::Remains => LastingStatus::Dead,
        Found::Nothing => LastingStatus::Absent,
    })
}

/// The name and the state directory of a cluster that belongs to the run of this process and may outlive it.
pub(super) fn of_this_process(kind: ClusterKind) -> Result<(String, PathBuf)> {
    let name = ClusterName(format!("run-{}", std::process::id()));
    let state = directory(kind, &name)?;
    Ok((name.0, state))
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
