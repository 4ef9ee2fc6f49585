//! Members whose data is in the memory of their pods: a pod that is gone is a lost member, and no member that has data is ever restarted
//! for a change. The model panics if the operator takes such a pod, or gives an incarnation two permits.

use std::collections::BTreeSet;

use etcd_operator_core::api::EtcdClusterSpec;
use etcd_operator_core::cluster::plan::{Action, Kind, PatchOperation, PatchPurpose, Plan};
use etcd_operator_core::cluster::world::{Keeper, World};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::changes::{step, take};
use super::converge::{assert_as_specified, strike, trouble};
use super::model::{Fault, MISSING_LABEL, MISSING_REPOSITORY, Model, lines};

/// Worlds that are tried of each kind.
const CASES: u32 = 32;

fn spec(size: i32) -> EtcdClusterSpec {
    let storage = json!({ "medium": "Memory", "size": "1Gi" });
    let rollout = json!({ "soakSeconds": 10 });
    let spec = json!({ "size": size, "version": "3.6.16", "storage": storage, "rollout": rollout });
    serde_json::from_value(spec).expect("a spec")
}

fn settled(size: i32) -> Model {
    let mut model = Model::new(spec(size));
    model.settle(60);
    model
}

fn voters_that_run(model: &Model) -> usize {
    let members = model.etcd.iter().flat_map(|etcd| &etcd.members);
    members.filter(|member| !member.listed.is_learner && model.runs(&member.listed)).count()
}

fn said(model: &Model) -> String {
    lines(&model.plan()).join("\n")
}

/// Passes with time between them, in which as many voters as are wanted run at each.
fn pass_with_all_voters(model: &mut Model, passes: usize) {
    for _ in 0..passes {
        model.pass();
        model.advance(10);
        assert!(voters_that_run(model) >= 3, "{}", said(model));
    }
}

#[test]
fn a_deleted_pod_is_a_lost_member_and_another_incarnation_replaces_it() {
    for member in ["leader", "follower"] {
        let mut model = settled(3);
        let victim = model.resolve(member);
        model.inject(&Fault::DeletePod(member.to_owned()));
        assert!(said(&model).contains("in the memory of a pod that is gone"), "{}", said(&model));
        model.settle(60);
        assert_as_specified(&model);
        assert!(!model.stateful_sets.contains_key(victim.as_str()), "the incarnation is never used again");
    }
}

#[test]
fn a_member_whose_new_pod_is_on_no_node_is_lost_all_the_same() {
    let mut model = settled(3);
    let victim = model.resolve("follower");
    model.inject(&Fault::Unschedule("follower".to_owned()));
    model.settle(60);
    assert_as_specified(&model);
    assert!(!model.stateful_sets.contains_key(victim.as_str()));
}

#[test]
fn a_deleted_stateful_set_takes_its_member_with_it() {
    let mut model = settled(3);
    let victim = model.resolve("follower");
    model.inject(&Fault::DeleteStatefulSet("follower".to_owned()));
    model.settle(60);
    assert_as_specified(&model);
    assert!(!model.stateful_sets.contains_key(victim.as_str()), "it is not made again");
}

#[test]
fn settings_reach_members_by_replacement_and_as_many_vote_as_are_wanted() {
    let changes = [
        json!({ "resources": { "requests": { "memory": "2Gi" } } }),
        json!({ "etcd": { "snapshotCount": 5000 }, "pod": { "labels": { "team": "one" } } }),
        json!({ "storage": { "size": "2Gi" } }),
        json!({ "storage": { "size": "512Mi" } }),
        json!({ "etcd": { "quotaBackendBytes": "64Mi" } }),
        json!({ "storage": { "medium": "Disk", "storageClassName": "fast" } }),
    ];
    for change in changes {
        let mut model = settled(3);
        let before: BTreeSet<String> = model.stateful_sets.keys().cloned().collect();
        model.change_by(&change);
        pass_with_all_voters(&mut model, 60);
        model.settle(60);
        assert_as_specified(&model);
        assert!(model.stateful_sets.keys().all(|name| !before.contains(name)), "{change}");
    }
}

#[test]
fn members_move_between_disk_and_memory_and_keep_their_number() {
    let mut model = super::converge::settled(3);
    model.change_by(&json!({ "rollout": { "soakSeconds": 0 }, "storage": { "medium": "Memory" } }));
    pass_with_all_voters(&mut model, 60);
    assert_as_specified(&model);
    model.change_by(&json!({ "storage": { "medium": null, "size": "4Gi" } }));
    pass_with_all_voters(&mut model, 60);
    assert_as_specified(&model);
}

#[test]
fn a_restart_that_is_asked_for_replaces_each_member_once() {
    let mut model = settled(3);
    model.ask("restart", "tuesday");
    pass_with_all_voters(&mut model, 60);
    model.settle(60);
    assert_as_specified(&model);
    let acknowledged = model.cluster.status.clone().expect("a status").acknowledged;
    assert_eq!(acknowledged.restart.as_deref(), Some("tuesday"));
}

#[test]
fn a_bad_change_stops_at_the_first_successor_and_blocks_no_repair() {
    let bad: [(Value, Value); 2] = [
        (json!({ "image": { "repository": MISSING_REPOSITORY } }), json!({ "image": null })),
        (json!({ "pod": { "nodeSelector": { MISSING_LABEL: "x" } } }), json!({ "pod": null })),
    ];
    for (change, back) in bad {
        let mut model = settled(3);
        let before: BTreeSet<String> = model.stateful_sets.keys().cloned().collect();
        model.change_by(&change);
        pass_with_all_voters(&mut model, 30);
        assert!(before.iter().all(|name| model.stateful_sets.contains_key(name)), "{change}");
        assert_eq!(model.stateful_sets.len(), 4, "one successor was tried");

        // A member that is lost meanwhile is replaced by one that runs what the others run.
        model.inject(&Fault::DeletePod("follower".to_owned()));
        (0..40).for_each(|_| drop(model.pass()));
        assert_eq!(voters_that_run(&model), 3, "{}", said(&model));

        model.change_by(&back);
        model.settle(200);
        assert_as_specified(&model);
    }
}

#[test]
fn a_successor_that_keeps_ending_is_replaced_when_the_spec_goes_back() {
    let mut model = settled(3);
    model.change_by(&json!({ "resources": { "requests": { "memory": "2Gi" } } }));
    let before: BTreeSet<String> = model.stateful_sets.keys().cloned().collect();
    for _ in 0..40 {
        model.pass();
        let added: Vec<String> =
            model.stateful_sets.keys().filter(|name| !before.contains(*name)).cloned().collect();
        let running = added.iter().map(|name| format!("{name}-0")).filter(|pod| model.runs_etcd(pod));
        running.collect::<Vec<_>>().iter().for_each(|pod| model.restart_container(pod));
        model.advance(5);
    }
    let kept = before.iter().filter(|name| model.stateful_sets.contains_key(*name)).count();
    assert!(kept >= 2 && said(&model).contains("RolloutStopped"), "{}", said(&model));
    model.change_by(&json!({ "resources": null }));
    model.settle(200);
    assert_as_specified(&model);
}

#[test]
fn members_whose_nodes_restart_are_replaced_one_after_the_other() {
    let mut model = settled(5);
    for member in ["follower", "other"] {
        let member = model.resolve(member);
        model.restart_with_disk(&member, None, false);
    }
    model.advance(1);
    assert!(!said(&model).contains("SeveralGatesRefuse"), "{}", said(&model));
    model.settle(100);
    assert_as_specified(&model);
}

#[test]
fn a_full_database_gets_room_from_successors() {
    let mut model = settled(3);
    model.inject(&Fault::Database(300 << 20));
    model.inject(&Fault::NoSpace("leader".to_owned()));
    model.change_by(&json!({ "etcd": { "quotaBackendBytes": "800Mi" } }));
    model.settle(200);
    assert!(model.etcd.as_ref().expect("etcd").alarms.is_empty());
    assert_as_specified(&model);
}

#[test]
fn every_stop_of_the_operator_during_a_repair_or_a_change_converges() {
    for stop_at_pass in 0..12 {
        for actions in 0..5 {
            for is_change in [false, true] {
                let mut model = settled(3);
                let victim = model.resolve("follower");
                if is_change {
                    model.change_by(&json!({ "etcd": { "snapshotCount": 5000 } }));
                } else {
                    model.inject(&Fault::DeletePod("follower".to_owned()));
                }
                (0..stop_at_pass).for_each(|_| drop(model.pass()));
                model.pass_until(actions);
                model.cluster.status = model.cluster.status.take().filter(|_| actions % 2 == 0);
                model.settle(200);
                assert_as_specified(&model);
                assert!(!model.stateful_sets.contains_key(victim.as_str()));
            }
        }
    }
}

#[test]
fn a_permit_is_recorded_only_on_the_stateful_set_that_was_seen() {
    let mut model = Model::new(spec(3));
    let is_record = |action: &Action| match action {
        Action::Patch(patch) if matches!(patch.purpose, PatchPurpose::RecordPermit { .. }) => {
            assert_eq!(patch.target.kind, Kind::StatefulSet);
            patch.operations.iter().any(|operation| {
                matches!(operation, PatchOperation::Test { path, .. } if path == "/metadata/resourceVersion")
            })
        }
        _ => false,
    };
    let records = (0..6).map(|_| model.pass()).flat_map(|plan| plan.actions);
    assert_eq!(records.filter(|one| is_record(&one.action)).count(), 3);
}

#[test]
fn a_record_that_somebody_takes_is_put_back_and_nobody_gets_a_second_permit() {
    let mut model = settled(3);
    let member = model.resolve("follower");
    model.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet").metadata.annotations = None;
    model.settle(20);
    assert_as_specified(&model);
    assert!(model.stateful_sets.contains_key(member.as_str()), "it runs on");

    // The pod goes with it: what is left says of no permit, and the member has started.
    model.stateful_sets.get_mut(member.as_str()).expect("a StatefulSet").metadata.annotations = None;
    model.inject(&Fault::DeletePod("follower".to_owned()));
    model.settle(60);
    assert_as_specified(&model);
    assert!(!model.stateful_sets.contains_key(member.as_str()));
}

#[test]
fn a_claim_that_somebody_makes_for_a_member_in_memory_is_nobodys() {
    let mut model = super::converge::settled(3);
    let (_, claim) = model.claims.pop_first().expect("a claim to copy");
    let mut model = settled(3);
    let member = model.resolve("follower");
    let mut claim = claim;
    claim.metadata.name = Some(member.claim());
    claim.metadata.annotations = None;
    model.claims.insert(member.claim(), claim);
    (0..5).for_each(|_| drop(model.pass()));
    let observed = model.observe();
    let world = World::read(&observed, model.identity());
    let keeper = world.member(&member).and_then(|found| found.live_keeper());
    assert!(matches!(keeper, Some(Keeper::StatefulSet(_))));
    assert_eq!(model.plan().actions, Plan::default().actions);
}

/// What befalls first members while the cluster forms.
#[derive(Clone, Debug)]
enum Forming {
    Crash(usize),
    Pass,
    DeleteStatefulSet(usize),
    DeletePod(usize),
    Memory(u32),
}

fn forming() -> impl Strategy<Value = Forming> {
    prop_oneof![
        3 => (0_usize..9).prop_map(Forming::Crash),
        3 => Just(Forming::Pass),
        1 => any::<usize>().prop_map(Forming::DeleteStatefulSet),
        1 => any::<usize>().prop_map(Forming::DeletePod),
        1 => (1_u32..4).prop_map(Forming::Memory),
    ]
}

fn befall(model: &mut Model, what: &Forming) {
    let has_formed = model.etcd.as_ref().is_some_and(|etcd| etcd.has_formed);
    let name = |index: &usize| {
        let names: Vec<String> = model.stateful_sets.keys().cloned().collect();
        names.get(index % names.len().max(1)).cloned().filter(|_| !has_formed)
    };
    match what {
        Forming::Crash(actions) => drop(model.pass_until(*actions)),
        Forming::Pass => drop(model.pass()),
        Forming::DeleteStatefulSet(index) => {
            if let Some(name) = name(index) {
                model.stateful_sets.remove(&name);
                model.delete_pod_before_it_started(&format!("{name}-0"));
            }
        }
        Forming::DeletePod(index) => {
            if let Some(name) = name(index) {
                model.delete_pod_before_it_started(&format!("{name}-0"));
            }
        }
        Forming::Memory(amount) => {
            model.change_by(&json!({ "resources": { "requests": { "memory": format!("{amount}Gi") } } }));
        }
    }
    model.advance(1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, rng_seed: crate::seed(), ..ProptestConfig::default() })]

    #[test]
    fn a_cluster_forms_in_memory_whatever_befalls_its_first_members(all in prop::collection::vec(forming(), 0..16)) {
        let mut model = Model::new(spec(3));
        for one in &all {
            befall(&mut model, one);
        }
        model.settle(200);
        assert_as_specified(&model);
    }

    #[test]
    fn the_world_comes_to_rest_after_any_bearable_trouble(troubles in prop::collection::vec(trouble(), 1..14)) {
        let mut model = settled(3);
        for trouble in &troubles {
            strike(&mut model, trouble);
        }
        model.settle(300);
        assert_as_specified(&model);
    }

    #[test]
    fn any_valid_spec_becomes_any_other_from_memory(steps in prop::collection::vec(step(), 1..12)) {
        let mut model = settled(3);
        for step in &steps {
            take(&mut model, step);
            model.pass();
        }
        model.settle(600);
        assert_as_specified(&model);
    }
}
