//! TLS on, off and rotated, on the modelled cluster: at every moment every member that runs understands every other one, and the operator may stop
//! after any write.

use std::collections::{BTreeMap, BTreeSet};

use etcd_operator_core::api::StorageMedium;
use etcd_operator_core::cluster::plan::{HoldReason, Plan};
use etcd_operator_core::names::secrets::{OWN, SERVER};
use etcd_operator_core::names::{ANNOTATION_CLIENTS_READY, ANNOTATION_ROTATE};
use etcd_operator_core::tls::Serves;

use super::converge::assert_as_specified;
use super::model::Model;
use super::wrong_upgrades::of_version;

/// Longer than any of these takes.
const LIMIT: usize = 500;
const YEAR: i64 = 365 * 24 * 3600;
const USUAL: (i64, i64, i64) = (3 * YEAR, 10 * YEAR, 0);

fn with_tls() -> Model {
    let mut model = of_version("3.6.16");
    switch_on(&mut model);
    settle(&mut model);
    model
}

fn switch_on(model: &mut Model) {
    let (certificate, authority, trust) = USUAL;
    model.switch_tls_on(certificate, authority, trust);
}

/// Passes until nothing is left to do. Meanwhile whoever runs is understood, and the quorum is never lost.
fn settle(model: &mut Model) {
    for _ in 0..LIMIT {
        let plan = model.pass();
        assert!(model.has_quorum(), "{:?}", super::model::lines(&plan));
        assert!(model.all_understand_each_other(), "{:?}", super::model::lines(&plan));
        if plan == Plan::default() && model.plan() == Plan::default() {
            return;
        }
        model.advance(4);
        assert!(model.has_quorum());
    }
    panic!("no rest after {LIMIT} passes: {:#?}", model.plan());
}

fn pods(model: &Model) -> BTreeMap<String, String> {
    model.pods.iter().map(|(name, pod)| (name.clone(), pod.metadata.uid.clone().expect("a UID"))).collect()
}

fn annotate(model: &mut Model, key: &str, value: &str) {
    model.cluster.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    model.bump_cluster();
}

fn serial(model: &Model, secret: &str, entry: &str) -> String {
    model.secrets[secret].certificate(entry).expect("a certificate").serial.clone()
}

fn server_serials(model: &Model) -> Vec<String> {
    let members = model.secrets.values().filter_map(|secret| secret.certificate(SERVER.certificate));
    members.map(|found| found.serial.clone()).collect()
}

#[test]
fn a_new_cluster_with_tls_forms_and_serves_nothing_else() {
    let mut spec = super::spec_of("3.6.16");
    spec.tls = Some(Default::default());
    spec.rollout.soak_seconds = 10;
    let mut model = Model::new(spec);
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert!(model.has_arrived());
}

#[test]
fn tls_is_switched_on_and_off_for_a_cluster_that_runs() {
    let mut model = with_tls();
    assert_as_specified(&model);
    assert!(model.has_arrived());
    model.change_spec(|spec| spec.tls = None);
    settle(&mut model);
    assert_as_specified(&model);
    assert!(model.has_arrived());
}

#[test]
fn whoever_changes_their_mind_on_the_way_gets_what_they_asked_for_last() {
    for passes in (0..60).step_by(12) {
        let mut model = of_version("3.6.16");
        switch_on(&mut model);
        (0..passes).for_each(|_| drop(model.pass()));
        model.change_spec(|spec| spec.tls = None);
        settle(&mut model);
        assert!(model.has_arrived(), "switched off after {passes} passes");
        assert_as_specified(&model);
        let mut model = with_tls();
        model.change_spec(|spec| spec.tls = None);
        (0..passes).for_each(|_| drop(model.pass()));
        switch_on(&mut model);
        settle(&mut model);
        assert!(model.has_arrived(), "switched on again after {passes} passes");
        assert_as_specified(&model);
    }
}

/// Has the operator stop after single writes, each time in a world of its own: after every third one, or after each with `EVERY_WRITE` set, as
/// the long checks have it.
fn stop_after_every_write(mut model: Model) {
    let step = if std::env::var_os("EVERY_WRITE").is_some() { 1 } else { 3 };
    let (mut stops, mut writes_before) = (0, 0);
    for _ in 0..LIMIT {
        let writes = model.clone().pass_until(0).actions.len();
        for written in (1..=writes).filter(|written| (writes_before + written) % step == 0) {
            let mut stopped: Model = model.clone();
            stopped.pass_until(written);
            stopped.memory = Default::default();
            settle(&mut stopped);
            assert_as_specified(&stopped);
            assert!(stopped.has_arrived());
            stops += 1;
        }
        writes_before += writes;
        if model.pass() == Plan::default() && model.plan() == Plan::default() {
            assert!(stops > 6, "each member is written to twice at least, not {stops} times in all");
            return;
        }
        model.advance(4);
    }
    panic!("no rest after {LIMIT} passes");
}

#[test]
fn the_operator_may_stop_after_every_write_of_switching_on() {
    let mut model = of_version("3.6.16");
    switch_on(&mut model);
    stop_after_every_write(model);
}

#[test]
fn the_operator_may_stop_after_every_write_of_switching_off() {
    let mut model = with_tls();
    model.change_spec(|spec| spec.tls = None);
    stop_after_every_write(model);
}

#[test]
fn the_operator_may_stop_after_every_write_of_a_rotation() {
    let mut model = with_tls();
    annotate(&mut model, ANNOTATION_ROTATE, "once");
    stop_after_every_write(model);
}

#[test]
fn a_member_that_is_lost_on_the_way_is_replaced_and_the_way_goes_on() {
    for victim in ["follower", "leader"] {
        for passes in (0..80).step_by(16) {
            let mut model = of_version("3.6.16");
            switch_on(&mut model);
            (0..passes).for_each(|_| drop(model.pass()));
            let lost = model.resolve(victim);
            model.lose_disk(&lost);
            model.settle(LIMIT);
            assert_as_specified(&model);
            assert!(model.has_arrived());
            model.change_spec(|spec| spec.tls = None);
            (0..passes).for_each(|_| drop(model.pass()));
            let lost = model.resolve(victim);
            model.lose_disk(&lost);
            model.settle(LIMIT);
            assert_as_specified(&model);
            assert!(model.has_arrived());
        }
    }
}

#[test]
fn a_cluster_grows_and_shrinks_on_the_way() {
    for passes in (0..80).step_by(27) {
        for size in [1, 5] {
            let mut model = of_version("3.6.16");
            switch_on(&mut model);
            (0..passes).for_each(|_| drop(model.pass()));
            model.change_spec(|spec| spec.size = size);
            settle(&mut model);
            assert_as_specified(&model);
            assert!(model.has_arrived());
        }
    }
}

#[test]
fn certificates_are_renewed_without_a_restart_when_a_third_is_left() {
    let mut model = with_tls();
    let (before, serials) = (pods(&model), server_serials(&model));
    model.advance(2 * YEAR - 24 * 3600);
    settle(&mut model);
    assert_eq!(server_serials(&model), serials, "nothing is due");
    model.advance(2 * 24 * 3600);
    settle(&mut model);
    assert!(server_serials(&model).iter().all(|serial| !serials.contains(serial)));
    assert_eq!(pods(&model), before);
}

#[test]
fn a_cluster_runs_for_a_year_without_its_operator_whenever_that_begins() {
    let mut model = with_tls();
    for month in 0..36 {
        let before = pods(&model);
        let mut alone = model.clone();
        alone.advance(YEAR);
        assert!(alone.has_quorum() && alone.all_understand_each_other(), "alone after {month} months");
        assert_eq!(pods(&alone), before);
        model.advance(YEAR / 12);
        settle(&mut model);
    }
}

#[test]
fn authorities_are_rotated_by_request_once_and_by_age() {
    let mut model = with_tls();
    let before = serial(&model, "demo-client-ca", OWN.certificate);
    annotate(&mut model, ANNOTATION_ROTATE, "once");
    settle(&mut model);
    let after = serial(&model, "demo-client-ca", OWN.certificate);
    assert_ne!(before, after);
    settle(&mut model);
    assert_eq!(serial(&model, "demo-client-ca", OWN.certificate), after, "it was asked for once");
    let status = model.cluster.status.as_ref().expect("a status");
    assert_eq!(status.acknowledged.rotate_authorities.as_deref(), Some("once"));
    for _ in 0..8 {
        model.advance(YEAR);
        settle(&mut model);
    }
    assert_ne!(serial(&model, "demo-client-ca", OWN.certificate), after, "a third of ten years is left");
    assert_as_specified(&model);
}

#[test]
fn a_rotation_waits_for_applications_and_an_annotation_ends_each_wait() {
    let mut model = of_version("3.6.16");
    model.switch_tls_on(3 * YEAR, 10 * YEAR, 7 * 24 * 3600);
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "tls");
    settle(&mut model);
    let before = serial(&model, "demo-client-ca", OWN.certificate);
    annotate(&mut model, ANNOTATION_ROTATE, "once");
    (0..300).for_each(|_| drop(model.pass()));
    assert_eq!(serial(&model, "demo-client-ca", OWN.certificate), before, "applications have seven days");
    assert!(model.secrets["demo-client-tls"].certificates("ca.crt").len() == 2, "and are told of both");
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "new-authority");
    (0..100).for_each(|_| drop(model.pass()));
    assert_ne!(serial(&model, "demo-client-ca", OWN.certificate), before);
    assert!(model.secrets["demo-client-ca"].entries.contains_key("previous.crt"), "what they show counts on");
    model.advance(8 * 24 * 3600);
    settle(&mut model);
    assert!(!model.secrets["demo-client-ca"].entries.contains_key("previous.crt"));
    assert_eq!(model.secrets["demo-client-tls"].certificates("ca.crt").len(), 1);
}

#[test]
fn applications_have_time_to_come_from_one_to_the_other_and_an_annotation_ends_it() {
    let serves = |model: &Model| -> Vec<Option<Serves>> {
        model.pods.keys().map(|pod| model.told(pod).map(|tls| tls.serves)).collect()
    };
    let is_ready = |model: &Model| {
        let conditions = &model.cluster.status.as_ref().expect("a status").conditions;
        conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True")
    };
    let mut model = of_version("3.6.16");
    model.switch_tls_on(3 * YEAR, 10 * YEAR, 7 * 24 * 3600);
    (0..200).for_each(|_| drop(model.pass()));
    assert_eq!(serves(&model), [Some(Serves::Both); 3]);
    assert!(is_ready(&model), "nothing else is left to do");
    model.advance(6 * 24 * 3600);
    (0..50).for_each(|_| drop(model.pass()));
    assert_eq!(serves(&model), [Some(Serves::Both); 3], "after six days of seven");
    model.advance(24 * 3600);
    settle(&mut model);
    assert_eq!(serves(&model), [Some(Serves::TlsAlone); 3]);

    model.change_spec(|spec| spec.tls = None);
    (0..200).for_each(|_| drop(model.pass()));
    assert_eq!(serves(&model), [Some(Serves::Both); 3], "the way back gives the same time");
    assert!(is_ready(&model));
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "plain-text");
    settle(&mut model);
    assert_eq!(serves(&model), [None; 3]);
    assert_as_specified(&model);
}

#[test]
fn an_authority_that_is_lost_is_said_and_never_replaced_but_by_request() {
    let damages: [fn(&mut Model); 3] = [
        |model| drop(model.secrets.remove("demo-peer-ca")),
        |model| drop(model.secrets.get_mut("demo-peer-ca").expect("a Secret").entries.remove("tls.key")),
        |model| {
            let other = model.secrets["demo-client-ca"].entries.clone();
            model.secrets.get_mut("demo-peer-ca").expect("a Secret").entries = other;
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut model = with_tls();
        // What was asked for before asks for nothing now.
        annotate(&mut model, ANNOTATION_ROTATE, "before");
        settle(&mut model);
        let before = pods(&model);
        damage(&mut model);
        let damaged = model.secrets.clone();
        for _ in 0..20 {
            let plan = model.pass();
            let reasons: Vec<HoldReason> = plan.holds.iter().map(|hold| hold.reason()).collect();
            assert!(reasons.contains(&HoldReason::AuthorityLost), "damage {number}: {reasons:?}");
            assert!(model.has_quorum() && model.all_understand_each_other());
        }
        assert_eq!(model.secrets, damaged, "damage {number}: nothing is written");
        assert_eq!(pods(&model), before, "damage {number}: nobody restarts");
        annotate(&mut model, ANNOTATION_ROTATE, "now");
        settle(&mut model);
        assert_as_specified(&model);
        assert!(model.has_arrived());
    }
}

#[test]
fn a_certificate_that_is_gone_damaged_or_another_members_is_made_anew() {
    let mut model = with_tls();
    let members: Vec<String> = model
        .secrets
        .keys()
        .filter(|name| name.len() == "demo-abcde-tls".len() && name.ends_with("-tls"))
        .cloned()
        .collect();
    let before = pods(&model);
    let [first, second, third] = members.as_slice() else { panic!("{members:?}") };
    drop(model.secrets.remove(first));
    drop(model.secrets.get_mut(second).expect("a Secret").entries.remove(SERVER.key));
    let others = model.secrets[second].entries.clone();
    model.secrets.get_mut(third).expect("a Secret").entries.extend(others);
    settle(&mut model);
    assert_eq!(pods(&model), before);
    assert_as_specified(&model);
}

#[test]
fn members_in_memory_are_replaced_by_others_that_speak_tls_and_so_back() {
    let mut spec = super::spec_of("3.6.16");
    spec.storage.medium = StorageMedium::Memory;
    spec.rollout.soak_seconds = 10;
    let mut model = Model::new(spec);
    model.settle(LIMIT);
    switch_on(&mut model);
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert!(model.has_arrived());
    model.change_spec(|spec| spec.tls = None);
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert!(model.has_arrived());
}

#[test]
fn a_single_member_comes_to_tls_and_back() {
    let mut spec = super::spec_of("3.6.16");
    spec.size = 1;
    let mut model = Model::new(spec);
    model.settle(LIMIT);
    switch_on(&mut model);
    model.settle(LIMIT);
    assert!(model.has_arrived());
    model.change_spec(|spec| spec.tls = None);
    model.settle(LIMIT);
    assert_as_specified(&model);
    assert!(model.has_arrived());
}

/// Passes so often, and says whether an authority was ever called lost.
fn was_called_lost(model: &mut Model, passes: usize) -> bool {
    let is_lost = |plan: &Plan| plan.holds.iter().any(|hold| hold.reason() == HoldReason::AuthorityLost);
    let mut was_lost = false;
    for _ in 0..passes {
        was_lost |= is_lost(&model.pass());
        model.advance(4);
    }
    was_lost
}

#[test]
fn a_member_that_is_lost_in_the_middle_of_a_rotation_makes_no_authority_look_lost() {
    for passes in (0..60).step_by(15) {
        let mut model = with_tls();
        annotate(&mut model, ANNOTATION_ROTATE, "once");
        assert!(!was_called_lost(&mut model, passes));
        let lost = model.resolve("leader");
        model.lose_disk(&lost);
        assert!(!was_called_lost(&mut model, 100), "lost after {passes} passes");
        model.settle(LIMIT);
        assert_as_specified(&model);
    }
}

#[test]
fn an_authority_that_is_lost_in_the_middle_of_a_rotation_is_rotated_by_request_all_the_same() {
    for passes in (0..40).step_by(13) {
        for secret in ["demo-peer-ca", "demo-client-ca"] {
            let mut model = with_tls();
            annotate(&mut model, ANNOTATION_ROTATE, "once");
            was_called_lost(&mut model, passes);
            model.secrets.remove(secret);
            was_called_lost(&mut model, 20);
            annotate(&mut model, ANNOTATION_ROTATE, "again");
            settle(&mut model);
            assert_as_specified(&model);
        }
    }
}

#[test]
fn a_cluster_that_is_still_forming_when_tls_is_asked_for_forms_with_it() {
    for passes in (0..12).step_by(3) {
        let mut spec = super::spec_of("3.6.16");
        spec.rollout.soak_seconds = 10;
        let mut model = Model::new(spec);
        (0..passes).for_each(|_| drop(model.pass_at_once()));
        switch_on(&mut model);
        model.settle(LIMIT);
        assert!(model.has_arrived(), "asked for after {passes} passes");
        model.change_spec(|spec| spec.tls = None);
        model.settle(LIMIT);
        assert!(model.has_arrived());
    }
}

#[test]
fn a_rotation_restarts_each_member_twice() {
    let mut model = with_tls();
    annotate(&mut model, ANNOTATION_ROTATE, "once");
    let mut seen: BTreeSet<String> = pods(&model).into_values().collect();
    for _ in 0..200 {
        model.pass();
        seen.extend(pods(&model).into_values());
        model.advance(4);
    }
    assert_as_specified(&model);
    assert_eq!(seen.len(), 3 + 2 * 3);
}

#[test]
fn what_applications_were_ready_for_once_ends_no_wait_of_the_next_rotation() {
    let mut model = of_version("3.6.16");
    model.switch_tls_on(3 * YEAR, 10 * YEAR, 7 * 24 * 3600);
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "tls");
    settle(&mut model);
    annotate(&mut model, ANNOTATION_ROTATE, "once");
    was_called_lost(&mut model, 60);
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "new-authority");
    was_called_lost(&mut model, 60);
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "new-certificates");
    settle(&mut model);
    annotate(&mut model, ANNOTATION_ROTATE, "twice");
    was_called_lost(&mut model, 60);
    model.advance(8 * 24 * 3600);
    was_called_lost(&mut model, 60);
    let kept = |model: &Model| model.secrets["demo-client-ca"].entries.contains_key("previous.crt");
    assert!(kept(&model), "applications have their time again");
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "new-certificates 2");
    settle(&mut model);
    assert!(!kept(&model));
}

#[test]
fn further_names_of_members_stay_for_as_long_as_they_serve_tls() {
    let mut model = of_version("3.6.16");
    model.switch_tls_on(3 * YEAR, 10 * YEAR, 7 * 24 * 3600);
    model.change_spec(|spec| {
        spec.tls.as_mut().expect("tls").extra_names = vec!["etcd.example.com".to_owned()];
    });
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "tls");
    settle(&mut model);
    model.change_spec(|spec| spec.tls = None);
    was_called_lost(&mut model, 100);
    let shown = model.secrets.values().filter_map(|secret| secret.certificate(SERVER.certificate));
    assert!(shown.into_iter().all(|shown| shown.names.contains("etcd.example.com")));
}

#[test]
fn nothing_is_written_again_and_again_when_tls_is_switched_off_in_the_middle_of_a_rotation() {
    let mut model = of_version("3.6.16");
    model.switch_tls_on(3 * YEAR, 10 * YEAR, 7 * 24 * 3600);
    annotate(&mut model, ANNOTATION_CLIENTS_READY, "tls");
    settle(&mut model);
    annotate(&mut model, ANNOTATION_ROTATE, "once");
    was_called_lost(&mut model, 60);
    model.change_spec(|spec| spec.tls = None);
    was_called_lost(&mut model, 100);
    let written = (0..20).map(|_| model.pass().actions.len()).sum::<usize>();
    assert_eq!(written, 0);
}
