//! What one process remembers may make it slower, never bolder: a gap between looks, or a new process, begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use etcd_operator_core::cluster::memory::Memory;
use etcd_operator_core::cluster::observed::WarnedKind;
use etcd_operator_core::cluster::plan::{Concern, Hold, Setback, SetbackKind, Wait};
use etcd_operator_core::names::MemberName;
use jiff::SignedDuration;

use super::model::Model;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn member(suffix: &str) -> MemberName {
    let model = Model::new(super::spec_of("3.6.16"));
    MemberName::parse(&model.identity(), &format!("demo-{suffix}")).expect("a member's name")
}

fn silent(names: &[&MemberName]) -> BTreeSet<MemberName> {
    names.iter().map(|name| (*name).clone()).collect()
}

#[test]
fn silence_counts_from_the_first_look_that_found_it_and_only_while_looks_go_on() {
    let (one, other) = (member("aaaaa"), member("bbbbb"));
    let mut memory = Memory::default();
    assert_eq!(memory.note_silence(seconds(100), silent(&[&one]))[&one], SignedDuration::ZERO);
    let after = memory.note_silence(seconds(120), silent(&[&one, &other]));
    assert_eq!(after[&one], SignedDuration::from_secs(20));
    assert_eq!(after[&other], SignedDuration::ZERO);
    // A look without it ends its silence.
    memory.note_silence(seconds(125), silent(&[&other]));
    assert_eq!(memory.note_silence(seconds(130), silent(&[&one]))[&one], SignedDuration::ZERO);
}

#[test]
fn a_gap_between_looks_begins_the_silence_anew() {
    let one = member("aaaaa");
    let mut memory = Memory::default();
    memory.note_silence(seconds(100), silent(&[&one]));
    assert_eq!(memory.note_silence(seconds(130), silent(&[&one]))[&one], SignedDuration::from_secs(30));
    assert_eq!(memory.note_silence(seconds(161), silent(&[&one]))[&one], SignedDuration::ZERO);
}

#[test]
fn volumes_that_can_be_used_nowhere_are_counted_like_silence() {
    let claims = || BTreeSet::from(["data-demo-aaaaa".to_owned()]);
    let mut memory = Memory::default();
    memory.note_cut_off(seconds(1), claims());
    assert_eq!(memory.note_cut_off(seconds(11), claims())["data-demo-aaaaa"], SignedDuration::from_secs(10));
    memory.note_cut_off(seconds(12), BTreeSet::new());
    assert_eq!(memory.note_cut_off(seconds(13), claims())["data-demo-aaaaa"], SignedDuration::ZERO);
}

fn refused(concern: Concern) -> Setback {
    let kind = SetbackKind::Refused("exceeded quota".to_owned());
    Setback { concern, what: "create Service demo".to_owned(), kind }
}

#[test]
fn a_refused_write_is_tried_again_after_pauses_that_double_up_to_half_a_minute() {
    let concern = Concern::Budget;
    let mut memory = Memory::default();
    let mut now = seconds(10);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        memory.note_setback(now, &refused(concern.clone()));
        let just_before = now + seconds(pause) - Duration::from_millis(1);
        assert_eq!(memory.holds_back(just_before, &concern), Some(&refused(concern.clone())), "{pause}");
        now += seconds(pause);
        assert_eq!(memory.holds_back(now, &concern), None, "{pause}");
    }
    assert_eq!(memory.holds_back(now - seconds(20), &Concern::Membership), None, "other concerns go on");
    memory.forget_setbacks(|about| *about == concern);
    memory.note_setback(now, &refused(concern.clone()));
    assert_eq!(memory.holds_back(now + seconds(1), &concern), None, "a success ends the doubling");
}

#[test]
fn what_was_overtaken_is_looked_at_again_at_once() {
    let mut memory = Memory::default();
    for kind in [SetbackKind::Overtaken, SetbackKind::NotOurs] {
        memory.note_setback(seconds(1), &Setback { kind, ..refused(Concern::Budget) });
        assert_eq!(memory.holds_back(seconds(1), &Concern::Budget), None);
    }
}

#[test]
fn a_wait_whose_words_change_is_the_same_wait_and_an_action_ends_it() {
    let wait = |message: &str| {
        vec![Hold::Wait(Wait::Learner { member: member("aaaaa"), message: message.to_owned() })]
    };
    let mut memory = Memory::default();
    assert_eq!(memory.unchanged_for(seconds(1), &wait("10 of 100"), false), seconds(0));
    assert_eq!(memory.unchanged_for(seconds(4), &wait("20 of 100"), false), seconds(3));
    assert_eq!(memory.unchanged_for(seconds(5), &wait("30 of 100"), true), seconds(0));
    assert_eq!(memory.unchanged_for(seconds(7), &wait("40 of 100"), false), seconds(2));
    assert_eq!(memory.unchanged_for(seconds(8), &[], false), seconds(0));
}

#[test]
fn events_are_read_of_what_has_not_come_up_for_a_while_and_not_at_every_look() {
    let pods = || BTreeMap::from([((WarnedKind::Pod, "demo-aaaaa-0".to_owned()), "uid".to_owned())]);
    let mut memory = Memory::default();
    assert_eq!(memory.due_explanations(seconds(10), pods()), None, "most pods come up by themselves");
    assert_eq!(memory.due_explanations(seconds(12), pods()), Some(pods()));
    let words: BTreeMap<_, _> = pods().into_keys().map(|pod| (pod, "FailedMount".to_owned())).collect();
    memory.note_explanations(seconds(12), words.clone());
    assert_eq!(memory.due_explanations(seconds(16), pods()), None);
    assert_eq!(memory.explanations(), words);
    assert_eq!(memory.due_explanations(seconds(17), pods()), Some(pods()));
    memory.due_explanations(seconds(18), BTreeMap::new());
    assert_eq!(memory.explanations(), BTreeMap::new(), "nothing is said of what has come up");
}

#[test]
fn a_process_that_has_not_read_the_objects_yet_counts_from_its_first_try() {
    let mut memory = Memory::default();
    assert_eq!(memory.unobserved_for(seconds(100)), seconds(0));
    assert_eq!(memory.unobserved_for(seconds(105)), seconds(5));
    memory.note_observed(seconds(106));
    assert_eq!(memory.unobserved_for(seconds(107)), seconds(1));
}
