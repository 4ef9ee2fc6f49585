//! From a run's directory to its verdict and reports. What it reads is on disk, so that `chaos check` and `chaos report` give
//! the same answer on another day.

use std::path::Path;

use anyhow::Result;

use super::Finished;
use super::directory::RunDirectory;
use crate::{checker, record, report};

/// The report for people within a run's directory.
const REPORT_FILE: &str = "report.html";

/// Judges the record in `directory` and writes every report into it.
pub fn judge_and_report(directory: &Path) -> Result<Finished> {
    let record = record::open(directory)?;
    let judgement = checker::judge(&record);
    let opened = RunDirectory::open(directory)?;
    for (name, text) in report::render(&record, &judgement)? {
        opened.write(name, text.as_bytes())?;
    }
    let report = opened.path().join(REPORT_FILE);
    Ok(Finished { directory: opened.path().to_owned(), report, record, judgement })
}
