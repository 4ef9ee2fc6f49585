//! Lasting sandboxes: brought up, found again, brought down. Their whole state is one directory in the cache.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use kube::config::Kubeconfig;
use sandbox::{Lifetime, Sandbox};

use super::{Cluster, ClusterChoice, ClusterKind, SandboxImages, cache, sandboxed};

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

/// A lasting sandbox that was found and runs.
pub struct LastingCluster {
    sandbox: Sandbox,
}

/// What `chaos cluster status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastingStatus {
    /// It runs; the kubeconfig reaches it.
    Running {
        /// The process below which all of it runs.
        process_id: u32,
        /// The file that clients read.
        kubeconfig: PathBuf,
    },
    /// Its state is there but its process is gone; `down` clears it.
    Dead,
    /// There is no such cluster.
    Absent,
}

impl LastingCluster {
    /// Finds a running cluster by name.
    pub fn find(name: &ClusterName) -> Result<LastingCluster> {
        let text = name.as_str();
        let directory = directory(name)?;
        match Sandbox::find(&directory).context("looking for the lasting cluster")? {
            Some(sandbox) => Ok(LastingCluster { sandbox }),
            None if directory.exists() => {
                bail!(
                    "the lasting cluster {text} no longer runs; clear it with `chaos cluster down --name {text}`"
                )
            }
            None => {
                bail!("there is no lasting cluster {text}; make it with `chaos cluster up --name {text}`")
            }
        }
    }

    /// The file that clients read.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.sandbox.kubeconfig_path()
    }

    /// Connects to it.
    pub async fn open(self) -> Result<Cluster> {
        let kubeconfig =
            Kubeconfig::read_from(self.kubeconfig()).context("reading the sandbox's kubeconfig")?;
        let mut cluster = Cluster::from_kubeconfig(kubeconfig, None, ClusterKind::Sandbox).await?;
        cluster.lasting = Some(self.sandbox);
        Ok(cluster)
    }
}

/// Starts a lasting cluster, unless it is interrupted first: then nothing of it is left. One of the name that runs already
/// is an error, the remains of a dead one are cleared.
pub async fn bring_up(
    name: &ClusterName,
    choice: &ClusterChoice,
    images: &SandboxImages,
    interrupted: impl Future<Output = ()>,
) -> Result<LastingCluster> {
    let directory = directory(name)?;
    if let Some(running) = Sandbox::find(&directory).context("looking for the lasting cluster")? {
        bail!(
            "the lasting cluster {} runs already; kubeconfig: {}",
            name.as_str(),
            running.kubeconfig_path().display()
        );
    }
    sandboxed::remove(&directory)?;
    let text = name.as_str();
    match sandboxed::launch(choice, images, &directory, text, Lifetime::Lasting, interrupted).await {
        Ok(sandbox) => Ok(LastingCluster { sandbox }),
        Err(error) => {
            sandboxed::remove(&directory)?;
            Err(error)
        }
    }
}

/// Ends a lasting cluster and removes everything it kept. Returns whether there was one.
pub async fn bring_down(name: &ClusterName) -> Result<bool> {
    let directory = directory(name)?;
    if !directory.exists() {
        return Ok(false);
    }
    if let Some(sandbox) = Sandbox::find(&directory).context("looking for the lasting cluster")? {
        sandbox.stop().await.context("stopping the sandbox")?;
    }
    sandboxed::remove(&directory)?;
    Ok(true)
}

/// Whether a lasting cluster is there and runs.
pub fn status(name: &ClusterName) -> Result<LastingStatus> {
    let directory = directory(name)?;
    let found = Sandbox::find(&directory).context("looking for the lasting cluster")?;
    Ok(match found {
        Some(sandbox) => LastingStatus::Running {
            process_id: sandbox.process_id(),
            kubeconfig: sandbox.kubeconfig_path().to_owned(),
        },
        None if directory.exists() => LastingStatus::Dead,
        None => LastingStatus::Absent,
    })
}

fn directory(name: &ClusterName) -> Result<PathBuf> {
    Ok(cache::directory()?.join("clusters").join(name.as_str()))
}
