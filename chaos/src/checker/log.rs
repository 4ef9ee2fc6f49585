//! The committed log, indexed: what a key held at a revision, and where a value was written. Pure.

use std::collections::HashMap;

use crate::history::{CommittedChange, CommittedEvent, FinalRead, Key, Revision, Value};

/// The committed log of the load's keys as the final read told it.
pub(super) struct Log<'a> {
    by_key: HashMap<&'a Key, Vec<&'a CommittedEvent>>,
    by_value: HashMap<&'a Value, Vec<&'a CommittedEvent>>,
    /// The first revision that is covered.
    first: Revision,
    /// Whether nothing of the load is older than that.
    from_the_start: bool,
    covered: Option<Revision>,
}

/// What the log says about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<T> {
    /// It answers.
    Yes(T),
    /// The log does not reach there: it is cut, compacted, or was not read.
    No,
}

/// What a key held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held<'a> {
    pub(super) value: &'a Value,
    pub(super) modified_at: Revision,
    pub(super) version: u64,
}

impl<'a> Log<'a> {
    /// Indexes a log. `whole` says that the file was closed by its writer and has no gap.
    /// `load_began_at` is the store's revision before the load's first call, where that is known.
    pub(super) fn new(
        final_read: Option<&FinalRead>,
        events: &'a [CommittedEvent],
        whole: bool,
        load_began_at: Option<Revision>,
    ) -> Log<'a> {
        let mut by_key: HashMap<&Key, Vec<&CommittedEvent>> = HashMap::new();
        let mut by_value: HashMap<&Value, Vec<&CommittedEvent>> = HashMap::new();
        for event in events {
            by_key.entry(&event.key).or_default().push(event);
            if let CommittedChange::Put { value, .. } = &event.change {
                by_value.entry(value).or_default().push(event);
            }
        }
        for list in by_key.values_mut() {
            list.sort_by_key(|event| event.revision);
        }
        // The last revision of a cut log may have lost a part of its changes.
        let last_certain = events.last().map(|event| Revision(event.revision.0.saturating_sub(1)));
        let covered = match (final_read, whole) {
            (None, _) => None,
            (Some(read), true) => Some(read.revision),
            (Some(_), false) => last_certain,
        };
        let first = final_read.map_or(Revision(u64::MAX), |read| read.first_revision);
        let from_the_start = first <= load_began_at.map_or(Revision(1), |began| Revision(began.0 + 1));
        Log { by_key, by_value, first, from_the_start, covered }
    }

    /// Whether every change at this revision is in the log.
    pub(super) fn covers(&self, revision: Revision) -> bool {
        let reaches = self.from_the_start || self.first <= revision;
        self.covered.is_some_and(|covered| reaches && revision <= covered)
    }

    /// Whether every change of the load's keys, from the first on, is in the log.
    pub(super) fn is_from_the_start(&self) -> bool {
        self.covered.is_some() && self.from_the_start
    }

    /// What a key held once everything up to a revision, inclusive, was applied.
    pub(super) fn held_at(&self, key: &Key, revision: Revision) -> Known<Option<Held<'a>>> {
        let Some(covered) = self.covered.filter(|covered| revision <= *covered) else { return Known::No };
        debug_assert!(revision <= covered, "checked by the filter");
        let events = self.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        let until = events.partition_point(|event| event.revision <= revision);
        match until.checked_sub(1).map(|last| events[last]) {
            None if self.is_from_the_start() => Known::Yes(None),
            None => Known::No,
            Some(event) => Known::Yes(held(event)),
        }
    }

    /// Where a value was written. A value is written at most once by the load.
    pub(super) fn written(&self, value: &Value) -> &[&'a CommittedEvent] {
        self.by_value.get(value).map(Vec::as_slice).unwrap_or_default()
    }

    /// Each key with its changes by revision, in no order of keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&&'a Key, &Vec<&'a CommittedEvent>)> {
        self.by_key.iter()
    }
}

fn held(event: &CommittedEvent) -> Option<Held<'_>> {
    match &event.change {
        CommittedChange::Put { value, version } => {
            Some(Held { value, modified_at: event.revision, version: *version })
        }
        CommittedChange::Delete => None,
    }
}
