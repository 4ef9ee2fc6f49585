//! Tests of what is said of a pod.

use super::*;
use serde_json::json;

fn pod(policy: &str) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p"},
        "spec": {"restartPolicy": policy, "containers": [{"name": "a", "image": "i"}]}}))
    .unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn report(pod: &Pod, state: State, ready: bool, terminating: bool) -> PodStatus {
    let mut containers = Containers::of(pod);
    containers.0[0].state = state;
    containers.0[0].ready = ready;
    let inputs = Inputs {
        containers: &containers,
        host_address: "172.18.0.2",
        pod_address: Some("10.244.0.10"),
        start_time: at(0),
        sandbox_ready: true,
        terminating,
        now: at(5),
    };
    status(pod, &inputs)
}

fn ended(exit_code: i32) -> State {
    State::Terminated(Termination {
        exit_code,
        signal: None,
        reason: "Completed".into(),
        message: String::new(),
        started_at: None,
        finished_at: at(3),
        container_id: "x".into(),
    })
}

fn is_ready(status: &PodStatus) -> bool {
    status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}

#[test]
fn a_running_container_makes_a_running_pod_that_is_ready_with_it() {
    let pod = pod("Always");
    let status = report(&pod, State::Running { started_at: at(1) }, true, false);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(is_ready(&status));
    assert!(!is_ready(&report(&pod, State::Running { started_at: at(1) }, false, false)));
}

#[test]
fn a_container_that_ends_for_good_decides_the_phase() {
    assert_eq!(report(&pod("Never"), ended(0), false, false).phase.as_deref(), Some("Succeeded"));
    assert_eq!(report(&pod("Never"), ended(1), false, false).phase.as_deref(), Some("Failed"));
    assert_eq!(report(&pod("Always"), ended(1), false, false).phase.as_deref(), Some("Running"));
    assert_eq!(report(&pod("Always"), ended(1), false, true).phase.as_deref(), Some("Failed"));
}

#[test]
fn a_condition_keeps_its_transition_time_while_its_status_stays() {
    let mut pod = pod("Always");
    let first = report(&pod, State::Running { started_at: at(1) }, true, false);
    let mut earlier = first.conditions.clone().unwrap();
    earlier.iter_mut().for_each(|one| one.last_transition_time = Some(Time(at(1))));
    pod.status = Some(PodStatus { conditions: Some(earlier.clone()), ..first });
    let second = report(&pod, State::Running { started_at: at(1) }, true, false);
    assert_eq!(second.conditions.unwrap(), earlier);
}

#[test]
fn conditions_of_others_are_not_written() {
    let mut pod = pod("Always");
    let disruption =
        PodCondition { type_: "DisruptionTarget".into(), status: "True".into(), ..PodCondition::default() };
    pod.status = Some(PodStatus { conditions: Some(vec![disruption]), ..PodStatus::default() });
    let status = report(&pod, State::Running { started_at: at(1) }, true, false);
    let kinds: Vec<String> = status.conditions.unwrap().into_iter().map(|one| one.type_).collect();
    assert_eq!(kinds, ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"]);
}
