//! `chaos plan`: what a scenario will do with a seed. Touches no cluster.

use std::path::{Path, PathBuf};

use anyhow::Result;
use chaos::scenario::{self, Scenario, ScenarioError, Seed};
use clap::Args;
use miette::{GraphicalReportHandler, GraphicalTheme};

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// The scenario file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The seed, instead of the one in the file: the same seed gives the same schedule, byte for byte
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

pub(super) fn plan(arguments: &PlanArguments) -> Result<u8> {
    let (scenario, _) = load(&arguments.file)?;
    let seed = arguments.seed.map_or(scenario.seed, Seed);
    anstream::print!("{}", scenario::schedule_json(&scenario::schedule(&scenario, seed)));
    Ok(0)
}

/// Reads a scenario file and keeps its text.
pub(super) fn load(file: &Path) -> Result<(Scenario, String)> {
    scenario::load(file).map_err(|error| shown(&error))
}

/// The error in one line that is never broken, whatever the width, with the lines of the file around the place below it.
pub(super) fn shown(error: &ScenarioError) -> anyhow::Error {
    let theme = GraphicalTheme::unicode_nocolor();
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_width(usize::MAX);
    let mut picture = String::new();
    let drawn = handler.render_report(&mut picture, error);
    let below = picture.split_once('\n').map(|(_, below)| below.trim_end()).unwrap_or_default();
    match drawn {
        Ok(()) if !below.is_empty() => anyhow::anyhow!("{error}\n{below}"),
        Ok(()) | Err(_) => anyhow::anyhow!("{error}"),
    }
}
