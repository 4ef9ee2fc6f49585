//! The one clock of a writing process: monotonic, tied once to the wall clock. Nothing that it says goes back or jumps.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::history::{Elapsed, UnixNanoseconds};

/// By how much a process takes the wall clock to be wrong, so that tests can stand for machines whose clocks differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct ClockOffset {
    /// Adds so many milliseconds to this process's wall clock (for tests of the judge)
    #[arg(long, hide = true, default_value_t = 0, allow_negative_numbers = true)]
    pub clock_offset_milliseconds: i64,
}

/// Counts from the moment of its making.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    zero: Instant,
    wall_at_zero: UnixNanoseconds,
    offset: ClockOffset,
}

/// `GET /clock`: what both clocks of a process show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockFace {
    /// The clock of its history.
    pub elapsed: Elapsed,
    /// Its wall clock.
    pub wall: UnixNanoseconds,
}

impl Clock {
    /// Starts counting now.
    pub fn start(offset: ClockOffset) -> Clock {
        Clock { zero: Instant::now(), wall_at_zero: wall_clock(offset), offset }
    }

    /// The time since the start.
    pub fn now(&self) -> Elapsed {
        Elapsed(u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The wall clock at the start.
    pub fn wall_at_zero(&self) -> UnixNanoseconds {
        self.wall_at_zero
    }

    /// The wall clock of the start and the time since then: never goes back, whatever is done to the wall clock meanwhile.
    pub fn steady_wall(&self) -> UnixNanoseconds {
        self.wall_at_zero.plus_nanoseconds(self.now().nanoseconds())
    }

    /// What both clocks show.
    pub fn face(&self) -> ClockFace {
        ClockFace { elapsed: self.now(), wall: wall_clock(self.offset) }
    }
}

fn wall_clock(offset: ClockOffset) -> UnixNanoseconds {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    let offset = offset.clock_offset_milliseconds.saturating_mul(1_000_000);
    UnixNanoseconds(nanoseconds.saturating_add_signed(offset))
}
