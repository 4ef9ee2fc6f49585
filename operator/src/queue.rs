//! Which cluster is reconciled when: each at most once at a time, soon after a change and again after a while. It
//! holds no task and asks no clock.

use crate::watch::ClusterKey;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Clusters that wait, clusters that run, and clusters that changed while they ran.
#[derive(Debug, Default)]
pub struct Queue {
    due: BTreeMap<ClusterKey, Duration>,
    running: BTreeSet<ClusterKey>,
}

impl Queue {
    /// Wants a cluster looked at no later than `at`. An earlier wish stands.
    pub fn request(&mut self, key: ClusterKey, at: Duration) {
        self.due.entry(key).and_modify(|due| *due = at.min(*due)).or_insert(at);
    }

    /// Takes the cluster that has been due longest at `now` and does not run, and marks it as running.
    pub fn start_next(&mut self, now: Duration) -> Option<ClusterKey> {
        let (_, key) = self.waiting().filter(|(due, _)| *due <= now).min()?;
        let key = key.clone();
        self.due.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    /// A cluster's reconcile ended.
    pub fn finish(&mut self, key: &ClusterKey) {
        self.running.remove(key);
    }

    /// When the next cluster will be due, if one waits.
    pub fn next_due(&self) -> Option<Duration> {
        self.waiting().map(|(due, _)| due).min()
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    fn waiting(&self) -> impl Iterator<Item = (Duration, &ClusterKey)> {
        self.due.iter().filter(|(key, _)| !self.running.contains(*key)).map(|(key, due)| (*due, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ClusterKey {
        ClusterKey { namespace: "ns".to_owned(), name: name.to_owned() }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn an_earlier_request_replaces_a_later_one_and_not_the_reverse() {
        let mut queue = Queue::default();
        queue.request(key("a"), seconds(5));
        queue.request(key("a"), seconds(1));
        queue.request(key("a"), seconds(9));
        assert_eq!(queue.next_due(), Some(seconds(1)));
    }

    #[test]
    fn a_cluster_that_changes_while_it_runs_runs_again_afterwards_and_never_twice_at_once() {
        let mut queue = Queue::default();
        queue.request(key("a"), seconds(0));
        assert_eq!(queue.start_next(seconds(0)), Some(key("a")));
        queue.request(key("a"), seconds(0));
        assert_eq!(queue.start_next(seconds(0)), None);
        assert_eq!(queue.next_due(), None);
        queue.finish(&key("a"));
        assert_eq!(queue.start_next(seconds(0)), Some(key("a")));
    }

    #[test]
    fn the_longest_due_goes_first() {
        let mut queue = Queue::default();
        queue.request(key("a"), seconds(2));
        queue.request(key("b"), seconds(1));
        queue.request(key("c"), seconds(9));
        assert_eq!(queue.start_next(seconds(3)), Some(key("b")));
        assert_eq!(queue.start_next(seconds(3)), Some(key("a")));
        assert_eq!(queue.start_next(seconds(3)), None);
    }
}
