//! The reason that Kubernetes gives is quoted for each member, whatever part of it does not come up.

use etcd_operator_core::api::{EtcdClusterStatus, MemberStatus};
use etcd_operator_core::cluster::observed::{Answer, Observed, Probe, WarnedKind};
use etcd_operator_core::cluster::plan::Plan;
use etcd_operator_core::cluster::status::status;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};

use super::model::Model;

/// What the status says of a member whose pod has this status.
fn said(pod_status: &Value, change: impl FnOnce(&mut Observed, &str)) -> String {
    let mut model = Model::new(super::spec_of("3.6.16"));
    model.settle(60);
    let member = model.resolve("follower").to_string();
    let mut observed = model.observe();
    let name = format!("{member}-0");
    let pod: &mut Pod =
        observed.pods.iter_mut().find(|pod| pod.metadata.name.as_ref() == Some(&name)).expect("its pod");
    pod.status = Some(serde_json::from_value::<PodStatus>(pod_status.clone()).expect("a status"));
    let uid = pod.metadata.uid.clone().expect("a UID");
    observed.probes.insert(uid, Probe { at: observed.as_of, answer: Answer::Silent("refused".to_owned()) });
    change(&mut observed, &member);
    let shown: EtcdClusterStatus = status(&observed, &Plan::default());
    let of_member = |one: &&MemberStatus| one.name == member;
    shown.members.iter().find(of_member).and_then(|one| one.message.clone()).expect("a message")
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    json!({ "containerStatuses": [{ "name": "etcd", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state }] })
}

#[test]
fn the_schedulers_words_are_quoted() {
    let refused = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit" });
    let message = said(&json!({ "conditions": [refused] }), |_, _| ());
    assert!(message.ends_with("Unschedulable: 0/3 nodes fit"), "{message}");
}

#[test]
fn a_failing_pull_is_quoted_and_an_ordinary_start_is_not() {
    let message = said(&waiting("ImagePullBackOff", "not found"), |_, _| ());
    assert!(message.ends_with("etcd: ImagePullBackOff: not found"), "{message}");
    let message = said(&waiting("ContainerCreating", ""), |_, _| ());
    assert_eq!(message, "its container does not run");
}

#[test]
fn how_the_container_ended_is_quoted_with_its_last_line() {
    let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": "first\nnot writable by 65532\n" } });
    let status = json!({ "containerStatuses": [
        { "name": "etcd", "image": "", "imageID": "", "ready": false, "restartCount": 1, "state": ended },
    ] });
    let message = said(&status, |_, _| ());
    assert!(message.ends_with("it ended: Error, exit code 1: not writable by 65532"), "{message}");
}

#[test]
fn a_claim_that_is_not_bound_is_named_first() {
    let message = said(&waiting("ImagePullBackOff", "not found"), |observed, member| {
        let claim = (WarnedKind::Claim, format!("data-{member}"));
        observed.warnings.insert(claim, "ProvisioningFailed: storageclass \"nope\" not found".to_owned());
    });
    assert!(message.ends_with("ProvisioningFailed: storageclass \"nope\" not found"), "{message}");
}

#[test]
fn what_keeps_a_pod_from_being_made_is_quoted() {
    let message = said(&json!({}), |observed, member| {
        let set = (WarnedKind::StatefulSet, member.to_owned());
        observed.warnings.insert(set, "FailedCreate: exceeded quota".to_owned());
        observed.pods.retain(|pod| pod.metadata.name.as_deref() != Some(&format!("{member}-0")));
    });
    assert_eq!(message, "it has no pod: FailedCreate: exceeded quota");
}

#[test]
fn a_quotation_is_cut_where_it_is_too_long_to_read() {
    let refused = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "x".repeat(5000) });
    let message = said(&json!({ "conditions": [refused] }), |_, _| ());
    assert!(message.ends_with("xxx..."), "{message}");
    assert!(message.chars().count() < 500, "{message}");
}
