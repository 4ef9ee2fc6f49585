//! An operator that looks only when it is told to, or notices something: by watches that lose, delay and repeat what happens, by what
//! members answer between two looks, and by an audit of the watches. The world comes to rest all the same, whatever goes wrong, and no
//! rule of the model is broken on the way.

use std::collections::{BTreeMap, VecDeque};

use etcd_operator_core::cluster::observed::{Answer, LinearizableRead, Observed};
use etcd_operator_core::cluster::pace::{Done, Pace, pace};
use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_core::cluster::vigil::{EtcdView, HealthAnswer, Vigil};
use etcd_operator_core::key::Key;
use etcd_operator_core::names::LABEL_CLUSTER;
use etcd_operator_core::seen::{ObjectName, Seen, Told, Version, WatchedKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proptest::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::converge::{Trouble, assert_as_specified, spec, strike, trouble};
use super::model::{Fault, Model, lines};

/// Seconds that go by at once; and between two questions to each member.
const STEP: u64 = 3;
/// Seconds between two questions to etcd.
const ETCD_EVERY: u64 = 30;
/// In this time the world must have come to rest.
const LONGEST: u64 = 4000;

/// What happens to an event on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Late(u64),
    Repeated,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::Lost), (0_u64..40).prop_map(Fate::Late), Just(Fate::Repeated)]
}

/// Changes that no member shows.
fn change() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::DeleteBudget),
        Just(Fault::CorruptBudget),
        Just(Fault::CorruptSelector),
        Just(Fault::DeleteService("demo".to_owned())),
        Just(Fault::ClearStatus),
    ]
}

/// Whether there is anything left that it changes.
fn is_possible(model: &Model, fault: &Fault) -> bool {
    match fault {
        Fault::CorruptBudget => !model.budgets.is_empty(),
        Fault::CorruptSelector => model.services.contains_key("demo"),
        _ => true,
    }
}

/// A world and an operator that sees it through stale watches.
struct Scene {
    model: Model,
    second: u64,
    /// Every object as it is.
    truth: BTreeMap<ObjectName, Version>,
    fates: Vec<Fate>,
    told: usize,
    /// What will be told when.
    underway: VecDeque<(u64, Told)>,
    seen: Seen,
    vigil: Option<Vigil>,
    pace: Pace,
    /// When it looks by itself.
    due: Option<u64>,
    looks: u64,
}

impl Scene {
    fn new(fates: Vec<Fate>) -> Scene {
        Scene {
            model: Model::new(spec(3)),
            second: 0,
            truth: BTreeMap::new(),
            fates,
            told: 0,
            underway: VecDeque::new(),
            seen: Seen::default(),
            vigil: None,
            pace: Pace::AtRest(None),
            due: Some(0),
            looks: 0,
        }
    }

    /// A few seconds: what happened is told, or is not; then the operator looks, if it has a reason to.
    fn step(&mut self) {
        self.tell();
        let mut has_reason = self.due.is_some_and(|due| due <= self.second);
        while let Some((_, told)) = self.underway.pop_front_if(|(at, _)| *at <= self.second) {
            has_reason |= !self.seen.tell(told).is_empty();
        }
        has_reason |= self.audit() | self.is_disturbed();
        if has_reason {
            self.look();
        }
        self.model.advance(i64::try_from(STEP).expect("a few seconds"));
        self.second += STEP;
    }

    fn tell(&mut self) {
        let now = objects(&self.model);
        let mut events = Vec::new();
        for (name, version) in &now {
            if self.truth.get(name) != Some(version) {
                events.push(Told::Is(name.clone(), version.clone(), key()));
            }
        }
        events.extend(self.truth.keys().filter(|name| !now.contains_key(*name)).cloned().map(Told::Gone));
        self.truth = now;
        for event in events {
            let fate = self.fates[self.told % self.fates.len()];
            self.told += 1;
            let (times, late) = match fate {
                Fate::Lost => (0, 0),
                Fate::Late(seconds) => (1, seconds),
                Fate::Repeated => (2, 0),
            };
            (0..times).for_each(|_| self.underway.push_back((self.second + late, event.clone())));
        }
        self.underway.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    /// One object is read by itself.
    fn audit(&mut self) -> bool {
        let Some(name) = self.seen.next_to_audit() else { return false };
        !self.seen.audit(&name, self.truth.get(&name).cloned()).is_empty()
    }

    fn is_disturbed(&mut self) -> bool {
        let observed = self.model.observe();
        let Some(vigil) = &mut self.vigil else { return false };
        let mut is_disturbed = false;
        let uids: Vec<String> = vigil.members().keys().cloned().collect();
        for uid in uids {
            is_disturbed |= vigil.hear(&uid, health(&observed, &uid)).is_some();
        }
        if self.pace.is_at_rest() && self.second.is_multiple_of(ETCD_EVERY) {
            is_disturbed |= EtcdView::seen(&observed).is_none_or(|view| vigil.compare(&view).is_some());
        }
        is_disturbed
    }

    fn look(&mut self) {
        self.looks += 1;
        let read = objects(&self.model);
        let observed = self.model.observe();
        let plan = self.model.pass_until(usize::MAX);
        let done = Done { has_acted: !plan.actions.is_empty(), setbacks: Vec::new() };
        let status = self.model.cluster.status.clone().unwrap_or_default();
        self.pace = pace(self.model.monotonic, &observed, &plan, &status, &done, &mut self.model.memory);
        self.due = self.pace.pause().map(|pause| self.second + pause.as_secs().max(1));
        self.vigil = Some(Vigil::over(&observed));
        self.seen.learn(read, &key());
    }

    fn rest(&mut self) {
        let deadline = self.second + LONGEST;
        while self.second < deadline {
            self.step();
            if self.pace.is_at_rest() && self.model.plan() == Plan::default() {
                return assert_as_specified(&self.model);
            }
        }
        panic!("no rest: {:#?}", lines(&self.model.plan()));
    }
}

fn key() -> Key {
    Key::of_cluster("test", "demo")
}

/// Everything that watches would list, with a version that follows from its content.
fn objects(model: &Model) -> BTreeMap<ObjectName, Version> {
    let mut all = BTreeMap::new();
    note(&mut all, WatchedKind::EtcdCluster, &model.cluster.metadata, &model.cluster);
    for live in model.stateful_sets.values() {
        note(&mut all, WatchedKind::StatefulSet, &live.metadata, live);
    }
    for live in model.pods.values() {
        note(&mut all, WatchedKind::Pod, &live.metadata, live);
    }
    for live in model.claims.values() {
        note(&mut all, WatchedKind::PersistentVolumeClaim, &live.metadata, live);
    }
    for live in model.services.values() {
        note(&mut all, WatchedKind::Service, &live.metadata, live);
    }
    for live in model.budgets.values() {
        note(&mut all, WatchedKind::PodDisruptionBudget, &live.metadata, live);
    }
    all
}

fn note(
    all: &mut BTreeMap<ObjectName, Version>,
    kind: WatchedKind,
    metadata: &ObjectMeta,
    live: &impl Serialize,
) {
    let is_selected = metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL_CLUSTER));
    if kind != WatchedKind::EtcdCluster && !is_selected {
        return;
    }
    let digest = Sha256::digest(serde_json::to_vec(live).expect("plain data"));
    let resource_version: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = metadata.name.clone().expect("a name").into();
    let version = Version {
        uid: metadata.uid.clone().unwrap_or_default().into(),
        resource_version: resource_version.into(),
    };
    all.insert(ObjectName { kind, namespace: "test".into(), name }, version);
}

/// What a member would say to the cheap question.
fn health(observed: &Observed, pod_uid: &str) -> HealthAnswer {
    match observed.probes.get(pod_uid).map(|probe| &probe.answer) {
        Some(Answer::Etcd(etcd)) if etcd.read == LinearizableRead::Served => HealthAnswer::Well,
        Some(Answer::Refused(LinearizableRead::Refused(_))) => HealthAnswer::Well,
        Some(Answer::Etcd(_) | Answer::Refused(_) | Answer::Gate(_)) => HealthAnswer::Unwell,
        Some(Answer::Silent(_)) | None => HealthAnswer::Silent,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_world_comes_to_rest_whatever_watches_lose_delay_or_repeat(
        fates in prop::collection::vec(fate(), 1..12),
        troubles in prop::collection::vec(trouble(), 1..4),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut scene = Scene::new(fates);
        scene.rest();
        for trouble in &troubles {
            // A pass of its own would be a look without a reason.
            if !matches!(trouble, Trouble::Crash(_) | Trouble::Passes(_)) {
                strike(&mut scene.model, trouble);
            }
            (0..3).for_each(|_| scene.step());
        }
        scene.rest();
        for fault in &changes {
            if is_possible(&scene.model, fault) {
                scene.model.inject(fault);
            }
            scene.step();
        }
        // Nothing but the audit may tell of these; it reads one object at each step.
        (0..30).for_each(|_| scene.step());
        scene.rest();
    }
}

#[test]
fn at_rest_nobody_looks() {
    let mut scene = Scene::new(vec![Fate::Repeated]);
    scene.rest();
    // What it wrote last is told, and all members prove themselves.
    (0..500).for_each(|_| scene.step());
    let looks = scene.looks;
    (0..600).for_each(|_| scene.step());
    assert_eq!(scene.looks, looks, "in half an hour without a change");
}

#[test]
fn a_cluster_of_which_no_watch_tells_is_formed_and_healed() {
    let mut scene = Scene::new(vec![Fate::Lost]);
    scene.rest();
    let victim = scene.model.resolve("follower");
    scene.model.lose_disk(&victim);
    scene.step();
    scene.rest();
    assert!(!scene.model.stateful_sets.contains_key(victim.as_str()), "it was replaced");
}
