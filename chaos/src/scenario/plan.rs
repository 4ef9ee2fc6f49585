//! `(Scenario, Seed) -> Schedule`. Pure; every choice is drawn from a stream of its own that is named after what it is
//! for, so that adding a fault leaves the choices of all others as they are.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};

use super::{
    Direction, Fault, Period, PlannedFault, SCHEDULE_FORMAT, Scenario, Schedule, Seed, Step, Timing, Trigger,
};

/// The largest cluster; a preference orders so many candidates.
const MOST_MEMBERS: u8 = 7;
/// What `direction: any` is drawn from.
const DIRECTIONS: [Direction; 3] = [Direction::Both, Direction::Inbound, Direction::Outbound];

/// Makes all choices of a run.
pub fn schedule(scenario: &Scenario, seed: Seed) -> Schedule {
    Schedule {
        format: SCHEDULE_FORMAT.to_owned(),
        scenario: scenario.name.clone(),
        seed,
        subject: scenario.subject.clone(),
        load: scenario.load.clone(),
        load_seed: Seed(stream(seed, "load").random()),
        steps: scenario.faults.iter().map(|fault| step(fault, seed)).collect(),
        expect: scenario.expect.clone(),
        allow: scenario.allow.clone(),
    }
}

/// The schedule as a file: readable, and the same bytes for the same schedule.
pub fn schedule_json(schedule: &Schedule) -> String {
    let mut text = serde_json::to_string_pretty(schedule).expect("a schedule is made of what JSON can hold");
    text.push('\n');
    text
}

/// A generator that depends on the seed and on what it is for, and on nothing else.
pub fn stream(seed: Seed, purpose: &str) -> ChaCha8Rng {
    let mut digest = Sha256::new();
    digest.update(b"etcd-chaos stream\0");
    digest.update(seed.0.to_be_bytes());
    digest.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(digest.finalize().into())
}

fn step(planned: &PlannedFault, seed: Seed) -> Step {
    let of = |purpose: &str| stream(seed, &format!("fault/{}/{purpose}", planned.name));
    let mut preference: Vec<u8> = (0..MOST_MEMBERS).collect();
    preference.shuffle(&mut of("target"));
    let mut fault = planned.fault.clone();
    if let Fault::Partition { direction, .. } = &mut fault
        && planned.any_direction
    {
        *direction = DIRECTIONS[of("direction").random_range(0..DIRECTIONS.len())];
    }
    Step {
        name: planned.name.clone(),
        trigger: trigger(&planned.timing, &mut of("time")),
        fault,
        target: planned.target.clone(),
        preference,
    }
}

/// Whole milliseconds: people read schedules, and nothing in a cluster is more exact.
fn trigger(timing: &Timing, random: &mut ChaCha8Rng) -> Trigger {
    let milliseconds = |period: &Period| period.nanoseconds() / 1_000_000;
    match timing {
        Timing::At { at, jitter } => {
            let (at, jitter) = (milliseconds(at), milliseconds(jitter));
            let moved = random.random_range(at.saturating_sub(jitter)..=at.saturating_add(jitter));
            Trigger::At(Period::from_milliseconds(moved))
        }
        Timing::When { condition, within, jitter } => Trigger::When {
            condition: condition.clone(),
            within: *within,
            delay: Period::from_milliseconds(random.random_range(0..=milliseconds(jitter))),
        },
    }
}
