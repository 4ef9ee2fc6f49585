//! Members whose data is not what the others have: replaced where a majority vouches for the right one, and otherwise left alone with
//! everything else.

use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_mutants::Mutant;

use super::converge::{assert_as_specified, settled};
use super::model::{Fault, Model, lines};

fn befall(size: i32, faults: &[Fault]) -> Model {
    let mut model = settled(size);
    faults.iter().for_each(|fault| model.inject(fault));
    model
}

fn follower(fault: fn(String) -> Fault) -> Fault {
    fault("follower".to_owned())
}

fn leader(fault: fn(String) -> Fault) -> Fault {
    fault("leader".to_owned())
}

fn other(fault: fn(String) -> Fault) -> Fault {
    fault("other".to_owned())
}

fn said(plan: &Plan) -> String {
    lines(plan).join("\n")
}

#[test]
fn a_member_whose_data_differs_is_replaced_whoever_noticed() {
    for size in [3, 5] {
        for notice in [Fault::Corrupt, Fault::ChangeData, Fault::BreakData] {
            for victim in [follower, leader, other] {
                let mut model = befall(size, &[victim(notice)]);
                let before = model.stateful_sets.len();
                let passes = model.settle(60);
                assert!(passes < 40, "at once, not after silence");
                assert_as_specified(&model);
                assert_eq!(model.stateful_sets.len(), before);
            }
        }
    }
}

#[test]
fn who_leads_with_wrong_data_hands_over_before_it_is_removed() {
    let mut model = befall(3, &[leader(Fault::ChangeData)]);
    let first = said(&model.pass());
    assert!(first.contains("move") && !first.contains("remove"), "{first}");
    let second = said(&model.pass());
    assert!(second.contains("its data differs from the others'"), "{second}");
    model.settle(60);
    assert_as_specified(&model);
}

#[test]
fn a_minority_of_wrong_members_is_replaced_one_after_the_other() {
    let mut model = befall(5, &[follower(Fault::ChangeData), leader(Fault::ChangeData), Fault::EtcdCompares]);
    model.settle(100);
    assert_as_specified(&model);
}

/// Whether anything that the operator made or that etcd lists is another one than before.
fn is_untouched(before: &Model, now: &Model) -> bool {
    let uids = |model: &Model| -> Vec<_> {
        let pods = model.pods.values().map(|pod| &pod.metadata);
        let claims = model.claims.values().map(|claim| &claim.metadata);
        let live = pods.chain(claims).filter(|metadata| metadata.deletion_timestamp.is_none());
        live.map(|metadata| metadata.uid.clone()).collect()
    };
    let members = |model: &Model| -> Vec<_> {
        model.etcd.iter().flat_map(|etcd| &etcd.members).map(|member| member.listed.id).collect()
    };
    uids(before) == uids(now) && members(before) == members(now)
}

#[test]
fn without_a_majority_that_agrees_nothing_is_changed_and_nothing_is_deleted() {
    let split = [follower(Fault::ChangeData), other(Fault::ChangeData)];
    let alarmed = [split.to_vec(), vec![Fault::EtcdCompares]].concat();
    let unheard = vec![follower(Fault::Isolate), other(Fault::Corrupt)];
    for faults in [split.to_vec(), alarmed, unheard] {
        let mut model = befall(3, &faults);
        model.pass();
        model.change_spec(|spec| spec.size = 5);
        model.change_spec(|spec| spec.version = "3.7.3".to_owned());
        let before = model.clone();
        for _ in 0..60 {
            model.pass();
        }
        assert!(is_untouched(&before, &model), "{faults:?}");
        let plan = said(&model.plan());
        assert!(plan.contains("DataDiffers"), "{faults:?}: {plan}");
        let alarms = |model: &Model| model.etcd.as_ref().expect("etcd").alarms.clone();
        assert_eq!(alarms(&model), alarms(&before), "{faults:?}");
    }
}

#[test]
fn an_alarm_for_nobody_ends_when_all_have_the_same_data() {
    let mut model = befall(3, &[follower(Fault::ChangeData), other(Fault::ChangeData), Fault::EtcdCompares]);
    (0..5).for_each(|_| drop(model.pass()));
    // A person has found out who is right, and removes the others with etcdctl.
    for victim in [model.resolve("follower"), model.resolve("other")] {
        model.remove_by_hand(&victim);
        model.pass();
    }
    model.settle(100);
    assert_as_specified(&model);
}

#[test]
fn data_that_nobody_else_vouches_for_is_kept_although_it_cannot_be_read() {
    let mut model = befall(3, &[follower(Fault::BreakData), other(Fault::ChangeData)]);
    let before = model.clone();
    for _ in 0..60 {
        model.pass();
    }
    assert!(is_untouched(&before, &model), "{}", said(&model.plan()));
}

#[test]
fn every_stop_of_the_operator_while_wrong_data_is_replaced_converges() {
    for notice in [Fault::Corrupt, Fault::ChangeData, Fault::BreakData] {
        for passes in 0..8 {
            for actions in 0..3 {
                let mut model = befall(3, &[leader(notice)]);
                (0..passes).for_each(|_| drop(model.pass()));
                model.pass_until(actions);
                model.memory = Default::default();
                model.settle(60);
                assert_as_specified(&model);
            }
        }
    }
}

#[test]
fn wrong_data_in_the_middle_of_an_upgrade_is_replaced_and_the_upgrade_goes_on() {
    for passes in (0..14).step_by(3) {
        for notice in [Fault::Corrupt, Fault::ChangeData, Fault::BreakData] {
            let mut model = settled(3);
            model.change_spec(|spec| spec.version = "3.7.3".to_owned());
            (0..passes).for_each(|_| drop(model.pass()));
            model.inject(&follower(notice));
            model.settle(200);
            assert_as_specified(&model);
        }
    }
}

/// Each wrong operator breaks a rule of the model; otherwise its silence about the right one would prove little.
fn with_mutant(mutant: Mutant, faults: &[Fault]) {
    let mut model = befall(3, faults);
    model.mutant = Some(mutant);
    (0..30).for_each(|_| drop(model.pass()));
}

#[test]
#[should_panic(expected = "CORRUPT would be disarmed")]
fn the_model_notices_the_mutant_disarms_corrupt() {
    with_mutant(Mutant::DisarmsCorrupt, &[follower(Fault::Corrupt)]);
}

#[test]
#[should_panic(expected = "nobody can tell whose data is right")]
fn the_model_notices_the_mutant_trusts_the_leader() {
    with_mutant(Mutant::TrustsTheLeader, &[follower(Fault::ChangeData), other(Fault::ChangeData)]);
}
