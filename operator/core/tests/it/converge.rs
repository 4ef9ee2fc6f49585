//! Whatever goes wrong, and wherever the operator stops, the world comes to rest as specified, and on the way no rule of
//! the model is broken: the quorum is never taken by the operator, no incarnation gets two permits, no member's volume is
//! deleted, and one membership change is made at a time.

use std::collections::BTreeSet;

use etcd_operator_core::api::{EtcdClusterSpec, StorageMedium};
use etcd_operator_core::cluster::desired::Desired;
use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_core::cluster::render::quantity;
use etcd_operator_core::gate::GateConfiguration;
use etcd_operator_mutants::Mutant;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::model::{Model, lines};

pub(super) fn spec(size: i32) -> EtcdClusterSpec {
    serde_json::from_value(serde_json::json!({ "size": size, "version": "3.6.16" })).expect("a spec")
}

pub(super) fn settled(size: i32) -> Model {
    let mut model = Model::new(spec(size));
    model.settle(60);
    model
}

pub(super) fn assert_as_specified(model: &Model) {
    let etcd = model.etcd.as_ref().expect("the cluster formed");
    let wanted = usize::try_from(model.cluster.spec.size).expect("a size");
    assert_eq!(etcd.members.len(), wanted);
    assert!(etcd.members.iter().all(|member| !member.listed.is_learner && model.runs(&member.listed)));
    assert_eq!(model.stateful_sets.len(), wanted);
    let on_disk = model.cluster.spec.storage.medium == StorageMedium::Disk;
    assert_eq!(model.claims.len(), if on_disk { wanted } else { 0 });
    assert_runs_as_specified(model);
    assert!(etcd.members.iter().all(|member| member.data == super::model::RIGHT), "wrong data is left");
    assert!(etcd.alarms.is_empty(), "{:?}", etcd.alarms);
    let status = model.cluster.status.as_ref().expect("a status");
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("a condition");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "AsSpecified"));
    assert_eq!(model.plan(), Plan::default(), "{:#?}", lines(&model.plan()));
}

/// Every pod and every volume is as the spec asks for.
fn assert_runs_as_specified(model: &Model) {
    let desired = Desired::parse(&model.cluster).expect("a valid spec");
    for pod in model.pods.values() {
        let spec = pod.spec.as_ref().expect("a spec");
        let etcd = spec.containers.iter().find(|container| container.name == "etcd").expect("etcd");
        let argument =
            etcd.args.as_ref().and_then(|arguments| arguments.first()).expect("the gate's argument");
        let gate: GateConfiguration = serde_json::from_str(argument).expect("a configuration");
        assert_eq!(gate.options, desired.etcd.options);
        assert_eq!(gate.etcd_version, desired.version.to_string());
        assert_eq!(etcd.resources.clone().unwrap_or_default(), desired.resources);
        assert_eq!(spec.node_selector.clone().unwrap_or_default(), desired.pod.node_selector);
        let memory = spec.volumes.iter().flatten().find(|volume| volume.name == "data").expect("a volume");
        let memory = memory.empty_dir.as_ref().and_then(|memory| memory.size_limit.clone());
        let wanted_memory = (desired.medium == StorageMedium::Memory).then(|| desired.storage_size.clone());
        assert_eq!(memory, wanted_memory);
        let labels = pod.metadata.labels.as_ref().expect("labels");
        assert!(desired.pod.labels.iter().all(|(key, value)| labels.get(key) == Some(value)), "{labels:?}");
    }
    for claim in model.claims.values() {
        let spec = claim.spec.as_ref().expect("a spec");
        let size = &spec.resources.as_ref().and_then(|all| all.requests.as_ref()).expect("a size")["storage"];
        assert!(quantity::same(&size.0, &desired.storage_size.0), "{size:?}");
        assert_eq!(spec.storage_class_name, desired.storage_class_name);
        assert_eq!(spec.access_modes, Some(vec![desired.access_mode.as_str().to_owned()]));
    }
}

/// Something that happens to a settled or unsettled world.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    LoseDisk(usize),
    Wipe(usize),
    DeletePod(usize),
    DeleteStatefulSet(usize),
    AddVariable(usize),
    ClearStatus,
    Resize(i32),
    /// A pass that stops after so many actions.
    Crash(usize),
    Passes(usize),
}

pub(super) fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        any::<usize>().prop_map(Trouble::LoseDisk),
        any::<usize>().prop_map(Trouble::Wipe),
        any::<usize>().prop_map(Trouble::DeletePod),
        any::<usize>().prop_map(Trouble::DeleteStatefulSet),
        any::<usize>().prop_map(Trouble::AddVariable),
        Just(Trouble::ClearStatus),
        prop_oneof![Just(3), Just(5)].prop_map(Trouble::Resize),
        (0_usize..4).prop_map(Trouble::Crash),
        (0_usize..4).prop_map(Trouble::Crash),
        (1_usize..12).prop_map(Trouble::Passes),
    ]
}

/// Hits a member only if the others could bear its loss, so that what follows is the operator's to get right.
pub(super) fn strike(model: &mut Model, trouble: &Trouble) {
    let bearable: Vec<_> = model
        .etcd
        .iter()
        .filter(|etcd| etcd.has_formed)
        .flat_map(|etcd| &etcd.members)
        .filter_map(|member| model.member_of(&member.listed.peer_urls[0]))
        .filter(|name| {
            let mut without = model.clone();
            without.unreachable.insert(name.pod());
            model.runs_etcd(&name.pod()) && without.has_quorum()
        })
        .collect();
    let pick = |index: &usize| bearable.get(index % bearable.len().max(1)).cloned();
    match trouble {
        Trouble::LoseDisk(index) => drop(pick(index).map(|name| model.lose_disk(&name))),
        // Two gates that refuse at once are a person's to look at, never a case for replacement.
        Trouble::Wipe(_) if model.has_wiped_member() => {}
        Trouble::Wipe(index) => drop(pick(index).map(|name| model.restart_with_disk(&name, None, false))),
        Trouble::DeletePod(index) => drop(pick(index).map(|name| model.inject_pod_deletion(&name))),
        Trouble::DeleteStatefulSet(index) => {
            if let Some(name) = pick(index) {
                model.stateful_sets.remove(name.as_str());
                model.inject_pod_deletion(&name);
            }
        }
        Trouble::AddVariable(index) => {
            let named = pick(index).filter(|name| model.stateful_sets.contains_key(name.as_str()));
            if let Some(name) = named {
                model.add_variable(&name);
            }
        }
        Trouble::ClearStatus => model.cluster.status = None,
        Trouble::Resize(size) => model.change_spec(|spec| spec.size = *size),
        Trouble::Crash(actions) => {
            model.pass_until(*actions);
        }
        Trouble::Passes(count) => (0..*count).for_each(|_| drop(model.pass())),
    }
    model.advance(1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_world_comes_to_rest_after_any_bearable_trouble(troubles in prop::collection::vec(trouble(), 1..14)) {
        let mut model = settled(3);
        for trouble in &troubles {
            strike(&mut model, trouble);
        }
        model.settle(200);
        assert_as_specified(&model);
    }

    #[test]
    fn a_bootstrap_comes_to_rest_wherever_the_operator_stops(crashes in prop::collection::vec(0_usize..9, 0..12)) {
        let mut model = Model::new(spec(3));
        for actions in crashes {
            model.pass_until(actions);
            model.advance(1);
        }
        model.settle(60);
        assert_as_specified(&model);
    }
}

#[test]
fn a_learner_that_is_not_wanted_any_more_goes_wherever_the_operator_stopped() {
    for passes in 0..12 {
        for actions in 0..5 {
            let mut model = settled(3);
            model.change_spec(|spec| spec.size = 5);
            (0..passes).for_each(|_| drop(model.pass()));
            model.pass_until(actions);
            model.advance(1);
            model.change_spec(|spec| spec.size = 3);
            model.settle(60);
            assert_as_specified(&model);
        }
    }
}

#[test]
fn two_wiped_members_of_five_are_left_for_a_person_and_nothing_is_removed() {
    let mut model = settled(5);
    for member in ["follower", "other"] {
        let victim = model.resolve(member);
        model.restart_with_disk(&victim, None, false);
    }
    model.advance(1);
    let listed = model.etcd.as_ref().expect("the cluster formed").members.len();
    (0..60).for_each(|_| drop(model.pass()));
    assert!(model.has_wiped_member());
    assert_eq!(model.etcd.as_ref().map(|etcd| etcd.members.len()), Some(listed));
    let plan = lines(&model.plan());
    assert!(plan.iter().any(|line| line.starts_with("hold  SeveralGatesRefuse")), "{plan:#?}");
}

/// A cluster that forms while one of its first pods is on no node, after so many passes since the pods were asked for; and that pod.
fn with_a_late_first_member(passes: usize) -> (Model, String) {
    let mut model = Model::new(spec(3));
    pass_until(&mut model, |model| !model.stateful_sets.is_empty());
    let late = format!("{}-0", model.stateful_sets.keys().next().expect("a member"));
    model.unschedulable.insert(late.clone());
    for _ in 0..passes {
        model.pass_at_once();
    }
    (model, late)
}

fn pass_until(model: &mut Model, is_so: impl Fn(&Model) -> bool) {
    for _ in 0..100 {
        if is_so(model) {
            return;
        }
        model.pass_at_once();
    }
    panic!("it did not come to that: {:#?}", lines(&model.plan()));
}

/// Passes at once until nothing is left to do for some; panics when a member is taken for lost on the way.
fn rest_at_once(model: &mut Model) {
    let mut at_rest = 0;
    for _ in 0..100 {
        let plan = model.pass_at_once();
        let said = lines(&plan).join("\n");
        assert!(!said.contains("SeveralGatesRefuse") && !said.contains("its disk holds no log"), "{said}");
        // Nothing to do may only mean that a pod is about to start.
        at_rest = if plan == Plan::default() { at_rest + 1 } else { 0 };
        if at_rest == 4 {
            return assert_as_specified(model);
        }
    }
    panic!("no rest: {:#?}", lines(&model.plan()));
}

#[test]
fn a_member_that_starts_while_others_are_asked_is_not_taken_for_lost() {
    let mut model = Model::new(spec(3));
    rest_at_once(&mut model);

    // One starts later than the others, be it before they have formed the cluster, just then, or after it.
    for passes in 0..12 {
        let mut model = with_a_late_first_member(passes).0;
        model.unschedulable.clear();
        rest_at_once(&mut model);
    }

    // The same if its pod was told to end in that moment: its gate acts until it does.
    let (mut told_to_end, late) = with_a_late_first_member(12);
    assert!(told_to_end.etcd.as_ref().is_some_and(|etcd| etcd.has_formed), "two of three form it");
    told_to_end.unschedulable.clear();
    for _ in 0..10 {
        let mut observed = told_to_end.clone().observe_as_time_passes();
        let is_late = |pod: &&mut Pod| pod.metadata.name.as_ref() == Some(&late);
        for pod in observed.pods.iter_mut().filter(is_late) {
            pod.metadata.deletion_timestamp = Some(Time(observed.as_of));
        }
        let said = lines(&told_to_end.plan_of(&observed)).join("\n");
        assert!(!said.contains("its disk holds no log"), "{said}");
        told_to_end.pass_at_once();
    }

    // A learner.
    let member = model.resolve("follower");
    model.lose_disk(&member);
    model.advance(1);
    pass_until(&mut model, |model| model.etcd.as_ref().is_some_and(|etcd| etcd.members.len() == 2));
    rest_at_once(&mut model);
}

#[test]
fn clusters_of_every_size_form_and_rest() {
    for size in [1, 3, 5, 7] {
        assert_as_specified(&settled(size));
    }
}

#[test]
fn every_stop_of_the_operator_during_a_replacement_converges() {
    for stop_at_pass in 0..12 {
        for actions in 0..5 {
            let mut model = settled(3);
            let victim = model.resolve("follower");
            model.lose_disk(&victim);
            model.advance(1);
            (0..stop_at_pass).for_each(|_| drop(model.pass()));
            model.pass_until(actions);
            model.cluster.status = model.cluster.status.take().filter(|_| actions % 2 == 0);
            model.settle(60);
            assert_as_specified(&model);
            assert!(!model.claims.contains_key(&victim.claim()), "the incarnation is never used again");
        }
    }
}

#[test]
fn first_members_that_end_at_once_are_tried_again_ever_more_rarely_and_leave_nothing_behind() {
    let mut model = Model::new(spec(3));
    model.etcd_ends_at_once = true;
    let mut attempts = BTreeSet::new();
    for _ in 0..120 {
        let plan = model.pass();
        attempts.extend(
            model.cluster.status.iter().filter_map(|status| Some(status.bootstrap.as_ref()?.attempt)),
        );
        assert!(model.claims.len() <= 6, "{:?} after {:#?}", model.claims.keys(), lines(&plan));
    }
    // Ten seconds, twenty, forty.
    assert!((3..=5).contains(&attempts.len()), "{attempts:?}");
    let said = lines(&model.plan()).join("\n");
    assert!(said.contains("FormingFails"), "{said}");

    // A corrected spec is tried at once.
    model.etcd_ends_at_once = false;
    model.change_spec(|spec| spec.image.repository = "elsewhere/etcd".to_owned());
    model.settle(60);
    assert_as_specified(&model);
}

#[test]
fn an_addition_whose_answer_was_lost_is_found_again() {
    let mut model = settled(3);
    model.change_spec(|spec| spec.size = 5);
    // The addition itself is carried out, and the operator stops before it hears so.
    model.pass_until(usize::MAX);
    let names: BTreeSet<String> = model.stateful_sets.keys().cloned().collect();
    model.settle(60);
    assert_as_specified(&model);
    assert!(names.iter().all(|name| model.stateful_sets.contains_key(name)), "the added member was kept");
}

#[test]
fn first_members_that_lose_their_majority_are_set_aside_and_others_form_the_cluster() {
    let mut model = Model::new(spec(3));
    (0..3).for_each(|_| drop(model.pass_until(usize::MAX)));
    let first: Vec<String> = model.claims.keys().cloned().collect();
    assert_eq!(first.len(), 3);
    // Their gates wait, and permits are given to them; then two of the pods go, so those permits can never be spent.
    model.advance(1);
    model.pass_until(usize::MAX);
    let pods: Vec<String> = model.pods.keys().take(2).cloned().collect();
    pods.iter().for_each(|pod| model.delete_pod_before_it_started(pod));
    (0..40).for_each(|_| drop(model.pass()));
    let etcd = model.etcd.as_ref().expect("another attempt formed");
    assert!(etcd.has_formed);
    assert!(first.iter().any(|claim| model.claims.get(claim).is_some_and(is_set_aside)), "volumes are kept");
    assert_eq!(model.plan(), Plan::default(), "{:#?}", lines(&model.plan()));
}

/// The kubelet's word counts while the operator is cut off: what forms meanwhile is never abandoned.
#[test]
fn a_cluster_that_formed_unseen_is_not_abandoned_when_its_spec_changes() {
    let mut model = Model::new(spec(3));
    (0..3).for_each(|_| drop(model.pass_until(usize::MAX)));
    model.advance(1);
    model.pass_until(usize::MAX);
    model.operator_is_cut_off = true;
    model.advance(1);
    let first: BTreeSet<String> = model.claims.keys().cloned().collect();
    model.change_spec(|spec| spec.storage.storage_class_name = Some("fast".to_owned()));
    (0..5).for_each(|_| drop(model.pass()));
    assert_eq!(model.claims.keys().cloned().collect::<BTreeSet<_>>(), first);
    assert_eq!(model.pods.len(), 3);
    model.operator_is_cut_off = false;
    model.change_spec(|spec| spec.storage.storage_class_name = None);
    model.settle(60);
    assert_as_specified(&model);
}

/// Marks are notes for the operator itself; whoever changes one has changed nothing that runs.
#[test]
fn marks_that_somebody_changed_are_put_back_and_restart_nobody() {
    const MARKS: [&str; 2] = ["etcd.operators.rs/target", "etcd.operators.rs/fingerprint"];
    let mut model = settled(3);
    let member = model.resolve("follower");
    let before: Vec<_> = model.pods.values().map(|pod| pod.metadata.uid.clone()).collect();
    for mark in MARKS {
        let live = model.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet");
        live.metadata.annotations.get_or_insert_default().insert(mark.to_owned(), "foo".to_owned());
        let pod = model.pods.get_mut(&member.pod()).expect("a pod");
        pod.metadata.annotations.get_or_insert_default().insert(mark.to_owned(), "foo".to_owned());
        model.settle(20);
    }
    let now: Vec<_> = model.pods.values().map(|pod| pod.metadata.uid.clone()).collect();
    assert_eq!(now, before);
    assert_as_specified(&model);
}

fn is_set_aside(claim: &k8s_openapi::api::core::v1::PersistentVolumeClaim) -> bool {
    claim.metadata.annotations.as_ref().is_some_and(|all| all.contains_key("etcd.operators.rs/set-aside"))
}

/// Runs a wrong operator after its trouble and tells how the world looks.
fn with_mutant(mutant: Mutant, size: i32, trouble: impl FnOnce(&mut Model)) -> Model {
    let mut model = settled(size);
    model.mutant = Some(mutant);
    model.is_strict = false;
    trouble(&mut model);
    model.advance(1);
    (0..30).for_each(|_| drop(model.pass()));
    model
}

#[test]
fn the_mutant_second_permit_gives_one() {
    let model = with_mutant(Mutant::SecondPermit, 3, |model| {
        let victim = model.resolve("follower");
        model.restart_with_disk(&victim, None, false);
    });
    assert!(model.permits.values().any(|permits| permits.len() > 1));
}

#[test]
fn the_mutant_removes_healthy_first_does() {
    let model = with_mutant(Mutant::RemovesHealthyFirst, 5, |model| {
        let victim = model.resolve("follower");
        model.lose_disk(&victim);
    });
    let kept = settled(5).stateful_sets.keys().filter(|name| model.stateful_sets.contains_key(*name)).count();
    assert!(kept < 4, "a healthy member went too");
}

#[test]
fn the_mutant_ignores_service_leaves_it_as_it_is() {
    let model = with_mutant(Mutant::IgnoresService, 3, |model| {
        model.inject(&super::model::Fault::CorruptSelector);
    });
    let selector = model.services["demo"].spec.as_ref().and_then(|spec| spec.selector.clone());
    assert_eq!(selector, Some([("app".to_owned(), "nothing".to_owned())].into()));
}

#[test]
fn the_mutant_ready_without_looking_is_ready_without_a_quorum() {
    let model = with_mutant(Mutant::ReadyWithoutLooking, 3, |model| {
        for member in ["follower", "other"] {
            model.inject(&super::model::Fault::Isolate(member.to_owned()));
        }
    });
    let status = model.cluster.status.expect("a status");
    assert!(
        status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    );
}

#[test]
fn the_mutant_shrink_pods_first_takes_pods_of_listed_members() {
    let mut model = settled(5);
    model.mutant = Some(Mutant::ShrinkPodsFirst);
    model.is_strict = false;
    model.change_spec(|spec| spec.size = 3);
    model.pass();
    assert_eq!(model.pods.len(), 3);
    assert_eq!(model.etcd.as_ref().map(|etcd| etcd.members.len()), Some(5));
}

/// The model itself notices a wrong operator; otherwise its silence about the right one would prove little.
fn strict_with(mutant: Mutant, trouble: impl FnOnce(&mut Model)) {
    let mut model = settled(5);
    model.mutant = Some(mutant);
    trouble(&mut model);
    model.advance(1);
    (0..20).for_each(|_| drop(model.pass()));
}

#[test]
#[should_panic(expected = "permits for data-demo")]
fn the_model_notices_a_second_permit() {
    strict_with(Mutant::SecondPermit, |model| {
        let victim = model.resolve("follower");
        model.restart_with_disk(&victim, None, false);
    });
}

#[test]
#[should_panic(expected = "would be deleted")]
fn the_model_notices_a_volume_deleted_before_its_member_is_removed() {
    strict_with(Mutant::ShrinkPodsFirst, |model| model.change_spec(|spec| spec.size = 3));
}
