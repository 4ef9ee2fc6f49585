//! `chaos plan`: what scenarios will do with a seed. Touches no cluster.

use std::path::{Path, PathBuf};

use anyhow::Result;
use chaos::scenario::{self, Scenario, ScenarioError, Seed};
use clap::Args;
use miette::{GraphicalReportHandler, GraphicalTheme};

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// Scenario files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The seed, instead of the one in each file: the same seed gives the same schedule, byte for byte
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the schedules as JSON, one document after the other, instead of a timeline
    #[arg(long)]
    json: bool,
}

pub(super) fn plan(arguments: &PlanArguments) -> Result<u8> {
    let loaded = arguments.files.iter().map(|file| load(file)).collect::<Result<Vec<_>>>()?;
    for (index, (scenario, _)) in loaded.iter().enumerate() {
        let schedule = scenario::schedule(scenario, arguments.seed.map_or(scenario.seed, Seed));
        if arguments.json {
            anstream::print!("{}", scenario::schedule_json(&schedule));
        } else {
            let before = if index > 0 { "\n" } else { "" };
            anstream::print!("{before}{}", scenario::timeline(&schedule));
        }
    }
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
