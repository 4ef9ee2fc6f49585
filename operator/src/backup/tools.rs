//! etcd's own programs, which are in every image of etcd: `etcdutl` makes data directories of snapshots, as nothing else does. It runs
//! them and decides nothing.

use etcd_operator_core::backup::restoring::{Member, Revisions, etcdutl_arguments};
use etcd_operator_core::cluster::desired::EtcdVersion;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use thiserror::Error;
use tokio::process::Command;

/// Where they are: paths, or names to be looked for as a shell does.
#[derive(Debug, Clone, clap::Args)]
pub struct Tools {
    /// etcd's program, of the backup's minor or the next one
    #[arg(long, default_value = "etcd", value_name = "PROGRAM")]
    pub etcd: PathBuf,
    /// etcdutl of the same version
    #[arg(long, default_value = "etcdutl", value_name = "PROGRAM")]
    pub etcdutl: PathBuf,
}

/// A program of etcd's did not do what it was asked for.
#[derive(Debug, Error)]
pub enum ToolError {
    /// It is not there, or cannot be run.
    #[error("failed to run {program}")]
    Run {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It refused, or failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: String,
        /// Its last words.
        said: String,
    },
    /// It says no version that we know.
    #[error("{program} says no version: {said:?}")]
    NoVersion {
        /// Which.
        program: String,
        /// What it says.
        said: String,
    },
}

impl Tools {
    /// The version of `etcdutl`.
    pub async fn version(&self) -> Result<EtcdVersion, ToolError> {
        let said = self.run(["version"]).await?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.lines().find_map(|line| line.strip_prefix("etcdutl version: "));
        version.and_then(|version| EtcdVersion::parse(version.trim())).ok_or_else(|| ToolError::NoVersion {
            program: self.etcdutl.display().to_string(),
            said: said.lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// Makes a data directory of a snapshot. The directory must not be there.
    pub async fn restore(
        &self,
        snapshot: &Path,
        data: &Path,
        member: &Member<'_>,
        revisions: Revisions,
    ) -> Result<(), ToolError> {
        let (snapshot, data) = (snapshot.display().to_string(), data.display().to_string());
        self.run(etcdutl_arguments(&snapshot, &data, member, revisions)).await.map(drop)
    }

    async fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output, ToolError> {
        let program = self.etcdutl.display().to_string();
        let mut command = Command::new(&self.etcdutl);
        let command = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await;
        let output = output.map_err(|source| ToolError::Run { program: program.clone(), source })?;
        if output.status.success() {
            return Ok(output);
        }
        Err(ToolError::Failed { program, said: last_words(&output.stderr) })
    }
}

/// The last line of what a program said.
pub fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}
