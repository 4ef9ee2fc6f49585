//! A new cluster from a backup: one member is restored before anything starts, the others are added, and the operator may stop after every
//! write of it.

use etcd_operator_core::api::{BootstrapSpec, RestoreSpec};
use etcd_operator_core::cluster::plan::Plan;
use k8s_openapi::api::batch::v1::Job;

use super::converge::assert_as_specified;
use super::model::{Model, lines};
use super::spec_of;

const LIMIT: usize = 200;

fn from_backup(name: &str) -> Model {
    let mut spec = spec_of("3.6.16");
    let restore = RestoreSpec { backup: Some(name.to_owned()), ..RestoreSpec::default() };
    spec.bootstrap = Some(BootstrapSpec { retained_volumes: None, restore: Some(restore) });
    Model::new(spec)
}

fn restored() -> Model {
    from_backup("before-the-fire")
}

/// The reasons of what is held.
fn held(plan: &Plan) -> Vec<&'static str> {
    plan.holds.iter().map(|hold| hold.reason().as_str()).collect()
}

#[test]
fn one_member_is_restored_and_the_others_are_added_to_it() {
    let mut model = restored();
    let first = model.pass();
    assert!(lines(&first)[0].contains("record first members demo-"), "{:?}", lines(&first));
    let mut most = 0;
    for _ in 0..LIMIT {
        let plan = model.pass();
        most = most.max(model.jobs.len());
        if plan == Plan::default() {
            break;
        }
        model.advance(1);
    }
    assert_as_specified(&model);
    assert_eq!((most, model.claims.len()), (1, 3));
    let seed = model.jobs.keys().next().expect("a Job").trim_end_matches("-restore").to_owned();
    assert!(model.claims.contains_key(&format!("data-{seed}")), "the one that was restored is a member");
}

#[test]
fn the_operator_may_stop_after_every_write_of_a_restore() {
    let mut model = restored();
    for _ in 0..LIMIT {
        let writes = model.clone().pass_until(0).actions.len();
        for written in 1..=writes {
            let mut stopped: Model = model.clone();
            stopped.pass_until(written);
            stopped.memory = Default::default();
            stopped.settle(LIMIT);
            assert_as_specified(&stopped);
            assert_eq!(stopped.claims.len(), 3, "nothing is left over");
        }
        if model.pass() == Plan::default() && model.plan() == Plan::default() {
            return assert_as_specified(&model);
        }
        model.advance(1);
    }
    panic!("no rest after {LIMIT} passes");
}

#[test]
fn a_restore_that_fails_starts_nothing_says_why_and_is_tried_again() {
    let mut model = restored();
    model.restores_fail = true;
    for _ in 0..300 {
        model.pass();
        model.advance(1);
        assert!(model.pods.is_empty() && model.stateful_sets.is_empty(), "nothing starts");
        assert!(model.claims.len() <= 1, "nothing piles up");
    }
    let plan = model.plan();
    assert!(held(&plan).contains(&"RestoreFailed"), "{:?}", held(&plan));
    assert!(lines(&plan).iter().any(|line| line.contains("the store is not there")), "{:?}", lines(&plan));
    model.restores_fail = false;
    model.advance(121);
    model.settle(LIMIT);
    assert_as_specified(&model);
}

#[test]
fn a_backup_that_does_not_exist_is_said_and_a_corrected_name_begins_anew() {
    let mut model = from_backup("before-the-flood");
    for _ in 0..10 {
        model.pass();
        model.advance(1);
    }
    assert!(held(&model.plan()).contains(&"RestoreFailed"));
    assert!(model.jobs.is_empty() && model.pods.is_empty());
    model.change_spec(|spec| {
        let restore = spec.bootstrap.as_mut().and_then(|bootstrap| bootstrap.restore.as_mut());
        restore.expect("a restore").backup = Some("before-the-fire".to_owned());
    });
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert_eq!(model.claims.len(), 3, "the first attempt left nothing");
}

#[test]
fn a_volume_that_is_lost_before_or_after_it_was_restored_is_restored_anew_and_never_started_empty() {
    for passes in 0..12 {
        let mut model = restored();
        (0..passes).for_each(|_| {
            model.pass();
            model.advance(1);
        });
        // Whoever loses the only member that has served has lost its data: that is no restore any more.
        if model.processes.values().any(|process| process.runs_etcd) {
            assert!(passes > 3, "it started after {passes} passes");
            break;
        }
        let claims: Vec<String> = model.claims.keys().cloned().collect();
        for claim in claims {
            let lost = model.claims.remove(&claim).expect("it was listed");
            model.disks.remove(&lost.metadata.uid.expect("a UID"));
        }
        model.settle(LIMIT);
        assert_as_specified(&model);
        assert!(!model.jobs.is_empty(), "after {passes} passes it began empty");
    }
}

#[test]
fn a_cluster_that_begins_empty_after_all_is_not_confused_with_one_that_was_restored() {
    let mut model = restored();
    (0..3).for_each(|_| drop(model.pass()));
    model.change_spec(|spec| spec.bootstrap = None);
    model.settle(LIMIT);
    assert_as_specified(&model);
    let listed = model.etcd.as_ref().expect("etcd").members.len();
    assert_eq!(listed, 3);
}

/// The images of the Jobs that are there.
fn images(model: &Model) -> Vec<String> {
    let image = |job: &Job| {
        let pod = job.spec.as_ref()?.template.spec.as_ref()?;
        pod.containers[0].image.clone()
    };
    model.jobs.values().filter_map(image).collect()
}

#[test]
fn what_is_corrected_reaches_a_restore_that_has_not_succeeded() {
    let mut model = restored();
    model.restores_fail = true;
    for _ in 0..10 {
        model.pass();
        model.advance(1);
    }
    assert_eq!(images(&model), ["quay.io/coreos/etcd:v3.6.16"]);
    model.change_spec(|spec| spec.image.repository = "mirror.example.com/etcd".to_owned());
    for _ in 0..5 {
        model.pass();
        model.advance(1);
    }
    assert_eq!(images(&model), ["mirror.example.com/etcd:v3.6.16"]);
    model.change_spec(|spec| spec.version = "3.7.3".to_owned());
    for _ in 0..10 {
        model.pass();
        model.advance(1);
    }
    assert_eq!(images(&model), ["mirror.example.com/etcd:v3.7.3"], "and nothing is left of what was before");
    model.restores_fail = false;
    model.advance(121);
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert_eq!(model.claims.len(), 3);
}

#[test]
fn a_version_that_is_changed_at_any_moment_of_a_restore_is_the_one_that_the_backup_is_restored_with() {
    for passes in 0..10 {
        let mut model = restored();
        (0..passes).for_each(|_| {
            model.pass();
            model.advance(1);
        });
        let runs = model.processes.values().any(|process| process.runs_etcd);
        model.change_spec(|spec| spec.version = "3.7.3".to_owned());
        model.settle(LIMIT);
        assert_as_specified(&model);
        if !runs && model.etcd.as_ref().is_some_and(|etcd| etcd.has_formed) {
            let later = images(&model);
            assert!(later == ["quay.io/coreos/etcd:v3.7.3"] || passes > 3, "after {passes}: {later:?}");
        }
    }
}
