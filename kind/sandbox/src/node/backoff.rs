//! When a container that ended may be started again. Pure. The rules are client-go's `flowcontrol.Backoff` as the
//! kubelet uses it: the first restart is immediate, then 10 s doubling to 5 min, forgotten after 10 min of running.

use jiff::{SignedDuration, Timestamp};

const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_secs(300);
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_secs(600);

/// The restarts of one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    entry: Option<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    delay: SignedDuration,
    restarted_at: Timestamp,
}

/// Whether a restart is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Now.
    Now,
    /// At this time; `delay` is the whole back-off, for the message.
    At { time: Timestamp, delay: SignedDuration },
}

impl Backoff {
    /// Asks when a container that ended at `finished_at` may start again.
    pub(crate) fn restart(&self, finished_at: Timestamp, now: Timestamp) -> Restart {
        match self.valid_entry(finished_at) {
            Some(entry) if now.duration_since(finished_at) < entry.delay => {
                Restart::At { time: finished_at + entry.delay, delay: entry.delay }
            }
            Some(_) | None => Restart::Now,
        }
    }

    /// Notes that the container that ended at `finished_at` is started again now.
    pub(crate) fn restarted(&mut self, finished_at: Timestamp, now: Timestamp) {
        let delay = self.valid_entry(finished_at).map_or(FIRST, |entry| (entry.delay * 2).min(LONGEST));
        self.entry = Some(Entry { delay, restarted_at: now });
    }

    fn valid_entry(&self, finished_at: Timestamp) -> Option<Entry> {
        self.entry.filter(|entry| finished_at.duration_since(entry.restarted_at) <= FORGOTTEN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_second_waits_ten_seconds() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.restart(at(100), at(100)), Restart::Now);
        backoff.restarted(at(100), at(100));
        let second = backoff.restart(at(101), at(101));
        assert_eq!(second, Restart::At { time: at(111), delay: SignedDuration::from_secs(10) });
        assert_eq!(backoff.restart(at(101), at(111)), Restart::Now);
    }

    #[test]
    fn the_delay_doubles_up_to_five_minutes() {
        let (mut backoff, mut now, mut delays) = (Backoff::default(), 0, Vec::new());
        for _ in 0..8 {
            backoff.restarted(at(now), at(now));
            match backoff.restart(at(now), at(now)) {
                Restart::At { time, delay } => {
                    delays.push(delay.as_secs());
                    now = time.as_second();
                }
                Restart::Now => panic!("no delay after a restart"),
            }
        }
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_container_that_ran_for_more_than_ten_minutes_starts_anew() {
        let mut backoff = Backoff::default();
        backoff.restarted(at(0), at(0));
        assert_eq!(backoff.restart(at(601), at(601)), Restart::Now);
    }
}
