//! The bounded history of one resource, from which watches are replayed.
//!
//! Never blocks and never notifies: a watcher asks again when the store's revision has grown.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::ObjectKey;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It did not exist before.
    Added,
    /// It replaced an earlier state.
    Modified,
    /// It was removed; the change carries its last state.
    Deleted,
}

/// One write, at one revision.
#[derive(Clone, Debug)]
pub struct Change {
    /// The store's revision after this write.
    pub revision: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// To which object.
    pub key: ObjectKey,
    /// The new state, or the last one of a deleted object (with the deletion's revision).
    pub object: Arc<Value>,
    /// The state before, if there was one.
    pub previous: Option<Arc<Value>>,
}

/// The history asked for is gone; the answer to the client is 410 `Expired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Compacted {
    /// The revision that was asked for.
    pub asked: u64,
    /// The oldest revision from which changes can still be replayed.
    pub oldest: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ChangeLog {
    changes: VecDeque<Change>,
    length: usize,
    /// Changes at or below this revision have been dropped.
    compacted: u64,
}

impl ChangeLog {
    pub(super) fn new(length: usize) -> Self {
        Self { changes: VecDeque::new(), length: length.max(1), compacted: 0 }
    }

    pub(super) fn begin(&mut self, revision: u64) {
        self.compacted = revision;
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
        while self.changes.len() > self.length {
            self.compacted = self.changes.pop_front().map_or(self.compacted, |dropped| dropped.revision);
        }
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.changes.back().map_or(self.compacted, |newest| newest.revision);
        self.changes.clear();
    }

    pub(super) fn since(&self, revision: u64) -> Result<Vec<Change>, Compacted> {
        if revision < self.compacted {
            return Err(Compacted { asked: revision, oldest: self.compacted });
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(first..).cloned().collect())
    }
}
