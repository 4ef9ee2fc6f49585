//! Watches that are stale on purpose: whoever keeps a cache must survive that it lags behind, lacks something or is told it again.
//! Lists and reads stay true. Pure; when the watch goes on is decided in [`super::serve`].

use std::time::Duration;

use super::watch::WatchEvent;

/// What is wrong with the watches of a server; nothing, unless it is said. What a watch begins with is not touched: only what
/// happens afterwards is late, lost or repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StaleWatches {
    /// Each change is told this much later.
    pub lag: Duration,
    /// Every so many changes, one is never told: 1 loses all of them, 0 none.
    pub lose_every: u64,
    /// Each change is told twice.
    pub repeat: bool,
}

impl StaleWatches {
    /// What of these changes is told, where `told` were before them on this server.
    pub(super) fn distort(self, events: Vec<WatchEvent>, told: &mut u64) -> Vec<WatchEvent> {
        let mut distorted = Vec::with_capacity(events.len());
        for event in events {
            *told += 1;
            if self.lose_every > 0 && told.is_multiple_of(self.lose_every) {
                continue;
            }
            if self.repeat {
                distorted.push(event.clone());
            }
            distorted.push(event);
        }
        distorted
    }
}
