//! What one operator process remembers of a cluster from look to look. It may only make the operator slower, never bolder: a
//! process that has just started remembers nothing, and so waits for longer. Time comes in as an input, by the monotonic clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use crate::cluster::observed::WarnedKind;
use crate::cluster::plan::{Action, Concern, Hold, HoldReason, Plan, Planned, Setback, SetbackKind};
use crate::names::MemberName;

/// Looks that are further apart than this do not prove that nothing happened in between.
const LONGEST_GAP: Duration = Duration::from_secs(30);
/// What does not come up is asked about after this long: most of it comes up by itself.
const EXPLAIN_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// And then not more often than this.
const EXPLAIN_EVERY: Duration = Duration::from_secs(5);
/// Pause before a refused write is tried again; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest pause before a refused write is tried again: what refused it may have been changed.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// A change that is needed again within this time after it was made, and after any pause, has been undone.
const SOON: Duration = Duration::from_secs(3);
/// Changes of one object that may be undone one after the other before that is said and the next one waits.
const PATIENCE_WITH_OTHERS: u32 = 5;

/// How far something is, is not written more often than this.
const TELL_PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What is remembered of one cluster object.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    changes: BTreeMap<String, Change>,
    silence: Spells<MemberName>,
    cut_off: Spells<String>,
    setbacks: BTreeMap<Concern, Retry>,
    unchanged: Option<Unchanged>,
    observed_at: Option<Duration>,
    told_at: Option<Duration>,
    unexplained: Spells<(WarnedKind, String)>,
    explanations: Explanations,
    suspects_data: bool,
}

/// What Kubernetes said of objects, and when it was asked.
#[derive(Clone, Debug, Default)]
struct Explanations {
    asked_at: Option<Duration>,
    words: BTreeMap<(WarnedKind, String), String>,
}

/// For how long each of some facts has been seen at every look.
#[derive(Clone, Debug)]
struct Spells<K>(BTreeMap<K, (Duration, Duration)>);

impl<K> Default for Spells<K> {
    fn default() -> Self {
        Spells(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Spells<K> {
    /// Notes what is seen now, and says for how long each has been. A gap between looks begins anew.
    fn note(&mut self, now: Duration, seen: BTreeSet<K>) -> BTreeMap<K, SignedDuration> {
        let began = |key: &K| match self.0.get(key) {
            Some((began, last)) if now.saturating_sub(*last) <= LONGEST_GAP => *began,
            Some(_) | None => now,
        };
        self.0 = seen.into_iter().map(|key| (key.clone(), (began(&key), now))).collect();
        let lasted = |began: &Duration| {
            SignedDuration::try_from(now.saturating_sub(*began)).unwrap_or(SignedDuration::MAX)
        };
        self.0.iter().map(|(key, (began, _))| (key.clone(), lasted(began))).collect()
    }
}

/// A write that failed and is tried again later.
#[derive(Clone, Debug)]
struct Retry {
    setback: Setback,
    pause: Duration,
    not_before: Duration,
}

/// A change of one object that was made again and again.
#[derive(Clone, Debug)]
struct Change {
    what: String,
    times: u32,
    last: Duration,
}

/// A plan that has stayed the same.
#[derive(Clone, Debug)]
struct Unchanged {
    holds: Vec<(HoldReason, Option<String>)>,
    since: Duration,
}

impl Memory {
    /// Notes who is silent now, and says for how long each has been seen to be.
    pub fn note_silence(
        &mut self,
        now: Duration,
        silent: BTreeSet<MemberName>,
    ) -> BTreeMap<MemberName, SignedDuration> {
        self.silence.note(now, silent)
    }

    /// Notes which claims can be used nowhere now, and says for how long each has been seen to be.
    pub fn note_cut_off(
        &mut self,
        now: Duration,
        claims: BTreeSet<String>,
    ) -> BTreeMap<String, SignedDuration> {
        self.cut_off.note(now, claims)
    }

    /// Which objects' Events are to be read now, with their UIDs: of those that have not come up for a while, and not at every look.
    pub fn due_explanations(
        &mut self,
        now: Duration,
        objects: BTreeMap<(WarnedKind, String), String>,
    ) -> Option<BTreeMap<(WarnedKind, String), String>> {
        let waiting = self.unexplained.note(now, objects.keys().cloned().collect());
        self.explanations.words.retain(|object, _| waiting.contains_key(object));
        let is_late =
            |object: &(WarnedKind, String)| waiting.get(object).is_some_and(|since| *since >= EXPLAIN_AFTER);
        let for_long: BTreeMap<_, _> = objects.into_iter().filter(|(object, _)| is_late(object)).collect();
        let is_due = self.explanations.asked_at.is_none_or(|at| now.saturating_sub(at) >= EXPLAIN_EVERY);
        (is_due && !for_long.is_empty()).then_some(for_long)
    }

    /// Notes what Kubernetes said.
    pub fn note_explanations(&mut self, now: Duration, words: BTreeMap<(WarnedKind, String), String>) {
        self.explanations = Explanations { asked_at: Some(now), words };
    }

    /// What Kubernetes last said of objects that still have not come up.
    pub fn explanations(&self) -> BTreeMap<(WarnedKind, String), String> {
        self.explanations.words.clone()
    }

    /// Notes that members' data was seen to differ between two looks.
    pub fn note_suspicion(&mut self) {
        self.suspects_data = true;
    }

    /// Whether members' data is to be compared at this look because it was seen to differ, and has not been seen to be the same since.
    pub fn suspects_data(&self) -> bool {
        self.suspects_data
    }

    /// Notes that all voters' data was seen to be the same.
    pub fn note_same_data(&mut self) {
        self.suspects_data = false;
    }

    /// Notes that the cluster's objects were read.
    pub fn note_observed(&mut self, now: Duration) {
        self.observed_at = Some(now);
    }

    /// For how long the cluster's objects have not been read; since ever, for a process that has not read them yet, counts from
    /// the first time that this is asked.
    pub fn unobserved_for(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.observed_at.get_or_insert(now))
    }

    /// Notes that the status was written.
    pub fn note_told(&mut self, now: Duration) {
        self.told_at = Some(now);
    }

    /// Whether it is time to write how far something is, although it is no other fact.
    pub fn is_progress_due(&self, now: Duration) -> bool {
        self.told_at.is_none_or(|at| now.saturating_sub(at) >= TELL_PROGRESS_EVERY)
    }

    /// The failed write that keeps a concern from being acted on now, if one does.
    pub fn holds_back(&self, now: Duration, concern: &Concern) -> Option<&Setback> {
        self.setbacks.get(concern).filter(|retry| now < retry.not_before).map(|retry| &retry.setback)
    }

    /// Notes that an action failed.
    pub fn note_setback(&mut self, now: Duration, setback: &Setback) {
        match setback.kind {
            // The next look is the remedy, and it comes soon.
            SetbackKind::Overtaken | SetbackKind::NotOurs => {}
            SetbackKind::Refused(_) | SetbackKind::NotNow(_) | SetbackKind::Undone => {
                let before = self.setbacks.get(&setback.concern);
                let pause = before.map_or(FIRST_BACKOFF, |retry| (retry.pause * 2).min(LONGEST_BACKOFF));
                let retry = Retry { setback: setback.clone(), pause, not_before: now + pause };
                self.setbacks.insert(setback.concern.clone(), retry);
            }
        }
    }

    /// Notes that an action was carried out. If it is the same change of the same object as before, again and again, then somebody
    /// undoes it each time: a setback like a refusal.
    pub fn note_done(&mut self, now: Duration, planned: &Planned) -> Option<Setback> {
        let Action::Patch(patch) = &planned.action else { return None };
        let what = planned.action.to_string();
        let pause = self.setbacks.get(&planned.concern).map_or(Duration::ZERO, |retry| retry.pause);
        let before = self
            .changes
            .get(&patch.target.uid)
            .filter(|change| change.what == what && now.saturating_sub(change.last) <= pause + SOON);
        let times = before.map_or(1, |change| change.times.saturating_add(1));
        let change = Change { what: what.clone(), times, last: now };
        self.changes.insert(patch.target.uid.clone(), change);
        if times < PATIENCE_WITH_OTHERS {
            return None;
        }
        let setback = Setback { concern: planned.concern.clone(), what, kind: SetbackKind::Undone };
        self.note_setback(now, &setback);
        Some(setback)
    }

    /// UIDs of objects whose changes somebody undoes.
    pub fn undone(&self) -> BTreeSet<String> {
        let undone = self.changes.iter().filter(|(_, change)| change.times >= PATIENCE_WITH_OTHERS);
        undone.map(|(uid, _)| uid.clone()).collect()
    }

    /// Forgets the changes of objects that the plan leaves as they are.
    pub fn forget_changes(&mut self, plan: &Plan) {
        let is_planned = |uid: &String| {
            plan.actions
                .iter()
                .any(|one| matches!(&one.action, Action::Patch(patch) if patch.target.uid == *uid))
        };
        self.changes.retain(|uid, _| is_planned(uid));
    }

    /// Forgets what failed about anything that the plan has nothing to do about any more, or that has now succeeded.
    pub fn forget_setbacks(&mut self, is_over: impl Fn(&Concern) -> bool) {
        self.setbacks.retain(|concern, _| !is_over(concern));
    }

    /// For how long the operator has done nothing but wait for the same things. Zero after a look at which it acted.
    pub fn unchanged_for(&mut self, now: Duration, holds: &[Hold], has_acted: bool) -> Duration {
        let holds: Vec<_> = holds.iter().map(|hold| (hold.reason(), hold.about())).collect();
        let since = match &self.unchanged {
            Some(unchanged) if !has_acted && unchanged.holds == holds => unchanged.since,
            Some(_) | None => now,
        };
        self.unchanged = Some(Unchanged { holds, since });
        now.saturating_sub(since)
    }
}
