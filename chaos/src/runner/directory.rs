//! The directory of one run: where each file lies and how the two documents are written. Never reads them back.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::record::{EVENTS_FILE, RUN_FILE, Run, SCHEDULE_FILE};
use crate::scenario::Schedule;

/// Where runs are kept unless `--out` says otherwise, below the working directory.
pub const DEFAULT_PARENT: &str = "target/chaos";

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// The directories that were made for it, outermost first: they go away with a run that never began.
    made: Vec<PathBuf>,
}

impl RunDirectory {
    /// Whether a run may be put there: it is not there yet, or it is a directory without a run.
    pub fn check_free(path: &Path) -> Result<()> {
        if path.join(RUN_FILE).exists() {
            bail!("{} holds a run already: name another with --out", path.display());
        }
        if path.exists() && !path.is_dir() {
            bail!("{} is not a directory: name another with --out", path.display());
        }
        Ok(())
    }

    /// Makes the directory; one that holds a run already is refused.
    pub fn create(path: &Path) -> Result<RunDirectory> {
        RunDirectory::check_free(path)?;
        let mut made: Vec<PathBuf> =
            path.ancestors().filter(|one| !one.exists()).map(Path::to_owned).collect();
        made.retain(|one| !one.as_os_str().is_empty());
        made.reverse();
        let history = path.join("history");
        fs::create_dir_all(&history)
            .with_context(|| format!("failed to make the run's directory {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("failed to resolve {}", path.display()))?;
        Ok(RunDirectory { path, made })
    }

    /// Removes what was written for a run that never began, and the directories that were made for it.
    pub fn discard(self) -> Result<()> {
        for name in [RUN_FILE, SCHEDULE_FILE, EVENTS_FILE] {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("failed to remove {}", path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        // A directory that holds something of somebody else stays.
        for directory in
            [self.path.join("logs"), self.path.join("history")].iter().chain(self.made.iter().rev())
        {
            let _ = fs::remove_dir(directory);
        }
        Ok(())
    }

    /// The directory of an earlier run.
    pub fn open(path: &Path) -> Result<RunDirectory> {
        let path = path.canonicalize().with_context(|| format!("failed to resolve {}", path.display()))?;
        Ok(RunDirectory { path, made: Vec::new() })
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a sandbox of this run keeps its state; gone when the run is over.
    #[must_use]
    pub fn sandbox_state(&self) -> PathBuf {
        self.path.join("sandbox")
    }

    /// Where logs of pods are kept for people; the judge does not read them.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Writes `run.json`.
    pub fn write_run(&self, run: &Run) -> Result<()> {
        self.write_json(RUN_FILE, run)
    }

    /// Writes `schedule.json`.
    pub fn write_schedule(&self, schedule: &Schedule) -> Result<()> {
        self.write_json(SCHEDULE_FILE, schedule)
    }

    /// Writes a file whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!("{name}.part"));
        let written = fs::File::create(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&temporary, &path))
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value).with_context(|| format!("failed to write {name}"))?;
        text.push(b'\n');
        self.write(name, &text).map(drop)
    }
}
