//! Tests of what a pod does next.

use super::*;
use serde_json::json;

fn containers(spec: serde_json::Value) -> Containers {
    Containers::of(&serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn start(containers: &mut Containers, name: &str, second: i64) {
    let record = containers.get_mut(name).unwrap();
    record.note_start(at(second));
    record.state = State::Running { started_at: at(second) };
}

fn end(containers: &mut Containers, name: &str, exit_code: i32, second: i64) {
    let termination = Termination {
        exit_code,
        signal: None,
        reason: "Error".into(),
        message: String::new(),
        started_at: None,
        finished_at: at(second),
        container_id: String::new(),
    };
    containers.get_mut(name).unwrap().state = State::Terminated(termination);
}

#[test]
fn init_containers_run_one_after_the_other_and_before_all_others() {
    let spec = json!({"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}, {"name": "b"}]});
    let mut containers = containers(spec);
    for name in ["i", "j"] {
        assert_eq!(containers.next(RestartPolicy::Always, at(0)).start, [name]);
        start(&mut containers, name, 0);
        assert_eq!(containers.next(RestartPolicy::Always, at(0)), Steps::default());
        end(&mut containers, name, 0, 0);
    }
    assert_eq!(containers.next(RestartPolicy::Always, at(0)).start, ["a", "b"]);
}

#[test]
fn a_failed_init_container_is_started_again_unless_the_policy_is_never() {
    let mut containers =
        containers(json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}]}));
    start(&mut containers, "i", 0);
    end(&mut containers, "i", 1, 1);
    assert_eq!(containers.next(RestartPolicy::Always, at(1)).start, ["i"]);
    assert_eq!(containers.next(RestartPolicy::Never, at(1)), Steps::default());
}

#[test]
fn a_container_that_ends_again_waits_for_its_back_off() {
    let mut containers = containers(json!({"containers": [{"name": "a"}]}));
    start(&mut containers, "a", 0);
    end(&mut containers, "a", 1, 1);
    assert_eq!(containers.next(RestartPolicy::Always, at(1)).start, ["a"]);
    start(&mut containers, "a", 1);
    end(&mut containers, "a", 1, 2);
    let steps = containers.next(RestartPolicy::Always, at(2));
    assert_eq!(steps.hold, [("a".to_owned(), SignedDuration::from_secs(10))]);
    assert_eq!(steps.wake_at, Some(at(12)));
    containers.get_mut("a").unwrap().note_hold("waits".into());
    assert_eq!(containers.next(RestartPolicy::Always, at(12)).start, ["a"]);
    assert_eq!(containers.get("a").unwrap().restarts, 1);
}

#[test]
fn a_container_that_succeeded_is_started_again_only_by_policy_always() {
    let mut containers = containers(json!({"containers": [{"name": "a"}]}));
    start(&mut containers, "a", 0);
    end(&mut containers, "a", 0, 1);
    assert_eq!(containers.next(RestartPolicy::Always, at(1)).start, ["a"]);
    assert_eq!(containers.next(RestartPolicy::OnFailure, at(1)), Steps::default());
}

#[test]
fn an_ephemeral_container_starts_at_once_and_only_once() {
    let spec = json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}],
        "ephemeralContainers": [{"name": "e", "targetContainerName": "a"}]});
    let mut containers = containers(spec);
    assert_eq!(containers.next(RestartPolicy::Always, at(0)).start, ["e", "i"]);
    start(&mut containers, "e", 0);
    end(&mut containers, "e", 1, 1);
    assert_eq!(containers.next(RestartPolicy::Always, at(1)).start, ["i"]);
}

#[test]
fn a_sidecar_runs_beside_the_others_comes_back_when_it_ends_and_is_ended_last() {
    let spec = json!({"initContainers": [
        {"name": "side", "restartPolicy": "Always"}, {"name": "once"}, {"name": "late", "restartPolicy": "Always"},
    ], "containers": [{"name": "main"}]});
    let mut containers = containers(spec);
    assert_eq!(containers.next(RestartPolicy::Never, at(0)).start, ["side"]);
    start(&mut containers, "side", 0);
    assert!(containers.next(RestartPolicy::Never, at(0)).start.is_empty(), "it has not started yet");
    containers.get_mut("side").unwrap().started = true;
    assert_eq!(containers.next(RestartPolicy::Never, at(0)).start, ["once"]);
    start(&mut containers, "once", 0);
    end(&mut containers, "once", 0, 1);
    assert_eq!(containers.next(RestartPolicy::Never, at(1)).start, ["late"]);
    start(&mut containers, "late", 1);
    containers.get_mut("late").unwrap().started = true;
    assert_eq!(containers.next(RestartPolicy::Never, at(1)).start, ["main"]);
    start(&mut containers, "main", 1);
    end(&mut containers, "side", 1, 2);
    assert_eq!(containers.next(RestartPolicy::Never, at(2)).start, ["side"]);
    start(&mut containers, "side", 2);
    assert!(containers.initialized(), "it stays so");
    end(&mut containers, "main", 0, 3);
    assert_eq!(containers.next(RestartPolicy::Never, at(3)).stop.as_deref(), Some("late"));
    end(&mut containers, "late", 143, 4);
    let steps = containers.next(RestartPolicy::Never, at(4));
    assert_eq!((steps.stop.as_deref(), steps.start.len()), (Some("side"), 0));
}
