//! Logs of containers, one file per run, in the line format of container run-times: time, stream, F or P, text.

mod format;
mod reader;
mod writer;

pub(crate) use reader::{Request, open};
pub(crate) use writer::LogWriter;

use super::context::PodKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// How far a log has been written, and whether more may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) bytes: u64,
    pub(crate) ended: bool,
}

/// The log of one run of a container.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    pub(crate) progress: watch::Receiver<Progress>,
}

/// Finds logs: by the pod's uid, the container and the run.
#[derive(Debug)]
pub(crate) struct LogRegistry {
    directory: PathBuf,
    files: Mutex<BTreeMap<(String, String), BTreeMap<i32, LogFile>>>,
}

impl LogRegistry {
    pub(crate) fn new(state_directory: &Path) -> LogRegistry {
        LogRegistry { directory: state_directory.join("logs"), files: Mutex::default() }
    }

    /// Opens the log of a new run.
    pub(crate) async fn create(&self, pod: &PodKey, container: &str, run: i32) -> std::io::Result<LogWriter> {
        let directory =
            self.directory.join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid)).join(container);
        let (writer, file) = LogWriter::create(&directory, run).await?;
        self.lock().entry((pod.uid.clone(), container.to_owned())).or_default().insert(run, file);
        Ok(writer)
    }

    /// The newest run's log, or with `previous` the one before.
    pub(crate) fn find(&self, uid: &str, container: &str, previous: bool) -> Option<LogFile> {
        let files = self.lock();
        let runs = files.get(&(uid.to_owned(), container.to_owned()))?;
        runs.values().rev().nth(usize::from(previous)).cloned()
    }

    /// Forgets a pod that is gone. Its files stay for who looks into the state directory.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().retain(|(owner, _), _| owner != uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), BTreeMap<i32, LogFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
