//! When a cluster is looked at next, and what makes it earlier.

use std::time::Duration;

use etcd_operator_core::cluster::memory::Memory;
use etcd_operator_core::cluster::observed::{Answer, LinearizableRead, Observed};
use etcd_operator_core::cluster::pace::{Done, Pace, pace};
use etcd_operator_core::cluster::plan::{Concern, Setback, SetbackKind};
use etcd_operator_core::cluster::status::{differ_in_words_only, status};
use etcd_operator_core::cluster::vigil::{HealthAnswer, Vigil};

use super::converge::settled;
use super::model::Model;

/// The pace after a look at the world as it is now.
fn pace_of(model: &Model, done: &Done, memory: &mut Memory, now: u64) -> Pace {
    let (observed, plan) = (model.observe(), model.plan());
    let status = status(&observed, &plan);
    pace(Duration::from_secs(now), &observed, &plan, &status, done, memory)
}

#[test]
fn what_was_done_is_looked_at_soon_and_what_was_overtaken_a_little_later() {
    let model = settled(3);
    let acted = Done { has_acted: true, setbacks: Vec::new() };
    let mut memory = Memory::default();
    assert_eq!(pace_of(&model, &acted, &mut memory, 0), Pace::After(Duration::from_millis(200)));
    let setback = Setback { concern: Concern::Budget, what: String::new(), kind: SetbackKind::Overtaken };
    let overtaken = Done { has_acted: false, setbacks: vec![setback] };
    assert_eq!(pace_of(&model, &overtaken, &mut memory, 0), Pace::After(Duration::from_secs(1)));
}

#[test]
fn a_cluster_at_rest_is_looked_at_once_more_when_its_members_have_proved_themselves() {
    let mut model = settled(3);
    let Pace::AtRest(Some(pause)) = pace_of(&model, &Done::default(), &mut Memory::default(), 0) else {
        panic!("all is as it should be, and nothing is proven yet");
    };
    assert!(pause > Duration::from_secs(600), "{pause:?}");
    model.advance(i64::try_from(pause.as_secs()).expect("minutes"));
    model.pass();
    assert_eq!(pace_of(&model, &Done::default(), &mut Memory::default(), 0), Pace::AtRest(None));
}

#[test]
fn looks_become_rarer_while_nothing_changes_and_never_so_rare_that_silence_is_not_seen_to_last() {
    let mut model = settled(3);
    let silent = model.resolve("follower");
    model.unreachable.insert(silent.pod());
    let mut memory = Memory::default();
    let pauses: Vec<_> = [0, 60, 300, 600, 3600]
        .map(|now| pace_of(&model, &Done::default(), &mut memory, now))
        .into_iter()
        .map(|pace| pace.pause().expect("something is amiss"))
        .collect();
    let expected = [250, 1000, 5000, 10_000, 10_000].map(Duration::from_millis);
    assert_eq!(pauses, expected);
}

/// The one pod of a member.
fn uid_of(model: &Model, member: &str) -> String {
    model.pods[&model.resolve(member).pod()].metadata.uid.clone().expect("a UID")
}

#[test]
fn a_member_that_answers_differently_is_looked_at_and_one_that_goes_on_as_before_is_not() {
    let mut model = settled(3);
    let mut vigil = Vigil::over(&model.observe());
    let follower = uid_of(&model, "follower");
    assert_eq!(vigil.hear(&follower, HealthAnswer::Well), None);
    let disturbance = vigil.hear(&follower, HealthAnswer::Silent).expect("it was well");
    assert!(disturbance.to_string().ends_with("is silent"), "{disturbance}");
    assert_eq!(vigil.hear("nobody", HealthAnswer::Silent), None);

    let silent = model.resolve("follower");
    model.unreachable.insert(silent.pod());
    let mut vigil = Vigil::over(&model.observe());
    assert_eq!(vigil.hear(&follower, HealthAnswer::Silent), None, "that is known");
    assert!(vigil.hear(&follower, HealthAnswer::Well).is_some(), "it is back");
}

#[test]
fn what_the_first_answer_of_a_member_will_be_is_not_assumed_where_it_does_not_follow() {
    let model = settled(3);
    let follower = uid_of(&model, "follower");
    let mut observed: Observed = model.observe();
    let probe = observed.probes.get_mut(&follower).expect("it was asked");
    if let Answer::Etcd(etcd) = &mut probe.answer {
        etcd.is_learner = true;
        etcd.read = LinearizableRead::NotTried;
    }
    let mut vigil = Vigil::over(&observed);
    assert_eq!(vigil.hear(&follower, HealthAnswer::Unwell), None, "learners serve no such read");
    assert!(vigil.hear(&follower, HealthAnswer::Well).is_some(), "it has become a voter");
}

#[test]
fn how_far_something_is_is_told_from_what_is_so() {
    let model = settled(3);
    let before = status(&model.observe(), &model.plan());
    let mut words = before.clone();
    words.members[0].message = Some("applied 7 of 10 entries".to_owned());
    words.conditions[0].message = "7 of 10".to_owned();
    assert!(differ_in_words_only(&before, &words));
    let mut facts = words;
    facts.ready_members = 2;
    assert!(!differ_in_words_only(&before, &facts));
}

#[test]
fn progress_is_told_every_few_seconds() {
    let mut memory = Memory::default();
    assert!(memory.is_progress_due(Duration::from_secs(1)), "nothing was told yet");
    memory.note_told(Duration::from_secs(10));
    assert!(!memory.is_progress_due(Duration::from_secs(14)));
    assert!(memory.is_progress_due(Duration::from_secs(15)));
}
