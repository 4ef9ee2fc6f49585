//! The loop: what watches tell, a queue, one owned task for each object that is looked at, and one for each that is watched between
//! two looks. What a look does is its kind's ([`crate::reconcile`]); what it decides is in the core.

use crate::audit::{self, Audit};
use crate::backup_kinds::run::BackupVerbs;
use crate::backup_kinds::schedule::ScheduleVerbs;
use crate::clock::SharedClock;
use crate::cluster::verbs::ClusterVerbs;
use crate::kubernetes::Clients;
use crate::metrics::Metrics;
use crate::queue::{Places, Queue};
use crate::reconcile::{Disturbed, Next, Reconciler, Vigil};
use crate::watch::told;
use etcd_operator_core::key::{Key, OwnKind};
use etcd_operator_core::seen::Seen;
use futures::StreamExt;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, Id, JoinSet};

/// Pause after a change before the object is looked at, so that a burst of changes is looked at once.
const SETTLE: Duration = Duration::from_millis(20);

/// A pass that takes longer is given up: every call in it has a bound of its own, so this one is for our bugs.
const LONGEST_PASS: Duration = Duration::from_secs(120);

/// How many more looks may wait for somebody who does not answer than may go on otherwise: those do next to nothing.
const SLOW_FOR_EACH: usize = 2;

/// What the controller needs besides the reconcilers.
pub struct Controller {
    /// For watches, and for checking on them.
    pub clients: Clients,
    /// Only this namespace, or all.
    pub namespace: Option<String>,
    /// How many objects at once.
    pub concurrency: usize,
    /// How often watched objects are read to check on the watches.
    pub audit: Audit,
    /// Monotonic time for the queue.
    pub clock: SharedClock,
    /// Counts how late looks begin.
    pub metrics: Metrics,
    /// What is run for each object.
    pub reconcilers: Reconcilers,
}

/// One for each kind.
#[derive(Clone)]
pub struct Reconcilers {
    /// Of `EtcdCluster`.
    pub clusters: Arc<Reconciler<ClusterVerbs>>,
    /// Of `EtcdBackup`.
    pub backups: Arc<Reconciler<BackupVerbs>>,
    /// Of `EtcdBackupSchedule`.
    pub schedules: Arc<Reconciler<ScheduleVerbs>>,
}

impl Reconcilers {
    async fn reconcile(&self, key: &Key) -> Next {
        match key.kind {
            OwnKind::EtcdCluster => self.clusters.reconcile(key).await,
            OwnKind::EtcdBackup => self.backups.reconcile(key).await,
            OwnKind::EtcdBackupSchedule => self.schedules.reconcile(key).await,
        }
    }
}

impl Controller {
    /// Reconciles for ever. Dropping the future stops every pass at its next await point.
    pub async fn run(&self) {
        let mut told = pin!(told(&self.clients.watches, self.namespace.as_deref()));
        let mut seen = Seen::default();
        let mut audits = JoinSet::new();
        let mut next_audit = self.clock.monotonic() + self.audit.pause(0);
        let mut looks = self.looks();
        loop {
            self.start_looks(&mut looks);
            let now = self.clock.monotonic();
            if audits.is_empty() && now >= next_audit {
                next_audit = now + self.audit.pause(seen.len());
                seen.next_to_audit().map(|name| audits.spawn(audit::read(self.clients.calls.clone(), name)));
            }
            // While one object is read, the next read is not due, however long the answer takes.
            let audit_due = audits.is_empty().then_some(next_audit);
            let wake_at = [looks.queue.next_due(), audit_due].into_iter().flatten().min();
            let pause = wake_at.map_or(Duration::MAX, |at| at.saturating_sub(now));
            tokio::select! {
                biased;
                Some((key, next)) = looks.passes.ended() => looks.ended(key, next, &mut seen, self.clock.monotonic()),
                Some((key, disturbed)) = looks.vigils.ended() => looks.disturbed(key, disturbed, self.clock.monotonic()),
                Some(told) = told.next() => looks.request(seen.tell(told), self.clock.monotonic()),
                Some(found) = audits.join_next() => {
                    if let Ok(Some((name, version))) = found {
                        looks.request(seen.audit(&name, version), self.clock.monotonic());
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn looks(&self) -> Looks {
        let places = Places { quick: self.concurrency, slow: self.concurrency * SLOW_FOR_EACH };
        Looks { queue: Queue::new(places), passes: Passes::default(), vigils: Vigils::default() }
    }

    fn start_looks(&self, looks: &mut Looks) {
        while let Some(started) = looks.queue.start_next(self.clock.monotonic()) {
            self.metrics.began_late(started.late_by);
            looks.vigils.end(&started.key);
            looks.passes.start(started.key, self.reconcilers.clone());
        }
    }
}

/// Which objects are looked at, which are watched meanwhile, and which wait.
struct Looks {
    queue: Queue,
    passes: Passes,
    vigils: Vigils,
}

impl Looks {
    fn request(&mut self, keys: impl IntoIterator<Item = Key>, now: Duration) {
        for key in keys {
            self.queue.request(key, now + SETTLE);
        }
    }

    fn ended(&mut self, key: Key, next: Next, seen: &mut Seen, now: Duration) {
        self.queue.finish(&key);
        match next {
            Next::Look { after, vigil, read, is_slow, wakes } => {
                self.request(wakes, now);
                seen.learn(read, &key);
                self.queue.set_slow(&key, is_slow);
                if let Some(after) = after {
                    self.queue.request(key.clone(), now + after);
                }
                if let Some(vigil) = vigil {
                    self.vigils.start(key, vigil);
                }
            }
            Next::Forget => self.queue.forget(&key),
        }
    }

    fn disturbed(&mut self, key: Key, disturbed: Disturbed, now: Duration) {
        tracing::debug!(object = %key, why = disturbed.why, "looks early");
        if disturbed.may_be_slow {
            self.queue.set_slow(&key, true);
        }
        self.queue.request(key, now);
    }
}

/// The passes that run, by object, so that one that panics is still known.
#[derive(Default)]
struct Passes {
    set: JoinSet<Next>,
    keys: HashMap<Id, Key>,
}

impl Passes {
    fn start(&mut self, key: Key, reconcilers: Reconcilers) {
        let task_key = key.clone();
        let handle = self.set.spawn(async move {
            let pass = reconcilers.reconcile(&task_key);
            tokio::time::timeout(LONGEST_PASS, pass).await.unwrap_or_else(|_| {
                tracing::error!(object = %task_key, "a reconcile took too long and was given up");
                Next::after_error()
            })
        });
        self.keys.insert(handle.id(), key);
    }

    /// The next pass to end, or none if none runs.
    async fn ended(&mut self) -> Option<(Key, Next)> {
        let ended = self.set.join_next_with_id().await?;
        let (id, next) = match ended {
            Ok((id, next)) => (id, next),
            Err(error) => {
                tracing::error!(%error, "a reconcile panicked");
                (error.id(), Next::after_error())
            }
        };
        self.keys.remove(&id).map(|key| (key, next))
    }
}

/// The vigils that go on, by object.
#[derive(Default)]
struct Vigils {
    set: JoinSet<Disturbed>,
    handles: HashMap<Key, AbortHandle>,
    keys: HashMap<Id, Key>,
}

impl Vigils {
    fn start(&mut self, key: Key, vigil: Vigil) {
        let handle = self.set.spawn(vigil);
        self.keys.insert(handle.id(), key.clone());
        self.handles.insert(key, handle);
    }

    fn end(&mut self, key: &Key) {
        if let Some(handle) = self.handles.remove(key) {
            self.keys.remove(&handle.id());
            handle.abort();
        }
    }

    /// The next that was disturbed, or none if none goes on. One that panicked is as good as disturbed.
    async fn ended(&mut self) -> Option<(Key, Disturbed)> {
        loop {
            let (id, disturbed) = match self.set.join_next_with_id().await? {
                Ok((id, disturbed)) => (id, disturbed),
                Err(error) if error.is_cancelled() => continue,
                Err(error) => {
                    tracing::error!(%error, "a vigil panicked");
                    (error.id(), Disturbed { why: "a vigil panicked".to_owned(), may_be_slow: false })
                }
            };
            // Of one that a look has ended meanwhile nothing is known any more.
            if let Some(key) = self.keys.remove(&id) {
                self.handles.remove(&key);
                return Some((key, disturbed));
            }
        }
    }
}
