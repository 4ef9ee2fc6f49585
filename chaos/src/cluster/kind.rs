//! Kubernetes in Docker, by the `kind` program. Whether a container engine answers is asked of the engine. Unlike the other
//! clusters of this machine it is not below our process: what a killed run leaves is ended by `chaos cluster down`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail};
use sandbox::Lifetime;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::start::{Progress, Start};
use super::{ClusterChoice, SandboxImages};
use crate::image::{self, WrongOperators};

/// Three workers; the same file that `kind create cluster --config kind/cluster.yaml` takes.
const CONFIGURATION: &str = include_str!("../../../kind/cluster.yaml");
/// The version that the hosted workflow uses, named where it has to be installed.
const VERSION: &str = "v0.33.0";
/// kind's own variable for an engine that is not Docker.
const PROVIDER_VARIABLE: &str = "KIND_EXPERIMENTAL_PROVIDER";
/// How long nodes may take to be ready.
const NODES_PATIENCE: &str = "180s";
/// The file of the state directory that names the cluster; there before the cluster is.
const NAME_FILE: &str = "kind-name";

/// A cluster that kind made. Dropping it ends nothing.
pub(super) struct Kind {
    name: String,
    state: PathBuf,
    kubeconfig: PathBuf,
}

/// Whether kind is installed and an engine answers.
pub(super) fn check() -> Result<()> {
    if let Err(error) = run_now("kind", ["version"]) {
        bail!(
            "`kind` is not there ({error:#}): install it with `go install sigs.k8s.io/kind@{VERSION}` or from \
             https://kind.sigs.k8s.io, or use --cluster sandbox or --cluster bare, which need neither kind nor Docker"
        );
    }
    let engine = engine();
    if let Err(error) = run_now(&engine, ["version"]) {
        bail!(
            "no container engine answers: `{engine} version` failed ({error:#}); start {engine}, name another engine in \
             {PROVIDER_VARIABLE}, or use --cluster sandbox or --cluster bare, which need none"
        );
    }
    Ok(())
}

/// The engine's program, by the names that kind gives its providers.
fn engine() -> String {
    std::env::var(PROVIDER_VARIABLE)
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "docker".to_owned())
}

impl Kind {
    /// Makes a cluster and loads the images into it, unless it is interrupted first: then nothing of it is left.
    pub(super) async fn launch(start: &Start<'_>, interrupted: impl Future<Output = ()>) -> Result<Kind> {
        std::fs::create_dir_all(start.state).with_context(|| format!("making {}", start.state.display()))?;
        let name = match start.lifetime {
            Lifetime::Lasting => format!("chaos-{}", start.name),
            Lifetime::WithParent => format!("chaos-run-{}", std::process::id()),
        };
        std::fs::write(start.state.join(NAME_FILE), &name).context("noting the cluster's name")?;
        let kind = Kind::at(name, start.state)?;
        let made = tokio::select! {
            biased;
            () = interrupted => Err(anyhow::anyhow!("interrupted")),
            made = kind.make(start.choice, start.images, start.progress) => made,
        };
        match made {
            Ok(()) => Ok(kind),
            Err(error) => {
                kind.delete()
                    .await
                    .context("removing what was made before this error")
                    .context(format!("{error:#}"))?;
                Err(error)
            }
        }
    }

    /// Finds the cluster that this state directory belongs to, if kind still knows it.
    pub(super) fn find(state: &Path) -> Result<Option<Kind>> {
        let name = match std::fs::read_to_string(state.join(NAME_FILE)) {
            Ok(name) => name,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("reading the cluster's name"),
        };
        check()?;
        let known =
            run_now("kind", ["get", "clusters", "--quiet"]).context("asking kind for its clusters")?;
        let exists = known.lines().any(|line| line.trim() == name);
        if exists { Kind::at(name, state).map(Some) } else { Ok(None) }
    }

    /// The file that clients read.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Copies the logs of all nodes into `to`.
    pub(super) fn keep_logs(&self, to: &Path) -> Result<()> {
        let words = ["export", "logs", "--quiet", "--name", &self.name].map(OsString::from);
        run_now("kind", words.into_iter().chain([to.into()]))
            .map(drop)
            .context("exporting the logs of kind's nodes")
    }

    /// Ends it and returns when it is gone.
    pub(super) async fn stop(self) -> Result<()> {
        self.delete().await
    }

    fn at(name: String, state: &Path) -> Result<Kind> {
        let state = state.canonicalize().with_context(|| format!("resolving {}", state.display()))?;
        Ok(Kind { name, kubeconfig: state.join("kubeconfig"), state })
    }

    async fn make(
        &self,
        choice: &ClusterChoice,
        images: &SandboxImages,
        progress: Progress<'_>,
    ) -> Result<()> {
        progress("starting the nodes");
        self.create(choice.node_image.as_deref()).await.context("making a cluster with kind")?;
        for (reference, source) in &images.sources {
            progress(&format!("loading the image {}", reference.as_str()));
            let created = image::created_seconds()?;
            let image = image::from_source(reference, source, created, WrongOperators::AllowedInTestCluster)?;
            self.load(image).await.with_context(|| format!("loading the image {}", reference.as_str()))?;
        }
        Ok(())
    }

    async fn create(&self, node_image: Option<&str>) -> Result<()> {
        let mut command =
            kind(["create", "cluster", "--name", &self.name, "--config", "-", "--wait", NODES_PATIENCE]);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        if let Some(image) = node_image {
            command.args(["--image", image]);
        }
        let mut child = command.stdin(Stdio::piped()).spawn().context("starting kind")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(CONFIGURATION.as_bytes()).await.context("telling kind its configuration")?;
        }
        succeeded("kind", &child.wait_with_output().await.context("waiting for kind")?).map(drop)
    }

    async fn load(&self, image: image::Image) -> Result<()> {
        let archives = self.state.join("archives");
        let place = archives.clone();
        let saved = tokio::task::spawn_blocking(move || image::save(&image, &place)).await;
        let saved = saved.context("writing the archive")??;
        let mut command = kind(["load", "image-archive", "--name", &self.name]);
        let output = command.arg(&saved.path).output().await.context("starting kind")?;
        succeeded("kind", &output)?;
        std::fs::remove_dir_all(&archives).with_context(|| format!("removing {}", archives.display()))
    }

    /// Harmless if there is no such cluster.
    async fn delete(&self) -> Result<()> {
        let mut command = kind(["delete", "cluster", "--name", &self.name]);
        let output =
            command.arg("--kubeconfig").arg(&self.kubeconfig).output().await.context("starting kind")?;
        succeeded("kind", &output)
            .map(drop)
            .with_context(|| format!("deleting the kind cluster {}", self.name))
    }
}

/// A call of kind that dies with its future, in a process group of its own: Ctrl-C is ours to act on.
fn kind<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("kind");
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command
}

/// Runs a short call to its end and gives what it printed.
fn run_now(program: &str, words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<String> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let output = std::process::Command::new(program).args(words).stdin(Stdio::null()).output();
    succeeded(program, &output.with_context(|| format!("starting {program}"))?)
}

/// What it printed, or the last thing that it complained about.
fn succeeded(program: &str, output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().map(str::trim).rfind(|line| !line.is_empty());
    bail!("{program}: {}: {}", output.status, last.unwrap_or("it said nothing"))
}
