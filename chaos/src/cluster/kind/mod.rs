//! Kubernetes in Docker, by the `kind` program. Unlike the other clusters of this machine it is not below our process: what a
//! killed run leaves is ended by `chaos cluster down --cluster kind --name run-PROCESS`.

mod making;
mod program;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::start::{Progress, Start};
use super::{ClusterChoice, SandboxImages, archives};
use making::Making;
pub(super) use program::check;
use program::{kind, run_now, succeeded_or_logged};

/// Three workers; the same file that `kind create cluster --config kind/cluster.yaml` takes.
const CONFIGURATION: &str = include_str!("../../../../kind/cluster.yaml");
/// How long nodes may take to be ready, for kubectl.
const NODES_PATIENCE: &str = "--timeout=180s";
/// The file of the state directory that names the cluster; there before the cluster is.
const NAME_FILE: &str = "kind-name";
/// How kind ends the name of the node that runs the control plane.
const CONTROL_PLANE_SUFFIX: &str = "-control-plane";
/// Where kubeadm keeps the administrator's access (<https://kubernetes.io/docs/setup/best-practices/certificates/>).
const ADMINISTRATOR: &str = "/etc/kubernetes/admin.conf";
/// The kubeconfig of a cluster that nobody can use yet.
const UNFINISHED_KUBECONFIG: &str = "kubeconfig.unfinished";
/// The engine finishes the container that it was asked for when the asker is gone, and says so to nobody: after a start that was
/// broken off a cluster is gone when it has not been listed for this long.
const AFTERMATH: Duration = Duration::from_secs(3);
/// How long the end of a cluster may take.
const ENDING_PATIENCE: Duration = Duration::from_secs(120);
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A cluster that kind made or makes. Dropping it ends nothing.
pub(super) struct Kind {
    name: String,
    state: PathBuf,
    kubeconfig: PathBuf,
}

impl Kind {
    /// Makes a cluster and loads the images into it, unless it is interrupted first: then nothing of it is left.
    pub(super) async fn launch(start: &Start<'_>, interrupted: impl Future<Output = ()>) -> Result<Kind> {
        std::fs::create_dir_all(start.state)
            .with_context(|| format!("failed to make {}", start.state.display()))?;
        let making = Making::begin(start.state)?;
        let name = format!("chaos-{}", start.name);
        std::fs::write(start.state.join(NAME_FILE), &name).context("failed to note the cluster's name")?;
        let kind = Kind::at(name, start.state)?;
        let made = tokio::select! {
            biased;
            () = interrupted => Err(anyhow::anyhow!("interrupted")),
            made = kind.make(&making, start.choice, start.images, start.progress) => made,
        };
        match made {
            Ok(()) => Ok(kind),
            Err(error) => {
                kind.delete(AFTERMATH)
                    .await
                    .context("failed to remove what was made before this error")
                    .context(format!("{error:#}"))?;
                Err(error)
            }
        }
    }

    /// Finds the cluster that this state directory belongs to: one that kind lists, or whose start goes on or was broken off, so
    /// that kind may list it in a moment.
    pub(super) fn find(state: &Path) -> Result<Option<Kind>> {
        let name = match std::fs::read_to_string(state.join(NAME_FILE)) {
            Ok(name) => name,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("failed to read the cluster's name"),
        };
        check()?;
        let kind = Kind::at(name, state)?;
        let exists = !kind.kubeconfig.exists() || program::lists(&kind.name)?;
        Ok(exists.then_some(kind))
    }

    /// The file that clients read; it appears when the cluster can be used.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Whether somebody makes it now.
    pub(super) fn is_being_made(&self) -> Result<bool> {
        making::is_making(&self.state)
    }

    /// Copies the logs of all nodes into `to`.
    pub(super) fn keep_logs(&self, to: &Path) -> Result<()> {
        let words = ["export", "logs", "--quiet", "--name", &self.name].map(OsString::from);
        run_now("kind", words.into_iter().chain([to.into()]))
            .map(drop)
            .context("failed to export the logs of kind's nodes")
    }

    /// Ends it, and whoever makes it, and returns when it is gone.
    pub(super) async fn stop(self) -> Result<()> {
        let broken_off = making::end(&self.state).await? || !self.kubeconfig.exists();
        self.delete(if broken_off { AFTERMATH } else { Duration::ZERO }).await
    }

    fn at(name: String, state: &Path) -> Result<Kind> {
        let state = state.canonicalize().with_context(|| format!("failed to resolve {}", state.display()))?;
        Ok(Kind { name, kubeconfig: state.join("kubeconfig"), state })
    }

    /// Where all is kept that a failed call of kind said: beside the state, which goes away with the failure.
    fn log(&self) -> PathBuf {
        self.state.with_file_name(format!("{}.log", self.name))
    }

    async fn make(
        &self,
        making: &Making,
        choice: &ClusterChoice,
        images: &SandboxImages,
        progress: Progress<'_>,
    ) -> Result<()> {
        // First what fails in a moment.
        progress("writing the images");
        let archives = archives::prepare(images.sources.clone(), &self.state).await?;
        progress(&format!("starting the nodes of {}", self.name));
        self.create(making, choice.node_image.as_deref())
            .await
            .context("failed to make a cluster with kind")?;
        progress("loading the images into the nodes");
        // Meanwhile nodes become ready.
        self.load(making, &archives).await.context("failed to load the images")?;
        progress("waiting for the nodes");
        self.await_nodes(making).await.context("failed to wait for the nodes to be ready")?;
        archives::remove(&self.state)?;
        std::fs::rename(self.state.join(UNFINISHED_KUBECONFIG), &self.kubeconfig)
            .context("failed to publish the kubeconfig")
    }

    async fn create(&self, making: &Making, node_image: Option<&str>) -> Result<()> {
        let mut command = kind(["create", "cluster", "--name", &self.name, "--config", "-"]);
        command.arg("--kubeconfig").arg(self.state.join(UNFINISHED_KUBECONFIG));
        if let Some(image) = node_image {
            command.args(["--image", image]);
        }
        let output = making.run(&mut command, Some(CONFIGURATION.as_bytes())).await?;
        succeeded_or_logged("kind", &output, &self.log())
    }

    /// Into the workers only: nothing of ours may run on the control plane, which is tainted.
    async fn load(&self, making: &Making, archives: &[PathBuf]) -> Result<()> {
        let listed = run_now("kind", ["get", "nodes", "--quiet", "--name", &self.name])?;
        let workers = listed.split_whitespace().filter(|node| !node.ends_with(CONTROL_PLANE_SUFFIX));
        let workers: Vec<&str> = workers.collect();
        let nodes = workers.join(",");
        let mut command = kind(["load", "image-archive", "--name", &self.name, "--nodes", &nodes]);
        let output = making.run(command.args(archives), None).await?;
        succeeded_or_logged("kind", &output, &self.log())
    }

    /// Until every node is ready: kind's own `--wait` looks at control planes only. kubectl is in every node image, and its
    /// access on the node that runs the control plane.
    async fn await_nodes(&self, making: &Making) -> Result<()> {
        let node = format!("{}{CONTROL_PLANE_SUFFIX}", self.name);
        let mut command =
            program::engine_call(["exec", &node, "kubectl", "--kubeconfig", ADMINISTRATOR, "wait"]);
        command.args(["--for=condition=Ready", "nodes", "--all", NODES_PATIENCE]);
        let output = making.run(&mut command, None).await?;
        succeeded_or_logged("kubectl", &output, &self.log())
    }

    /// Ends until kind has not listed it for `quiet`: while something still makes nodes, one deletion misses those to come.
    /// Harmless if there is no such cluster.
    async fn delete(&self, quiet: Duration) -> Result<()> {
        let deadline = Instant::now() + ENDING_PATIENCE;
        let mut gone_since = None;
        loop {
            if gone_since.is_none() {
                self.delete_once().await?;
            }
            if program::lists(&self.name)? {
                gone_since = None;
            } else if gone_since.get_or_insert_with(Instant::now).elapsed() >= quiet {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let seconds = ENDING_PATIENCE.as_secs();
                bail!("the kind cluster {} is still listed {seconds} s after it was deleted", self.name)
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn delete_once(&self) -> Result<()> {
        let mut command = kind(["delete", "cluster", "--name", &self.name]);
        let output = command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .output()
            .await
            .context("failed to start kind")?;
        succeeded_or_logged("kind", &output, &self.log())
            .with_context(|| format!("failed to delete the kind cluster {}", self.name))
    }
}
