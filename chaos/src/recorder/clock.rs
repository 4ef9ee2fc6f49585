//! The one clock of a writing process: monotonic, tied once to the wall clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::history::{Elapsed, UnixNanoseconds};

/// Counts from the moment of its making.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    zero: Instant,
    wall_at_zero: UnixNanoseconds,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Clock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanoseconds = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        Clock { zero: Instant::now(), wall_at_zero: UnixNanoseconds(nanoseconds) }
    }

    /// The time since the start.
    pub fn now(&self) -> Elapsed {
        Elapsed(u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The wall clock at the start.
    pub fn wall_at_zero(&self) -> UnixNanoseconds {
        self.wall_at_zero
    }
}
