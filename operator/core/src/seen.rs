//! What watches have told: of each object whose it is and which version of it was the last. That may lag behind the truth, lack
//! something of it or repeat itself, so it says one thing only: which of the operator's own objects to look at. Nothing of an object's
//! content is kept, so no plan can be made from here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::key::{Key, OwnKind};
use crate::names::{LABEL_BACKUP, LABEL_BACKUP_SCHEDULE, LABEL_CLUSTER, LABEL_RESTORED};

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchedKind {
    /// The operator's own.
    EtcdCluster,
    /// The operator's own.
    EtcdBackup,
    /// The operator's own.
    EtcdBackupSchedule,
    /// One for each backup that somebody asked for.
    Job,
    /// One for each schedule.
    CronJob,
    /// Those that CronJobs have made.
    ScheduledJob,
    /// Those that restore the first member of a cluster.
    RestoreJob,
    /// One for each member.
    StatefulSet,
    /// One for each member.
    Pod,
    /// One for each member.
    PersistentVolumeClaim,
    /// Two for each cluster.
    Service,
    /// One for each cluster.
    PodDisruptionBudget,
}

impl WatchedKind {
    /// Every kind.
    pub const ALL: [WatchedKind; 12] = [
        WatchedKind::EtcdCluster,
        WatchedKind::EtcdBackup,
        WatchedKind::EtcdBackupSchedule,
        WatchedKind::Job,
        WatchedKind::CronJob,
        WatchedKind::ScheduledJob,
        WatchedKind::RestoreJob,
        WatchedKind::StatefulSet,
        WatchedKind::Pod,
        WatchedKind::PersistentVolumeClaim,
        WatchedKind::Service,
        WatchedKind::PodDisruptionBudget,
    ];

    /// Whose its objects are.
    pub fn whose(self) -> Whose {
        match self {
            WatchedKind::EtcdCluster => Whose::Own(OwnKind::EtcdCluster),
            WatchedKind::EtcdBackup => Whose::Own(OwnKind::EtcdBackup),
            WatchedKind::EtcdBackupSchedule => Whose::Own(OwnKind::EtcdBackupSchedule),
            WatchedKind::Job => Whose::Labelled(OwnKind::EtcdBackup, LABEL_BACKUP),
            WatchedKind::CronJob | WatchedKind::ScheduledJob => {
                Whose::Labelled(OwnKind::EtcdBackupSchedule, LABEL_BACKUP_SCHEDULE)
            }
            WatchedKind::RestoreJob => Whose::Labelled(OwnKind::EtcdCluster, LABEL_RESTORED),
            WatchedKind::StatefulSet
            | WatchedKind::Pod
            | WatchedKind::PersistentVolumeClaim
            | WatchedKind::Service
            | WatchedKind::PodDisruptionBudget => Whose::Labelled(OwnKind::EtcdCluster, LABEL_CLUSTER),
        }
    }
}

/// Whose the objects of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// They are the operator's own, of this kind.
    Own(OwnKind),
    /// Each goes with the object of this kind that its label names; those without the label are nobody's.
    Labelled(OwnKind, &'static str),
}

impl Whose {
    /// The kind whose they are.
    pub fn kind(self) -> OwnKind {
        match self {
            Whose::Own(kind) | Whose::Labelled(kind, _) => kind,
        }
    }
}

/// A watched object by its key in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its kind.
    pub kind: WatchedKind,
    /// `metadata.namespace`.
    pub namespace: Box<str>,
    /// `metadata.name`.
    pub name: Box<str>,
}

/// One state of an object. Versions are compared for being the same and nothing else: their order is the API server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// All objects of a kind follow, from the first on.
    ListBegins(WatchedKind),
    /// All have been told of; what has not is gone.
    ListEnds(WatchedKind),
    /// An object is there, in this version.
    Is(ObjectName, Version, Key),
    /// An object is gone, or has left the selection.
    Gone(ObjectName),
    /// The watch failed; it is tried again.
    Failed(WatchedKind),
}

/// A watch that failed so often, and told nothing meanwhile, is no passing trouble: looks must find out whether anything can be read,
/// because nobody may be told that all is well by an operator that sees nothing.
const FAILURES_THAT_COUNT: u32 = 3;

/// What all watches have told so far. Nobody can plan from it:
///
/// ```compile_fail,E0308
/// # use etcd_operator_core::{cluster::{desired::Desired, plan}, seen::Seen};
/// fn act_on_what_a_cache_said(seen: &Seen, desired: &Desired) -> plan::Plan {
///     plan::plan(seen, desired)
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Seen {
    objects: BTreeMap<ObjectName, (Version, Key)>,
    /// By kind: the objects that the list that goes on has not named yet.
    unlisted: BTreeMap<WatchedKind, BTreeSet<ObjectName>>,
    /// How often each watch has failed since it told something last.
    failures: BTreeMap<WatchedKind, u32>,
    /// The object that was read last to check on the watches.
    audited: Option<ObjectName>,
}

impl Seen {
    /// Takes in what was told, and says what is to be looked at: nothing, if it was known.
    pub fn tell(&mut self, told: Told) -> BTreeSet<Key> {
        match &told {
            Told::ListEnds(kind) => drop(self.failures.remove(kind)),
            Told::Is(name, ..) | Told::Gone(name) => drop(self.failures.remove(&name.kind)),
            // A list that begins may fail again.
            Told::ListBegins(_) | Told::Failed(_) => {}
        }
        match told {
            Told::ListBegins(kind) => {
                let known = self.objects.keys().filter(|name| name.kind == kind).cloned();
                self.unlisted.insert(kind, known.collect());
                BTreeSet::new()
            }
            Told::ListEnds(kind) => {
                let gone = self.unlisted.remove(&kind).unwrap_or_default();
                gone.into_iter().filter_map(|name| self.forget(&name)).collect()
            }
            Told::Is(name, version, of) => self.note(name, version, of),
            Told::Gone(name) => self.forget(&name).into_iter().collect(),
            Told::Failed(kind) => {
                let failures = self.failures.entry(kind).or_default();
                *failures += 1;
                let counts = failures.is_multiple_of(FAILURES_THAT_COUNT);
                // A kind that cannot be watched, as where rights to it lack, says nothing about objects of others.
                let concerned = kind.whose().kind();
                let of = self.objects.values().map(|(_, of)| of).filter(|of| counts && of.kind == concerned);
                of.cloned().collect()
            }
        }
    }

    /// Takes in what a look has read live. What is known already stays as it was told; what no watch has told of is known from now on, so
    /// that it is audited too.
    pub fn learn(&mut self, objects: impl IntoIterator<Item = (ObjectName, Version)>, of: &Key) {
        for (name, version) in objects {
            self.objects.entry(name).or_insert_with(|| (version, of.clone()));
        }
    }

    /// The object whose turn it is to be read by itself, to find what watches have missed: one after the other, for ever.
    pub fn next_to_audit(&mut self) -> Option<ObjectName> {
        let after = self.audited.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.objects.range((after, Bound::Unbounded)).next();
        self.audited = next.or_else(|| self.objects.iter().next()).map(|(name, _)| name.clone());
        self.audited.clone()
    }

    /// Takes in what a read has found, and says what is to be looked at: nothing, if the watches had told the same.
    pub fn audit(&mut self, name: &ObjectName, found: Option<Version>) -> BTreeSet<Key> {
        // What a watch has taken back meanwhile is its own news.
        let Some((known, of)) = self.objects.get(name) else { return BTreeSet::new() };
        match found {
            Some(found) if found == *known => BTreeSet::new(),
            Some(found) => {
                let of = of.clone();
                self.note(name.clone(), found, of)
            }
            None => self.forget(name).into_iter().collect(),
        }
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn note(&mut self, name: ObjectName, version: Version, of: Key) -> BTreeSet<Key> {
        if let Some(unlisted) = self.unlisted.get_mut(&name.kind) {
            unlisted.remove(&name);
        }
        let before = self.objects.insert(name, (version.clone(), of.clone()));
        match before {
            Some((known, whose)) if known == version && whose == of => BTreeSet::new(),
            Some((_, whose)) => [whose, of].into(),
            None => [of].into(),
        }
    }

    fn forget(&mut self, name: &ObjectName) -> Option<Key> {
        self.objects.remove(name).map(|(_, of)| of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> ObjectName {
        ObjectName { kind: WatchedKind::Pod, namespace: "ns".into(), name: name.into() }
    }

    fn version(version: &str) -> Version {
        Version { uid: "uid".into(), resource_version: version.into() }
    }

    fn key(name: &str) -> Key {
        Key::of_cluster("ns", name)
    }

    fn is(pod: &str, at: &str, of: &str) -> Told {
        Told::Is(name(pod), version(at), key(of))
    }

    #[test]
    fn what_is_told_twice_is_looked_at_once() {
        let mut seen = Seen::default();
        assert_eq!(seen.tell(is("a", "1", "c")), [key("c")].into());
        assert_eq!(seen.tell(is("a", "1", "c")), [].into());
        assert_eq!(seen.tell(is("a", "2", "c")), [key("c")].into());
        assert_eq!(seen.tell(Told::Gone(name("a"))), [key("c")].into());
        assert_eq!(seen.tell(Told::Gone(name("a"))), [].into());
    }

    #[test]
    fn an_object_that_changes_hands_concerns_both() {
        let mut seen = Seen::default();
        seen.tell(is("a", "1", "c"));
        assert_eq!(seen.tell(is("a", "2", "d")), [key("c"), key("d")].into());
    }

    #[test]
    fn what_a_new_list_lacks_is_gone_and_what_it_repeats_is_no_news() {
        let mut seen = Seen::default();
        for pod in ["a", "b"] {
            seen.tell(is(pod, "1", pod));
        }
        assert_eq!(seen.tell(Told::ListBegins(WatchedKind::Pod)), [].into());
        assert_eq!(seen.tell(is("b", "1", "b")), [].into());
        assert_eq!(seen.tell(is("c", "1", "c")), [key("c")].into());
        assert_eq!(seen.tell(Told::ListEnds(WatchedKind::Pod)), [key("a")].into());
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn what_only_a_look_has_seen_is_audited_and_what_a_watch_has_told_stays() {
        let mut seen = Seen::default();
        seen.tell(is("a", "2", "c"));
        seen.learn([(name("a"), version("1")), (name("b"), version("1"))], &key("c"));
        assert_eq!(seen.audit(&name("a"), Some(version("2"))), [].into());
        assert_eq!(seen.audit(&name("b"), None), [key("c")].into());
    }

    #[test]
    fn a_watch_that_goes_on_failing_makes_everybody_be_looked_at() {
        let mut seen = Seen::default();
        seen.tell(is("a", "1", "c"));
        let fail = |seen: &mut Seen| {
            seen.tell(Told::ListBegins(WatchedKind::Pod));
            seen.tell(Told::Failed(WatchedKind::Pod))
        };
        assert_eq!((fail(&mut seen), fail(&mut seen)), ([].into(), [].into()));
        assert_eq!(fail(&mut seen), [key("c")].into());
        assert_eq!((fail(&mut seen), fail(&mut seen)), ([].into(), [].into()));
        seen.tell(is("a", "1", "c"));
        assert_eq!(fail(&mut seen), [].into(), "it had told something");
    }

    #[test]
    fn a_kind_that_cannot_be_watched_makes_nobody_look_at_objects_of_others() {
        let mut seen = Seen::default();
        seen.tell(is("a", "1", "c"));
        let told: Vec<_> = (0..9).map(|_| seen.tell(Told::Failed(WatchedKind::CronJob))).collect();
        assert_eq!(told, vec![BTreeSet::new(); 9]);
    }

    #[test]
    fn each_object_has_its_turn_to_be_read_and_a_difference_is_looked_at() {
        let mut seen = Seen::default();
        assert_eq!(seen.next_to_audit(), None);
        for pod in ["a", "b"] {
            seen.tell(is(pod, "1", pod));
        }
        let turns: Vec<_> = (0..3).filter_map(|_| seen.next_to_audit()).collect();
        assert_eq!(turns, [name("a"), name("b"), name("a")]);
        assert_eq!(seen.audit(&name("a"), Some(version("1"))), [].into());
        assert_eq!(seen.audit(&name("a"), Some(version("2"))), [key("a")].into());
        assert_eq!(seen.audit(&name("b"), None), [key("b")].into());
        assert_eq!(seen.audit(&name("b"), Some(version("3"))), [].into(), "a watch will tell of it");
    }
}
