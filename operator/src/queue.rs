//! Which object is looked at when: each at most once at a time, soon after a change and again when it is due. Looks that wait for
//! somebody who does not answer have places of their own, so that they never take those of others. It holds no task and asks no clock.

use etcd_operator_core::key::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many looks may go on at once.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Where everybody answers.
    pub quick: usize,
    /// Where somebody does not. These wait more than they work.
    pub slow: usize,
}

/// Where a look has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Quick,
    Slow,
}

/// A look that begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Started {
    /// At which object.
    pub key: Key,
    /// For how long it had been due.
    pub late_by: Duration,
}

/// Objects that wait, objects that are looked at, and objects that changed meanwhile.
#[derive(Debug)]
pub struct Queue {
    places: Places,
    due: BTreeMap<Key, Duration>,
    running: BTreeMap<Key, Lane>,
    slow: BTreeSet<Key>,
}

impl Queue {
    /// An empty queue.
    pub fn new(places: Places) -> Self {
        Self { places, due: BTreeMap::new(), running: BTreeMap::new(), slow: BTreeSet::new() }
    }

    /// Wants an object looked at no later than `at`. An earlier wish stands.
    pub fn request(&mut self, key: Key, at: Duration) {
        self.due.entry(key).and_modify(|due| *due = at.min(*due)).or_insert(at);
    }

    /// Notes whether looks at an object wait for somebody who does not answer.
    pub fn set_slow(&mut self, key: &Key, is_slow: bool) {
        if is_slow {
            self.slow.insert(key.clone());
        } else {
            self.slow.remove(key);
        }
    }

    /// Takes the object that has been due longest at `now`, is not looked at and has a place, and notes that it is looked at.
    pub fn start_next(&mut self, now: Duration) -> Option<Started> {
        let due = self.startable().filter(|(due, _)| *due <= now);
        let (due, key) = due.min().map(|(due, key)| (due, key.clone()))?;
        self.due.remove(&key);
        self.running.insert(key.clone(), self.lane(&key));
        Some(Started { key, late_by: now.saturating_sub(due) })
    }

    /// A look ended.
    pub fn finish(&mut self, key: &Key) {
        self.running.remove(key);
    }

    /// An object no longer exists.
    pub fn forget(&mut self, key: &Key) {
        self.slow.remove(key);
    }

    /// When the next object that has a place will be due, if one waits.
    pub fn next_due(&self) -> Option<Duration> {
        self.startable().map(|(due, _)| due).min()
    }

    fn startable(&self) -> impl Iterator<Item = (Duration, &Key)> {
        let (quick, slow) = (self.has_place(Lane::Quick), self.has_place(Lane::Slow));
        let has_place = move |key: &Key| match self.lane(key) {
            Lane::Quick => quick,
            Lane::Slow => slow,
        };
        let waiting = self.due.iter().filter(|(key, _)| !self.running.contains_key(*key));
        waiting.filter(move |(key, _)| has_place(key)).map(|(key, due)| (*due, key))
    }

    fn lane(&self, key: &Key) -> Lane {
        if self.slow.contains(key) { Lane::Slow } else { Lane::Quick }
    }

    fn has_place(&self, lane: Lane) -> bool {
        let taken = self.running.values().filter(|running| **running == lane).count();
        match lane {
            Lane::Quick => taken < self.places.quick,
            Lane::Slow => taken < self.places.slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::of_cluster("ns", name)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn queue() -> Queue {
        Queue::new(Places { quick: 2, slow: 1 })
    }

    fn start(queue: &mut Queue, now: u64) -> Option<Key> {
        queue.start_next(seconds(now)).map(|started| started.key)
    }

    #[test]
    fn an_earlier_request_replaces_a_later_one_and_not_the_reverse() {
        let mut queue = queue();
        queue.request(key("a"), seconds(5));
        queue.request(key("a"), seconds(1));
        queue.request(key("a"), seconds(9));
        assert_eq!(queue.next_due(), Some(seconds(1)));
    }

    #[test]
    fn an_object_that_changes_while_it_is_looked_at_is_looked_at_afterwards_and_never_twice_at_once() {
        let mut queue = queue();
        queue.request(key("a"), seconds(0));
        assert_eq!(start(&mut queue, 0), Some(key("a")));
        queue.request(key("a"), seconds(0));
        assert_eq!(start(&mut queue, 0), None);
        assert_eq!(queue.next_due(), None);
        queue.finish(&key("a"));
        assert_eq!(start(&mut queue, 0), Some(key("a")));
    }

    #[test]
    fn the_longest_due_goes_first_and_it_is_known_how_late_it_is() {
        let mut queue = queue();
        queue.request(key("a"), seconds(2));
        queue.request(key("b"), seconds(1));
        queue.request(key("c"), seconds(9));
        let first = queue.start_next(seconds(3));
        assert_eq!(first, Some(Started { key: key("b"), late_by: seconds(2) }));
        assert_eq!(start(&mut queue, 3), Some(key("a")));
        assert_eq!(start(&mut queue, 3), None);
    }

    #[test]
    fn those_who_wait_for_the_dead_never_take_the_places_of_others() {
        let mut queue = queue();
        for dead in ["a", "b", "c"] {
            queue.set_slow(&key(dead), true);
            queue.request(key(dead), seconds(0));
        }
        queue.request(key("x"), seconds(1));
        queue.request(key("y"), seconds(1));
        assert_eq!(start(&mut queue, 1), Some(key("a")));
        assert_eq!(start(&mut queue, 1), Some(key("x")), "one place is for the dead");
        assert_eq!(start(&mut queue, 1), Some(key("y")));
        assert_eq!(start(&mut queue, 1), None);
        assert_eq!(queue.next_due(), None, "who has no place is not waited for by the clock");
        queue.finish(&key("x"));
        assert_eq!(start(&mut queue, 1), None, "nor is a free place of others taken");
        queue.finish(&key("a"));
        assert_eq!(start(&mut queue, 1), Some(key("b")));
        queue.set_slow(&key("c"), false);
        assert_eq!(start(&mut queue, 1), Some(key("c")), "who answers again is one of the others");
    }
}
