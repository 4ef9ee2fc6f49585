//! The status is honest: nothing is healthy or ready that did not answer in this very observation.

use etcd_operator_core::api::{EtcdClusterSpec, EtcdClusterStatus, MemberHealth};
use etcd_operator_core::cluster::events;
use etcd_operator_core::cluster::observed::MemberList;
use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_core::cluster::status::status;
use jiff::SignedDuration;
use serde_json::json;

use super::model::{Fault, Model};

fn settled() -> Model {
    let spec: EtcdClusterSpec = serde_json::from_value(json!({"version": "3.6.16"})).expect("a spec");
    let mut model = Model::new(spec);
    model.settle(60);
    model
}

fn condition(status: &EtcdClusterStatus, kind: &str) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind).expect("a condition");
    (found.status.clone(), found.reason.clone())
}

fn is(status: &EtcdClusterStatus, kind: &str, value: &str, reason: &str) {
    assert_eq!(condition(status, kind), (value.to_owned(), reason.to_owned()), "{kind}");
}

#[test]
fn at_rest_the_status_is_the_one_that_is_written_already() {
    let model = settled();
    let before = model.cluster.status.clone().expect("a status");
    assert_eq!(status(&model.observe(), &model.plan()), before);
    assert_eq!((before.ready_members, before.members.len(), before.formed), (3, 3, true));
    assert!(before.members.iter().all(|member| member.id.is_some() && member.version.is_some()));
    assert_eq!(before.members.iter().filter(|member| member.leader).count(), 1);
    assert_eq!(before.bootstrap, None);
}

#[test]
fn answers_that_are_too_old_say_nothing() {
    let model = settled();
    let mut observed = model.observe();
    observed.as_of = observed.as_of.checked_add(SignedDuration::from_secs(6)).expect("a time");
    let status = status(&observed, &Plan::default());
    is(&status, "Available", "Unknown", "ProbeTooOld");
    is(&status, "Ready", "Unknown", "ProbeTooOld");
    is(&status, "Degraded", "Unknown", "ProbeTooOld");
    assert_eq!(status.ready_members, 0);
    assert!(status.members.iter().all(|member| member.health == MemberHealth::Unknown));
}

#[test]
fn an_operator_that_is_cut_off_does_not_know() {
    let mut model = settled();
    let pods: Vec<String> = model.pods.keys().cloned().collect();
    model.unreachable.extend(pods);
    let status = status(&model.observe(), &model.plan());
    is(&status, "Available", "Unknown", "MembersUnreachable");
    is(&status, "Ready", "Unknown", "MembersUnreachable");
    assert_eq!(status.members.len(), 3, "the members are still shown");
    assert!(status.formed);
}

#[test]
fn a_lost_quorum_is_said_at_once() {
    let mut model = settled();
    for member in ["follower", "other"] {
        model.inject(&Fault::Isolate(member.to_owned()));
    }
    model.advance(1);
    let status = status(&model.observe(), &model.plan());
    is(&status, "Available", "False", "QuorumLost");
    is(&status, "Ready", "False", "QuorumLost");
    is(&status, "Degraded", "True", "QuorumLost");
    assert_eq!(status.ready_members, 0, "the one that answers knows no leader");
}

#[test]
fn a_member_that_is_down_degrades_and_the_rest_is_available() {
    let mut model = settled();
    model.inject(&Fault::ScaleToZero("follower".to_owned()));
    model.advance(1);
    let status = status(&model.observe(), &model.plan());
    is(&status, "Available", "True", "QuorumServes");
    is(&status, "Ready", "False", "MemberUnhealthy");
    is(&status, "Degraded", "True", "MemberUnhealthy");
    assert_eq!(status.ready_members, 2);
    let silent = status.members.iter().find(|member| member.silent_since.is_some()).expect("a silent member");
    assert_eq!(silent.health, MemberHealth::Unhealthy);
}

#[test]
fn no_list_at_all_before_the_first_quorum_is_forming() {
    let mut model = Model::new(settled().cluster.spec);
    model.pass();
    let status = status(&model.observe(), &model.plan());
    is(&status, "Available", "False", "Forming");
    assert!(matches!(model.observe().member_list, MemberList::Unknown(_)));
}

#[test]
fn a_hold_has_an_event_when_it_begins_and_not_again() {
    let mut model = settled();
    model.inject(&Fault::Storage("4Gi".to_owned()));
    let first = events::of_new_holds(&model.observe(), &model.plan());
    assert_eq!(first.iter().map(|event| event.reason).collect::<Vec<_>>(), ["VolumesDoNotShrink"]);
    model.pass();
    assert_eq!(events::of_new_holds(&model.observe(), &model.plan()), Vec::new());
    let status = model.cluster.status.expect("a status");
    is(&status, "Progressing", "False", "VolumesDoNotShrink");
    is(&status, "Ready", "False", "VolumesDoNotShrink");
    assert_eq!(status.version.as_deref(), Some("3.6.16"));
}

#[test]
fn a_repair_of_drift_is_told() {
    let mut model = settled();
    model.inject(&Fault::AddPort);
    let told: Vec<_> = model.plan().actions.iter().filter_map(|one| events::of_action(&one.action)).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].reason, told[0].severity.as_str()), ("DriftRepaired", "Warning"));
}
