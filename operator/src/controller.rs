//! The loop: watches, a queue, and one owned task for each cluster that is being reconciled. `reconcile` is the whole
//! operator in five verbs; what they decide is in the core.

use crate::clock::SharedClock;
use crate::queue::Queue;
use crate::reconcile::{Next, Reconciler};
use crate::watch::{ClusterKey, triggers};
use futures::StreamExt;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinSet};

/// Pause after a change before the cluster is looked at, so that a burst of changes is looked at once.
const SETTLE: Duration = Duration::from_millis(20);

/// Pause after a failed reconcile.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// A reconcile that takes longer is given up: every call in it has a bound of its own, so this one is for our bugs.
const LONGEST_RECONCILE: Duration = Duration::from_secs(120);

/// What the controller needs besides the reconciler.
pub struct Controller {
    /// Watches, as opposed to calls.
    pub watch_client: kube::Client,
    /// Only this namespace, or all.
    pub namespace: Option<String>,
    /// How many clusters at once.
    pub concurrency: usize,
    /// Monotonic time for the queue.
    pub clock: SharedClock,
    /// What is run for each cluster.
    pub reconciler: Arc<Reconciler>,
}

impl Controller {
    /// Reconciles for ever. Dropping the future stops every reconcile at its next await point.
    pub async fn run(&self) {
        let mut triggers = pin!(triggers(&self.watch_client, self.namespace.as_deref()));
        let mut queue = Queue::default();
        let mut tasks = Tasks::default();
        loop {
            while tasks.set.len() < self.concurrency {
                let Some(key) = queue.start_next(self.clock.monotonic()) else { break };
                tasks.start(key, self.reconciler.clone());
            }
            let pause = match queue.next_due() {
                Some(due) if tasks.set.len() < self.concurrency => due.saturating_sub(self.clock.monotonic()),
                Some(_) | None => Duration::MAX,
            };
            tokio::select! {
                biased;
                Some((key, next)) = tasks.ended() => {
                    queue.finish(&key);
                    match next {
                        Next::After(pause) => queue.request(key, self.clock.monotonic() + pause),
                        Next::Forget => {}
                    }
                }
                Some(key) = triggers.next() => queue.request(key, self.clock.monotonic() + SETTLE),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// The reconciles that run, by cluster, so that one that panics is still known.
#[derive(Default)]
struct Tasks {
    set: JoinSet<Next>,
    keys: HashMap<Id, ClusterKey>,
}

impl Tasks {
    fn start(&mut self, key: ClusterKey, reconciler: Arc<Reconciler>) {
        let task_key = key.clone();
        let handle = self.set.spawn(async move {
            let reconcile = reconciler.reconcile(&task_key);
            tokio::time::timeout(LONGEST_RECONCILE, reconcile).await.unwrap_or_else(|_| {
                tracing::error!(cluster = %task_key, "a reconcile took too long and was given up");
                Next::After(AFTER_ERROR)
            })
        });
        self.keys.insert(handle.id(), key);
    }

    /// The next reconcile to end, or none if none runs.
    async fn ended(&mut self) -> Option<(ClusterKey, Next)> {
        let ended = self.set.join_next_with_id().await?;
        let (id, next) = match ended {
            Ok((id, next)) => (id, next),
            Err(error) => {
                tracing::error!(%error, "a reconcile panicked");
                (error.id(), Next::After(AFTER_ERROR))
            }
        };
        self.keys.remove(&id).map(|key| (key, next))
    }
}
