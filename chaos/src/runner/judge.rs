//! From a run's directory to its verdict and reports. What it reads is on disk, so that `chaos check` and `chaos report` give
//! the same answer on another day.

use std::path::Path;

use anyhow::Result;

use super::Finished;
use super::directory::RunDirectory;
use crate::{checker, record, report};

/// Judges the record in `directory` and writes nothing.
///
/// # Errors
/// When there is no record, or none that this build reads.
pub fn judge(directory: &Path) -> Result<Finished> {
    let record = record::open(directory)?;
    let judgement = checker::judge(&record);
    let opened = RunDirectory::open(directory)?;
    let report = opened.path().join(report::HTML_FILE);
    Ok(Finished { directory: opened.path().to_owned(), report, record, judgement })
}

/// Judges the record in `directory` and writes every report into it.
///
/// # Errors
/// When there is no record that this build reads, or a report cannot be written.
pub fn judge_and_report(directory: &Path) -> Result<Finished> {
    let finished = judge(directory)?;
    finished.write_reports(|_| true)?;
    Ok(finished)
}

impl Finished {
    /// Writes the reports that are not there yet, and leaves the others alone.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn add_missing_reports(&self) -> Result<()> {
        self.write_reports(|path| !path.exists())
    }

    fn write_reports(&self, wanted: impl Fn(&Path) -> bool) -> Result<()> {
        let opened = RunDirectory::open(&self.directory)?;
        for (name, text) in report::render(&self.record, &self.judgement)? {
            if wanted(&opened.path().join(name)) {
                opened.write(name, text.as_bytes())?;
            }
        }
        Ok(())
    }
}
