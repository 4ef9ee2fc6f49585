//! `chaos check` and `chaos report`: the judge and the reports on a record that is already there. Touches no cluster.

use std::path::PathBuf;

use anyhow::Result;
use chaos::runner::{Finished, judge, judge_and_report};
use clap::Args;

use super::show::show_verdict;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The directory of a run
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The directory of a run
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Judges again. Nothing that is there is touched: where a report is missing it is added, and where even that is not possible, the
/// verdict is only said.
pub(super) fn check(arguments: &CheckArguments) -> Result<u8> {
    let finished = judge(&arguments.directory)?;
    show_verdict(&finished);
    if let Err(error) = finished.add_missing_reports() {
        anstream::eprintln!("note: no report was added: {error:#}");
    }
    show_report(&finished);
    Ok(finished.verdict().exit_code())
}

/// Writes the reports again; that this worked says nothing about the verdict.
pub(super) fn report(arguments: &ReportArguments) -> Result<u8> {
    let finished = judge_and_report(&arguments.directory)?;
    show_report(&finished);
    Ok(0)
}

fn show_report(finished: &Finished) {
    anstream::println!("{}", finished.report.display());
}
