//! What each target word means, and what the guard refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{MemberPod, NoTarget, Refusal, SeenMember, View, permit, resolve};
use crate::history::MemberId;
use crate::scenario::{FaultName, Target};

fn member(id: u64, answers: bool) -> SeenMember {
    let name = format!("c-{id}");
    let pod = MemberPod {
        member: name.clone(),
        pod: format!("{name}-0"),
        uid: format!("uid-{id}"),
        address: Some(Ipv4Addr::new(10, 244, 0, u8::try_from(id).expect("small"))),
        ready: answers,
        terminating: false,
    };
    SeenMember { id: MemberId(id), name, learner: false, answers, pod: Some(pod) }
}

fn view(size: u64) -> View {
    let members: Vec<SeenMember> = (1..=size).map(|id| member(id, true)).collect();
    let pods = members.iter().filter_map(|member| member.pod.clone()).collect();
    View { members, leader: Some(MemberId(2)), pods }
}

fn names(view: &View, target: &Target, preference: &[u8]) -> Result<Vec<String>, NoTarget> {
    let chosen = resolve(target, preference, view, &BTreeMap::new())?;
    Ok(chosen.into_iter().map(|member| member.name.clone()).collect())
}

#[test]
fn the_leader_is_the_member_that_leads_now() {
    assert_eq!(names(&view(3), &Target::Leader, &[0, 1, 2]), Ok(vec!["c-2".to_owned()]));
}

#[test]
fn without_a_known_leader_neither_leader_nor_follower_means_anybody() {
    let mut view = view(3);
    view.leader = None;
    assert_eq!(names(&view, &Target::Leader, &[0]), Err(NoTarget::NoLeader));
    assert_eq!(names(&view, &Target::Follower, &[0]), Err(NoTarget::NoLeader));
}

#[test]
fn a_follower_is_the_preferred_voter_that_does_not_lead() {
    assert_eq!(names(&view(3), &Target::Follower, &[1, 0]), Ok(vec!["c-3".to_owned()]));
}

#[test]
fn a_preference_beyond_the_candidates_is_passed_over() {
    assert_eq!(names(&view(3), &Target::Member, &[6, 5, 2]), Ok(vec!["c-3".to_owned()]));
    assert_eq!(names(&view(3), &Target::Member, &[]), Ok(vec!["c-1".to_owned()]));
}

#[test]
fn a_minority_is_as_many_as_can_be_spared() {
    let chosen = names(&view(5), &Target::Minority, &[4, 0, 1, 2, 3]);
    assert_eq!(chosen, Ok(vec!["c-1".to_owned(), "c-5".to_owned()]));
    assert_matches::assert_matches!(names(&view(1), &Target::Minority, &[0]), Err(NoTarget::Nobody(_)));
}

#[test]
fn a_member_without_a_running_pod_is_no_target() {
    let mut view = view(3);
    view.members[1].pod = None;
    assert_matches::assert_matches!(names(&view, &Target::Leader, &[0]), Err(NoTarget::Nobody(_)));
}

#[test]
fn the_same_target_as_an_earlier_fault_must_still_be_there() {
    let fault: FaultName = "first".parse().expect("a name");
    let hit = BTreeMap::from([(fault.clone(), vec!["c-3".to_owned()])]);
    let view = view(3);
    let chosen = resolve(&Target::SameAs(fault.clone()), &[], &view, &hit).expect("it is there");
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].name, "c-3");
    let gone = resolve(&Target::SameAs(fault.clone()), &[], &view, &BTreeMap::new());
    assert_eq!(gone, Err(NoTarget::EarlierGone(fault)));
}

#[test]
fn one_of_three_may_go_and_a_second_may_not() {
    let view = view(3);
    let victims = [&view.members[0]];
    assert_eq!(permit(&view, &victims, &BTreeSet::new()), Ok(()));
    let held = BTreeSet::from(["c-2".to_owned()]);
    assert_matches::assert_matches!(
        permit(&view, &victims, &held),
        Err(Refusal::QuorumLost { voters: 3, left: 1, quorum: 2, .. })
    );
}

#[test]
fn a_voter_that_does_not_answer_counts_as_away() {
    let mut view = view(3);
    view.members[2].answers = false;
    assert_matches::assert_matches!(
        permit(&view, &[&view.members[0]], &BTreeSet::new()),
        Err(Refusal::QuorumLost { .. })
    );
    assert_eq!(permit(&view, &[&view.members[2]], &BTreeSet::new()), Ok(()));
}

#[test]
fn without_a_quorum_nothing_is_permitted() {
    let mut view = view(3);
    for member in &mut view.members {
        member.answers = false;
    }
    assert_eq!(permit(&view, &[], &BTreeSet::new()), Err(Refusal::NoQuorumNow));
}

#[test]
fn a_cluster_is_whole_only_with_every_pod_ready_and_nobody_else() {
    let mut view = view(3);
    assert!(view.is_whole(3));
    assert!(!view.is_whole(5));
    let stray = MemberPod { member: "c-9".to_owned(), ..view.pods[0].clone() };
    view.pods.push(stray);
    assert!(!view.is_whole(3));
}

#[test]
fn all_means_nobody_while_one_of_them_has_no_pod() {
    let all: Vec<String> = (1..=3).map(|id| format!("c-{id}")).collect();
    assert_eq!(names(&view(3), &Target::All, &[]), Ok(all));
    let mut going = view(3);
    if let Some(pod) = &mut going.members[1].pod {
        pod.terminating = true;
    }
    let mut gone = view(3);
    gone.members[1].pod = None;
    for view in [going, gone] {
        assert_eq!(view.without_pod().map(|member| member.name.as_str()), Some("c-2"));
        assert_eq!(names(&view, &Target::All, &[]), Err(NoTarget::PodMissing("c-2".to_owned())));
    }
}
