//! `chaos plan`: what a scenario will do with a seed. Touches no cluster.

use std::path::{Path, PathBuf};

use anyhow::Result;
use chaos::scenario::{self, Scenario, Seed};
use clap::Args;

use super::AlreadyShown;

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
    let scenario = load(&arguments.file)?;
    let seed = arguments.seed.map_or(scenario.seed, Seed);
    anstream::print!("{}", scenario::schedule_json(&scenario::schedule(&scenario, seed)));
    Ok(0)
}

/// Reads a scenario file; what is wrong with it is shown with the lines around the place.
pub(super) fn load(file: &Path) -> Result<Scenario> {
    scenario::load(file).map_err(|error| {
        anstream::eprintln!("{:?}", miette::Report::new(error));
        AlreadyShown.into()
    })
}
