//! The caller's side: starting a sandbox, finding a lasting one, ending it. Makes no namespaces itself, so that it
//! may be called from a program with threads.

use super::config::{ImageReference, SandboxConfig};
use crate::tree::{self, StopError, Tree};
use std::io;
use std::path::{Path, PathBuf};

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An image names a file that the host does not have.
    #[error("image {image} needs {path}, which cannot be read", path = path.display())]
    Image {
        /// The image.
        image: ImageReference,
        /// The missing file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Its processes did not start.
    #[error(transparent)]
    Tree(#[from] tree::StartError),
}

/// A running sandbox. Dropping one that lives with its parent ends it; a lasting one goes on.
#[derive(Debug)]
pub struct Sandbox {
    kubeconfig: PathBuf,
    tree: Tree<SandboxConfig>,
}

impl Sandbox {
    /// Starts a sandbox and returns when its API server answers and its node is ready.
    ///
    /// The calling program must call [`run_if_reexecuted`](super::run_if_reexecuted) first in its `main`. Until this has
    /// returned, the sandbox ends with its caller, a lasting one too.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left behind but the state directory.
    pub async fn start(config: SandboxConfig) -> Result<Sandbox, StartError> {
        Sandbox::start_unless(config, std::future::pending()).await
    }

    /// The same, unless `interrupted` comes first: then what was begun is ended, and waited for.
    ///
    /// # Errors
    /// As of [`Sandbox::start`], and [`tree::StartError::Interrupted`].
    pub async fn start_unless(
        config: SandboxConfig,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Sandbox, StartError> {
        check_images(&config)?;
        let config = prepare_state_directory(config)?;
        Ok(Sandbox::of(Tree::start_unless(&config, interrupted, |_| {}).await?))
    }

    /// Finds the sandbox that runs with this state directory, if one does.
    ///
    /// # Errors
    /// The directory's record cannot be read.
    pub fn find(state_directory: &Path) -> Result<Option<Sandbox>, StopError> {
        Ok(Tree::find(state_directory)?.map(Sandbox::of))
    }

    fn of(tree: Tree<SandboxConfig>) -> Sandbox {
        Sandbox { kubeconfig: kubeconfig_path(tree.state_directory()), tree }
    }

    /// A kubeconfig with all rights.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The process below which everything runs; killing it ends the sandbox.
    pub fn process_id(&self) -> u32 {
        self.tree.process_id()
    }

    /// Returns when the sandbox has ended, whoever ended it.
    ///
    /// # Errors
    /// The process could not be watched; this says nothing about the sandbox.
    pub async fn ended(&self) -> Result<(), StopError> {
        self.tree.ended().await
    }

    /// Ends the sandbox; when it returns, none of its processes, mounts and namespaces is left.
    ///
    /// # Errors
    /// The process could not be signalled or waited for.
    pub async fn stop(self) -> Result<(), StopError> {
        self.tree.stop().await
    }
}

/// The kubeconfig of the sandbox.
pub(super) fn kubeconfig_path(state_directory: &Path) -> PathBuf {
    state_directory.join("kubeconfig")
}

fn check_images(config: &SandboxConfig) -> Result<(), StartError> {
    for (image, source) in &config.images {
        for path in source.files.values() {
            std::fs::metadata(path).map_err(|source| StartError::Image {
                image: image.clone(),
                path: path.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

/// Makes the directory and every path absolute: the sandbox's processes work elsewhere.
fn prepare_state_directory(mut config: SandboxConfig) -> Result<SandboxConfig, tree::StartError> {
    let path = config.tree.state_directory.clone();
    let failed = |source| tree::StartError::StateDirectory { path: path.clone(), source };
    std::fs::create_dir_all(&path).map_err(failed)?;
    config.tree.state_directory = std::fs::canonicalize(&path).map_err(failed)?;
    for file in config.images.values_mut().flat_map(|image| image.files.values_mut()) {
        *file = std::path::absolute(&*file).map_err(failed)?;
    }
    Ok(config)
}
