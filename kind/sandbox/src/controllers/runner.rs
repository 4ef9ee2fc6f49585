//! The one loop behind all controllers: take in what the watches say, ask the controllers whose input changed, make
//! their writes, take in the answers, until nobody wants anything more; then wait for news or for the next due time.
//!
//! A controller whose write was refused is asked again when news of its input comes, and after a pause that grows, so
//! that a lasting refusal costs little and a passing one is not waited out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::execute::{self, ExecuteError, Learned, Told};
use super::reflector::Observation;
use super::snapshot::{Kind, Snapshot};
use super::write::{Announcement, REFUSAL, Write};
use super::{CONTROLLERS, Controller};
use crate::apiserver::inputs::Clock;

const FIRST_PAUSE: SignedDuration = SignedDuration::from_millis(20);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// Sleeping this long without a reason is harmless: news ends the sleep.
const IDLE: Duration = Duration::from_secs(3600);

/// The state of the loop.
pub(crate) struct Runner {
    client: Client,
    clock: Arc<dyn Clock>,
    news: UnboundedReceiver<Observation>,
    snapshot: Snapshot,
    listed: BTreeSet<Kind>,
    /// The controllers to be asked, by their place in the list.
    dirty: BTreeSet<usize>,
    /// When each controller wants to be asked although nothing has changed.
    due: BTreeMap<usize, Timestamp>,
    /// The pause after the last refusal, for each controller that was refused.
    pauses: BTreeMap<usize, SignedDuration>,
    /// The Events that told of refusals and of lasting states, by the uid of what they are about and their words.
    told: BTreeMap<(String, String), Told>,
}

impl Runner {
    pub(crate) fn new(client: Client, clock: Arc<dyn Clock>, news: UnboundedReceiver<Observation>) -> Runner {
        Runner {
            client,
            clock,
            news,
            snapshot: Snapshot::default(),
            listed: BTreeSet::new(),
            dirty: (0..CONTROLLERS.len()).collect(),
            due: BTreeMap::new(),
            pauses: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Runs until all watches are gone.
    pub(crate) async fn run(mut self) {
        while self.wait().await {
            // Nothing is decided on half of the truth.
            if self.listed.len() == Kind::ALL.len() {
                self.ask_all().await;
            }
        }
    }

    /// Waits for news or for a due time; false when there will never be news again.
    async fn wait(&mut self) -> bool {
        let pause = self.until_due();
        let first = tokio::select! {
            biased;
            observation = self.news.recv() => Some(observation),
            () = sleep(pause) => None,
        };
        match first {
            Some(Some(observation)) => self.take_in(observation),
            Some(None) => return false,
            None => {}
        }
        self.take_in_waiting();
        self.mark_due();
        true
    }

    fn until_due(&self) -> Duration {
        let next = self.due.values().min();
        let left = next.map(|due| due.duration_since(self.clock.now()));
        left.map_or(IDLE, |left| Duration::try_from(left).unwrap_or(Duration::ZERO))
    }

    fn mark_due(&mut self) {
        let now = self.clock.now();
        let arrived: Vec<usize> =
            self.due.iter().filter(|(_, due)| **due <= now).map(|(index, _)| *index).collect();
        for index in arrived {
            self.due.remove(&index);
            self.dirty.insert(index);
        }
    }

    fn take_in_waiting(&mut self) {
        while let Ok(observation) = self.news.try_recv() {
            self.take_in(observation);
        }
    }

    fn take_in(&mut self, observation: Observation) {
        match observation {
            Observation::Listed { kind, resource_version, objects } => {
                self.snapshot.replace(kind, resource_version, objects);
                self.listed.insert(kind);
                self.mark(kind);
            }
            Observation::Applied(object) => {
                let kind = object.kind();
                if self.snapshot.apply(object) {
                    self.mark(kind);
                }
            }
            Observation::Gone(object) => {
                // Whether or not the snapshot knew it, the end of an object may be what a controller waits for.
                self.snapshot.forget(&object);
                self.mark(object.kind());
            }
        }
    }

    fn learn(&mut self, learned: Learned) {
        let changed = match learned {
            Learned::Exists(object) => {
                let kind = object.kind();
                self.snapshot.apply(object).then_some(kind)
            }
            Learned::Gone(kind, key, uid) => self.snapshot.bury(kind, &key, &uid).then_some(kind),
            Learned::Nothing => None,
        };
        changed.into_iter().for_each(|kind| self.mark(kind));
    }

    fn mark(&mut self, kind: Kind) {
        let readers =
            CONTROLLERS.iter().enumerate().filter(|(_, controller)| controller.reads.contains(&kind));
        self.dirty.extend(readers.map(|(index, _)| index));
    }

    async fn ask_all(&mut self) {
        while let Some(index) = self.dirty.pop_first() {
            self.ask(index, &CONTROLLERS[index]).await;
            self.take_in_waiting();
        }
    }

    async fn ask(&mut self, index: usize, controller: &Controller) {
        let outcome = (controller.reconcile)(&self.snapshot, self.clock.now());
        self.due.remove(&index);
        let (mut refused, mut last_made) = (false, true);
        for write in &outcome.writes {
            // What follows a refused write was not refused itself, and is decided anew with it.
            last_made = if write.follows && !last_made { false } else { self.make(controller, write).await };
            refused |= !last_made;
        }
        for remark in &outcome.remarks {
            self.remark(controller, remark).await;
        }
        if let Some(due) = outcome.due {
            self.due.insert(index, due);
        }
        self.pace(index, refused);
    }

    /// Makes one write; says whether it was made.
    async fn make(&mut self, controller: &Controller, write: &Write) -> bool {
        match execute::execute(&self.client, write).await {
            Ok(learned) => {
                let name = match &learned {
                    Learned::Exists(object) => Some(object.name()),
                    Learned::Gone(..) | Learned::Nothing => None,
                };
                self.learn(learned);
                let now = self.clock.now();
                execute::announce(&self.client, controller.name, write, name.as_deref(), now).await;
                true
            }
            Err(error) => {
                report(controller, write, &error);
                self.complain(controller, write, &error).await;
                false
            }
        }
    }

    /// Tells the user of a refusal. What was told before is counted, not told again.
    async fn complain(&mut self, controller: &Controller, write: &Write, error: &ExecuteError) {
        let (Some(complaint), Some(refusal)) = (&write.complaint, error.refusal()) else { return };
        let message = complaint.message.replace(REFUSAL, refusal);
        let complaint = Announcement { message, ..complaint.clone() };
        let key = (complaint.about.uid.clone(), complaint.message.clone());
        let now = self.clock.now();
        let told = self.told.get(&key).cloned();
        let told = match told {
            Some(told) => execute::tell_again(&self.client, &complaint, told, now).await,
            None => None,
        };
        let told = match told {
            Some(told) => Some(told),
            None => execute::tell(&self.client, controller.name, &complaint, now).await,
        };
        if let Some(told) = told {
            self.told.insert(key, told);
        }
    }

    /// Tells the user of a state, unless that was done before.
    async fn remark(&mut self, controller: &Controller, remark: &Announcement) {
        let key = (remark.about.uid.clone(), remark.message.clone());
        if self.told.contains_key(&key) {
            return;
        }
        let told = execute::tell(&self.client, controller.name, remark, self.clock.now()).await;
        if let Some(told) = told {
            self.told.insert(key, told);
        }
    }

    /// After a refusal the controller is asked again, later each time.
    fn pace(&mut self, index: usize, refused: bool) {
        if !refused {
            self.pauses.remove(&index);
            return;
        }
        let pause = self.pauses.get(&index).map_or(FIRST_PAUSE, |pause| (*pause * 2).min(LONGEST_PAUSE));
        self.pauses.insert(index, pause);
        let again = self.clock.now().saturating_add(pause).unwrap_or(Timestamp::MAX);
        let due = self.due.get(&index).map_or(again, |due| again.min(*due));
        self.due.insert(index, due);
    }
}

fn report(controller: &Controller, write: &Write, error: &ExecuteError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error {
        ExecuteError::Outdated(_) | ExecuteError::OwnerLeaves => {
            tracing::debug!(controller = controller.name, cause, "will look again")
        }
        ExecuteError::Client(_) | ExecuteError::Slow | ExecuteError::Answer(_) => {
            tracing::warn!(controller = controller.name, action = ?write.action, %error, cause, "a write was not made");
        }
    }
}
