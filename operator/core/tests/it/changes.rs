//! Whatever settings are changed, in whatever order and amid whatever trouble, the world comes to rest as the last spec says, and no
//! rule of the model is broken on the way. A change that cannot work stops at its first member, and going back heals.

use etcd_operator_core::cluster::desired::Desired;
use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_core::names::MemberName;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::converge::{Trouble, assert_as_specified, settled, strike, trouble};
use super::model::{
    FIXED_CLASS, MISSING_CLASS, MISSING_LABEL, MISSING_REPOSITORY, Model, REFUSED_AMOUNT, lines,
};

/// Changes of a spec that can be carried out, each of which another one takes back or changes again. Volumes only grow.
fn change() -> impl Strategy<Value = Value> {
    let of = |changes: Vec<Value>| prop::sample::select(changes);
    prop_oneof![
        of(vec![
            json!({ "etcd": { "snapshotCount": 5000 } }),
            json!({ "etcd": { "autoCompactionRetention": "1h", "options": { "max-wals": "7" } } }),
            json!({ "etcd": { "quotaBackendBytes": "64Mi" } }),
            json!({ "etcd": null }),
        ]),
        of(vec![
            json!({ "pod": { "labels": { "team": "one" } } }),
            json!({ "pod": { "nodeSelector": { "disk": "fast" }, "terminationGracePeriodSeconds": 60 } }),
            json!({ "pod": null }),
        ]),
        of(vec![
            json!({ "resources": { "requests": { "memory": "1Gi" } } }),
            json!({ "resources": null }),
            json!({ "image": { "repository": "elsewhere/etcd", "pullSecrets": [{ "name": "registry" }] } }),
            json!({ "image": null }),
        ]),
        of(vec![
            json!({ "service": { "type": "NodePort", "annotations": { "note": "x" } } }),
            json!({ "service": { "type": "LoadBalancer", "loadBalancerClass": "internal" } }),
            json!({ "service": null }),
            json!({ "peerService": { "annotations": { "dns": "x" } } }),
        ]),
        of(vec![
            json!({ "storage": { "storageClassName": "fast" } }),
            json!({ "storage": { "storageClassName": null } }),
            json!({ "storage": { "accessMode": "ReadWriteOncePod" } }),
            json!({ "storage": { "accessMode": null } }),
            json!({ "size": 3, "storage": { "medium": "Memory", "storageClassName": null, "accessMode": null } }),
            json!({ "storage": { "medium": null } }),
        ]),
        of(vec![
            json!({ "version": "3.6.12" }),
            json!({ "version": "3.6.16" }),
            json!({ "version": "3.7.0" }),
            json!({ "version": "3.7.3" }),
        ]),
        of(vec![json!({ "size": 3 }), json!({ "size": 5 }), json!({ "size": 1 })]),
    ]
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Change(Value),
    Trouble(Trouble),
    /// The volumes grow by so many gibibytes.
    Grow(u32),
    Ask(&'static str, usize),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => change().prop_map(Step::Change),
        3 => trouble().prop_map(Step::Trouble),
        1 => (1_u32..4).prop_map(Step::Grow),
        1 => (prop::sample::select(vec!["restart", "replace", "move-leader"]), any::<usize>())
            .prop_map(|(what, index)| Step::Ask(what, index)),
    ]
}

pub(super) fn take(model: &mut Model, step: &Step) {
    match step {
        Step::Change(change) => {
            let mut changed = model.clone();
            changed.change_by(change);
            // What does not go with data in memory is no change that is carried out.
            if Desired::parse(&changed.cluster).is_ok() {
                *model = changed;
            }
        }
        Step::Trouble(trouble) => strike(model, trouble),
        Step::Grow(more) => {
            let size: u32 = model.cluster.spec.storage.size.0.trim_end_matches("Gi").parse().expect("a size");
            model.change_by(&json!({ "storage": { "size": format!("{}Gi", size + more) } }));
        }
        Step::Ask(what, index) => {
            let names: Vec<String> = model.stateful_sets.keys().cloned().collect();
            let named = names.get(index % names.len().max(1)).cloned().unwrap_or_default();
            let value = if *what == "restart" { format!("request-{index}") } else { named };
            model.ask(what, &value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: crate::seed(), ..ProptestConfig::default() })]

    #[test]
    fn any_valid_spec_becomes_any_other_whatever_happens_on_the_way(steps in prop::collection::vec(step(), 1..12)) {
        let mut model = settled(3);
        model.change_spec(|spec| spec.rollout.soak_seconds = 10);
        for step in &steps {
            take(&mut model, step);
            model.pass();
        }
        model.settle(600);
        assert_as_specified(&model);
    }
}

/// The members that a change has touched: those whose pod is another one than before, or does not run.
fn touched(model: &Model, before: &Model) -> usize {
    let runs_on = |name: &&String| {
        let same = |model: &Model| model.pods.get(*name).and_then(|pod| pod.metadata.uid.clone());
        same(model) == same(before) && model.runs_etcd(name)
    };
    before.pods.len() - before.pods.keys().filter(runs_on).count()
}

#[test]
fn a_change_that_cannot_work_stops_at_its_first_member_and_going_back_heals() {
    let bad = [
        (json!({ "image": { "repository": MISSING_REPOSITORY } }), json!({ "image": null })),
        (
            json!({ "pod": { "nodeSelector": { MISSING_LABEL: "x" } } }),
            json!({ "pod": { "nodeSelector": null } }),
        ),
        (json!({ "resources": { "requests": { "memory": REFUSED_AMOUNT } } }), json!({ "resources": null })),
        (
            json!({ "storage": { "storageClassName": MISSING_CLASS } }),
            json!({ "storage": { "storageClassName": null } }),
        ),
    ];
    for (change, back) in bad {
        let mut model = settled(3);
        model.change_spec(|spec| spec.rollout.soak_seconds = 10);
        model.settle(60);
        let before = model.clone();
        model.change_by(&change);
        for _ in 0..40 {
            model.pass();
            model.advance(10);
        }
        assert!(touched(&model, &before) <= 1, "{change} touched {}", touched(&model, &before));
        assert!(model.has_quorum(), "{change}");
        let plan = model.plan();
        assert!(!plan.holds.is_empty(), "{change} is not said to be held");

        // A member that is lost meanwhile is replaced all the same, from what the others have.
        model.change_by(&back);
        model.settle(200);
        assert_as_specified(&model);
    }
}

/// What each member should run, as its claim records it.
fn recorded_versions(model: &Model) -> Vec<String> {
    let annotations = model.claims.values().filter_map(|claim| claim.metadata.annotations.as_ref());
    annotations.filter_map(|all| all.get("etcd.operators.rs/version").cloned()).collect()
}

#[test]
fn without_a_quorum_no_member_gets_another_minor_and_a_stuck_one_may_go_back() {
    for wanted in ["3.7.3", "3.5.35"] {
        let mut model = settled(3);
        for member in ["follower", "other"] {
            model.inject(&super::model::Fault::Unschedule(member.to_owned()));
        }
        model.change_by(&json!({ "version": wanted }));
        for _ in 0..20 {
            model.pass();
            model.advance(10);
        }
        assert_eq!(recorded_versions(&model), ["3.6.16"; 3], "{wanted}");
    }

    // The first member of an upgrade cannot start, and another one dies: both come back once the version is set back.
    let mut model = settled(3);
    model.change_by(&json!({ "version": "3.7.3", "image": { "repository": MISSING_REPOSITORY } }));
    (0..8).for_each(|_| drop(model.pass()));
    let first = model.pods.keys().find(|pod| !model.runs_etcd(pod)).cloned().expect("the first is stuck");
    let other = model.pods.keys().find(|pod| **pod != first).cloned().expect("another one");
    model.unschedulable.insert(other.clone());
    model.inject_pod_deletion(&MemberName::of_pod(&model.identity(), &other).expect("a member's pod"));
    model.advance(1);
    assert!(!model.has_quorum());
    model.change_by(&json!({ "version": "3.6.16", "image": null }));
    for _ in 0..20 {
        model.pass();
        model.advance(10);
    }
    assert!(model.has_quorum(), "{:#?}", lines(&model.plan()));
    model.unschedulable.clear();
    model.settle(100);
    assert_as_specified(&model);
}

#[test]
fn a_class_that_nobody_provisions_is_in_the_way_of_no_repair() {
    let mut model = settled(3);
    model.change_by(
        &json!({ "rollout": { "soakSeconds": 0 }, "storage": { "storageClassName": MISSING_CLASS } }),
    );
    (0..20).for_each(|_| drop(model.pass()));
    let lost = model.resolve("follower");
    model.lose_disk(&lost);
    (0..40).for_each(|_| drop(model.pass()));
    let etcd = model.etcd.as_ref().expect("etcd");
    let voters =
        etcd.members.iter().filter(|member| !member.listed.is_learner && model.runs(&member.listed)).count();
    assert_eq!(voters, 3, "{:#?}", lines(&model.plan()));
}

#[test]
fn volumes_whose_class_cannot_grow_are_said_to_be_refused_and_members_go_on() {
    let mut model = settled(3);
    model.change_by(
        &json!({ "rollout": { "soakSeconds": 0 }, "storage": { "storageClassName": FIXED_CLASS } }),
    );
    model.settle(200);
    model.change_by(&json!({ "storage": { "size": "16Gi" } }));
    let said = (0..4).map(|_| lines(&model.pass()).join("\n")).collect::<Vec<_>>().join("\n");
    assert!(said.contains("must support resize"), "{said}");
    model.change_by(&json!({ "storage": { "storageClassName": "fast" } }));
    model.settle(400);
    assert_as_specified(&model);
}

#[test]
fn a_volume_is_never_made_smaller() {
    let mut model = settled(3);
    model.change_by(&json!({ "storage": { "size": "4Gi" } }));
    (0..5).for_each(|_| drop(model.pass()));
    let said = lines(&model.plan()).join("\n");
    assert!(said.contains("VolumesDoNotShrink"), "{said}");
    model.change_by(&json!({ "storage": { "size": "8Gi" } }));
    model.settle(60);
    assert_as_specified(&model);
}

#[test]
fn what_is_asked_for_once_is_done_once() {
    let mut model = settled(3);
    model.change_by(&json!({ "rollout": { "soakSeconds": 0 } }));
    model.settle(60);
    let pods =
        |model: &Model| -> Vec<_> { model.pods.values().map(|pod| pod.metadata.uid.clone()).collect() };
    let acknowledged = |model: &Model| model.cluster.status.clone().expect("a status").acknowledged;

    let before = pods(&model);
    model.ask("restart", "tuesday");
    model.settle(100);
    let after = pods(&model);
    assert!(after.iter().all(|pod| !before.contains(pod)), "every pod was made anew");
    assert_eq!(acknowledged(&model).restart.as_deref(), Some("tuesday"));
    // A status that was lost, or an annotation that is taken away, restarts nobody again.
    model.cluster.status = None;
    model.settle(60);
    model.cluster.metadata.annotations = None;
    model.settle(60);
    assert_eq!(pods(&model), after);
    assert_eq!(acknowledged(&model).restart, None);

    let follower = model.resolve("follower");
    model.ask("move-leader", follower.as_str());
    model.settle(60);
    assert_eq!(model.resolve("leader"), follower);
    assert_eq!(acknowledged(&model).move_leader.as_deref(), Some(follower.as_str()));
    let other = model.resolve("follower");
    model.inject(&super::model::Fault::MoveLeader("follower".to_owned()));
    model.settle(60);
    assert_eq!(model.resolve("leader"), other, "it is not moved back");

    model.ask("replace", other.as_str());
    model.settle(100);
    assert!(!model.stateful_sets.contains_key(other.as_str()), "the leader was replaced");
    assert_eq!(acknowledged(&model).replace.as_deref(), Some(other.as_str()));
    assert_as_specified(&model);
    model.ask("replace", "demo-nobody");
    model.settle(60);
    assert_eq!(acknowledged(&model).replace.as_deref(), Some("demo-nobody"));
    assert_eq!(model.plan(), Plan::default());
}

#[test]
fn a_single_member_is_replaced_once_another_one_votes() {
    let mut model = settled(1);
    model.change_by(&json!({ "storage": { "storageClassName": "fast" } }));
    model.settle(100);
    assert_as_specified(&model);
}

#[test]
fn a_full_database_gets_room_by_a_larger_quota_and_its_alarm_ends() {
    let mut model = settled(3);
    model.inject(&super::model::Fault::Database(2 << 30));
    model.inject(&super::model::Fault::NoSpace("leader".to_owned()));
    model.change_by(&json!({ "etcd": { "quotaBackendBytes": "2Gi" } }));
    (0..20).for_each(|_| drop(model.pass()));
    let said = lines(&model.plan()).join("\n");
    assert!(said.contains("QuotaTooSmall") && said.contains("AlarmRaised"), "{said}");
    model.change_by(&json!({ "etcd": { "quotaBackendBytes": "4Gi" } }));
    model.settle(100);
    assert!(model.etcd.as_ref().expect("etcd").alarms.is_empty());
    let quota = model.cluster.status.as_ref().and_then(|status| status.database_quota.clone());
    assert_eq!(quota.as_deref(), Some("4Gi"));
    // A larger volume makes room as well.
    model.inject(&super::model::Fault::Database(3 << 30));
    model.change_by(&json!({ "etcd": null }));
    model.settle(100);
    model.inject(&super::model::Fault::Database(4 << 30));
    model.inject(&super::model::Fault::NoSpace("leader".to_owned()));
    model.change_by(&json!({ "storage": { "size": "32Gi" } }));
    model.settle(200);
    assert!(model.etcd.as_ref().expect("etcd").alarms.is_empty());
    model.change_by(&json!({ "etcd": { "quotaBackendBytes": "16Gi" } }));
    model.settle(100);
    // Without a choice of the spec the quota is what fits the volume again, which is too small for this database.
    model.inject(&super::model::Fault::Database(4096));
    model.change_by(&json!({ "etcd": null }));
    model.settle(100);
    let quota = model.cluster.status.as_ref().and_then(|status| status.database_quota.clone());
    assert_eq!(quota.as_deref(), Some("8Gi"));
}
