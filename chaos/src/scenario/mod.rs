//! The scenario file: parsed, validated and turned into a schedule by a seed. Never reads a clock or the network.
//!
//! [`parse`] → [`Scenario`] → [`schedule`] → [`Schedule`]. The reference of the format is `scenarios/README.md`.

mod certificate;
mod cross;
mod duration;
mod encryption;
mod error;
mod fault;
mod field;
mod fields;
mod guard;
mod kinds;
mod model;
mod names;
mod parse;
mod plan;
mod raw;
mod schedule;
#[cfg(test)]
mod tests;
mod timeline;
mod traits;
mod validate;
mod validate_fault;

pub use certificate::CertificateDamage;
pub use cross::{Crossed, NotCrossed, cross};
pub use duration::{LONGEST_PERIOD, Period, PeriodError};
pub use encryption::Encryption;
pub use error::ScenarioError;
pub use fault::{Ask, ChangeEffect, ClusterObject, Condition, Direction, Fault, Peers, Target};
pub use model::{
    Allow, ELECTION_TIMEOUT, Expect, Load, Mix, ONE_ELECTION, PlannedFault, QuorumLoss, Scenario, Subject,
    SubjectCluster, SubjectSelector, Timing,
};
pub use names::{
    ClusterSize, EtcdVersion, FaultName, NameError, ScenarioName, Seed, SizeError, VersionError,
};
pub use parse::{LARGEST_FILE, Unavailable, parse, refusal};
pub use plan::{schedule, schedule_json, stream};
pub use schedule::{SCHEDULE_FORMAT, SCHEDULE_FORMAT_BEFORE, Schedule, Step, Trigger};
pub use timeline::{due, timeline};
pub use traits::{Aim, Traits};

/// Reads a scenario file and parses it; returns its text too, because a pipe can be read only once. The only function here
/// that touches a disk.
///
/// # Errors
/// A file that cannot be read, or the first thing that is wrong in it.
pub fn load(path: &std::path::Path) -> Result<(Scenario, String), ScenarioError> {
    use std::io::Read;
    let file = path.display().to_string();
    let failed = |error: std::io::Error| ScenarioError::of_file(&file, format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    // One byte above the limit is enough to refuse the rest, however long it is.
    let limit = LARGEST_FILE as u64 + 1;
    std::fs::File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    let scenario = parse(&file, &bytes)?;
    Ok((scenario, String::from_utf8_lossy(&bytes).into_owned()))
}
