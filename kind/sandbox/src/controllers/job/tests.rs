//! Jobs from creation to the end, without an API server: what is written, in which order.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};

use super::*;
use crate::controllers::testing::{
    World, at, from_json, json_of, lines, meta, ready, selector, template, without_status,
};

fn job(spec: Value) -> Job {
    let mut whole = json!({
        "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false,
        "podReplacementPolicy": "TerminatingOrFailed", "selector": selector("work"),
        "template": template("work", "image:1"),
    });
    whole["template"]["spec"]["restartPolicy"] = json!("Never");
    json_patch::merge(&mut whole, &spec);
    Job { metadata: meta("work"), spec: Some(from_json(whole)), status: None }
}

fn world(spec: Value) -> World {
    let mut world = World::default();
    world.add(job(spec));
    world
}

fn status(world: &World) -> Value {
    json_of(&world.snapshot.jobs.get("default", "work").unwrap().status)
}

fn conditions(world: &World) -> Vec<String> {
    let all = status(world)["conditions"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|one| format!("{}={} {}", one["type"], one["status"], one["reason"]).replace('"', ""))
        .collect()
}

/// The pods, in the order of their names.
fn pods(world: &World) -> Vec<Pod> {
    world.snapshot.pods.iter().map(|pod| Pod::clone(pod)).collect()
}

/// Ends the first pod that has not ended.
fn end(world: &mut World, phase: &str, second: i64) {
    let mut pod = pods(world).into_iter().find(|pod| !has_ended(pod)).unwrap();
    let finished = json!({"name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": i32::from(phase == "Failed"), "finishedAt": at(second).to_string()}}});
    pod.status = Some(PodStatus {
        phase: Some(phase.into()),
        container_statuses: Some(vec![from_json(finished)]),
        ..PodStatus::default()
    });
    world.add(pod);
}

#[test]
fn a_pod_is_noted_then_freed_then_counted_and_only_then_the_job_is_complete() {
    let mut world = world(json!({"completions": 1}));
    let begun = world.settle(at(1), reconcile);
    assert_eq!(
        lines(&begun.writes),
        [
            "create Pod work-",
            r#"status Job work {"active":1,"ready":0,"startTime":"1970-01-01T00:00:01Z","terminating":0,"uncountedTerminatedPods":{}}"#
        ]
    );
    assert_eq!(pods(&world)[0].metadata.finalizers, Some(vec![FINALIZER.to_owned()]));
    end(&mut world, "Succeeded", 20);
    let ended = world.settle(at(20), reconcile);
    let kinds: Vec<String> = lines(&ended.writes)
        .iter()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(kinds, ["status Job", "patch Pod", "status Job"]);
    let noted = json_of(&lines(&ended.writes)[0]);
    assert!(noted.as_str().unwrap().contains("uncountedTerminatedPods\":{\"succeeded\":["), "{noted}");
    assert_eq!(
        conditions(&world),
        ["SuccessCriteriaMet=True CompletionsReached", "Complete=True CompletionsReached"]
    );
    assert_eq!(status(&world)["succeeded"], 1);
    assert_eq!(status(&world)["completionTime"], "1970-01-01T00:00:20Z");
    assert_eq!(status(&world)["uncountedTerminatedPods"], json!({}));
}

#[test]
fn no_more_pods_run_than_are_wanted_and_completions_are_missing() {
    let mut world = world(json!({"completions": 3, "parallelism": 2}));
    world.settle(at(10), reconcile);
    assert_eq!(pods(&world).len(), 2);
    end(&mut world, "Succeeded", 11);
    world.settle(at(11), reconcile);
    end(&mut world, "Succeeded", 12);
    world.settle(at(12), reconcile);
    assert_eq!(pods(&world).len(), 3);
    assert_eq!((&status(&world)["active"], &status(&world)["succeeded"]), (&json!(1), &json!(2)));
    end(&mut world, "Succeeded", 13);
    world.settle(at(13), reconcile);
    assert_eq!(status(&world)["succeeded"], 3);
    assert!(conditions(&world).contains(&"Complete=True CompletionsReached".to_owned()));
}

#[test]
fn a_failed_pod_is_replaced_after_a_pause_that_doubles() {
    let mut world = world(json!({"completions": 1}));
    world.settle(at(0), reconcile);
    end(&mut world, "Failed", 100);
    let first = world.settle(at(101), reconcile);
    assert_eq!(first.due, Some(at(110)));
    assert_eq!(pods(&world).len(), 1);
    world.settle(at(110), reconcile);
    assert_eq!(pods(&world).len(), 2);
    end(&mut world, "Failed", 200);
    assert_eq!(world.settle(at(201), reconcile).due, Some(at(220)));
    assert_eq!(status(&world)["failed"], 2);
}

#[test]
fn a_job_fails_once_more_pods_have_failed_than_its_limit_and_ends_the_others() {
    let mut world = world(json!({"completions": 2, "parallelism": 2, "backoffLimit": 0}));
    world.settle(at(0), reconcile);
    end(&mut world, "Failed", 5);
    let outcome = world.settle(at(5), reconcile);
    assert!(without_status(&outcome.writes)[0].starts_with("delete Pod work-"));
    assert_eq!(
        conditions(&world),
        ["FailureTarget=True BackoffLimitExceeded", "Failed=True BackoffLimitExceeded"]
    );
    // The pod that was ended counts as failed, too.
    assert_eq!(status(&world)["failed"], 2);
    assert_eq!(pods(&world).len(), 1);
}

#[test]
fn a_job_that_is_active_for_too_long_fails() {
    let mut world = world(json!({"completions": 1, "activeDeadlineSeconds": 30}));
    assert_eq!(world.settle(at(10), reconcile).due, Some(at(40)));
    world.settle(at(40), reconcile);
    assert_eq!(conditions(&world), ["FailureTarget=True DeadlineExceeded", "Failed=True DeadlineExceeded"]);
    assert!(pods(&world).is_empty());
}

#[test]
fn a_suspended_job_has_no_pods_and_its_time_begins_anew_when_it_is_resumed() {
    let mut world = world(json!({"completions": 1}));
    world.settle(at(0), reconcile);
    let set = |world: &mut World, suspend| {
        let mut job = Job::clone(world.snapshot.jobs.get("default", "work").unwrap());
        job.spec.as_mut().unwrap().suspend = Some(suspend);
        world.add(job);
    };
    set(&mut world, true);
    world.settle(at(50), reconcile);
    assert!(pods(&world).is_empty());
    assert_eq!(conditions(&world), ["Suspended=True JobSuspended"]);
    assert_eq!(status(&world)["failed"], Value::Null);
    set(&mut world, false);
    world.settle(at(70), reconcile);
    assert_eq!(conditions(&world), ["Suspended=False JobResumed"]);
    assert_eq!(status(&world)["startTime"], "1970-01-01T00:01:10Z");
    assert_eq!(pods(&world).len(), 1);
}

#[test]
fn an_indexed_job_has_one_pod_for_each_index_and_replaces_the_index_that_failed() {
    let mut world = world(json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}));
    world.settle(at(0), reconcile);
    let made = pods(&world);
    let names: Vec<_> = made.iter().map(|pod| pod.metadata.generate_name.clone().unwrap()).collect();
    assert_eq!(names, ["work-0-", "work-1-", "work-2-"]);
    assert_eq!(made[1].spec.as_ref().unwrap().hostname.as_deref(), Some("work-1"));
    assert_eq!(made[1].metadata.labels.as_ref().unwrap()[INDEX], "1");
    let variable = json_of(&made[1].spec.as_ref().unwrap().containers[0].env);
    assert_eq!(variable[0]["valueFrom"]["fieldRef"]["fieldPath"], format!("metadata.labels['{INDEX}']"));
    end(&mut world, "Failed", 1);
    end(&mut world, "Succeeded", 1);
    world.settle(at(1), reconcile);
    assert_eq!(status(&world)["completedIndexes"], "1");
    world.settle(at(11), reconcile);
    let again = pods(&world)
        .into_iter()
        .filter(is_active)
        .filter_map(|pod| pod.metadata.annotations?.get(INDEX).cloned());
    let mut again: Vec<String> = again.collect();
    again.sort();
    assert_eq!(again, ["0", "2"]);
    end(&mut world, "Succeeded", 12);
    end(&mut world, "Succeeded", 12);
    world.settle(at(12), reconcile);
    assert_eq!(status(&world)["completedIndexes"], "0-2");
    assert!(conditions(&world).contains(&"Complete=True CompletionsReached".to_owned()));
}

#[test]
fn a_failure_policy_ignores_some_ends_and_fails_the_job_for_others() {
    let rule = |action: &str| json!({"action": action, "onExitCodes": {"operator": "In", "values": [1]}});
    let mut ignoring =
        world(json!({"completions": 1, "backoffLimit": 0, "podFailurePolicy": {"rules": [rule("Ignore")]}}));
    ignoring.settle(at(0), reconcile);
    end(&mut ignoring, "Failed", 1);
    ignoring.settle(at(11), reconcile);
    assert!(conditions(&ignoring).is_empty());
    assert_eq!(pods(&ignoring).iter().filter(|pod| is_active(pod)).count(), 1);
    let mut failing = world(json!({"completions": 1, "podFailurePolicy": {"rules": [rule("FailJob")]}}));
    failing.settle(at(0), reconcile);
    end(&mut failing, "Failed", 1);
    failing.settle(at(1), reconcile);
    assert_eq!(conditions(&failing), ["FailureTarget=True PodFailurePolicy", "Failed=True PodFailurePolicy"]);
    let message = status(&failing)["conditions"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("failed with exit code 1 matching FailJob rule at index 0"), "{message}");
}

#[test]
fn a_success_policy_ends_the_job_before_all_indexes_are_there() {
    let policy = json!({"rules": [{"succeededIndexes": "0"}]});
    let mut world = world(
        json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed", "successPolicy": policy}),
    );
    world.settle(at(0), reconcile);
    end(&mut world, "Succeeded", 1);
    world.settle(at(1), reconcile);
    assert_eq!(conditions(&world), ["SuccessCriteriaMet=True SuccessPolicy", "Complete=True SuccessPolicy"]);
    assert_eq!(pods(&world).len(), 1);
}

#[test]
fn containers_that_start_again_too_often_fail_the_job() {
    let mut job = job(json!({"completions": 1, "backoffLimit": 2}));
    job.spec.as_mut().unwrap().template.spec.as_mut().unwrap().restart_policy = Some("OnFailure".into());
    let mut world = World::default();
    world.add(job);
    world.settle(at(0), reconcile);
    let mut pod = ready(pods(&world).remove(0), at(1));
    let restarted = json!({"name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 2});
    pod.status.as_mut().unwrap().container_statuses = Some(vec![from_json(restarted)]);
    world.add(pod);
    world.settle(at(2), reconcile);
    assert!(conditions(&world).contains(&"Failed=True BackoffLimitExceeded".to_owned()));
}

#[test]
fn pods_of_a_job_that_is_gone_or_over_are_freed() {
    let mut world = world(json!({"completions": 1}));
    world.settle(at(0), reconcile);
    let key = crate::controllers::snapshot::key_of(&meta("work"));
    world.snapshot.bury(crate::controllers::snapshot::Kind::Job, &key, "uid-of-work");
    world.settle(at(1), reconcile);
    assert_eq!(pods(&world)[0].metadata.finalizers, None);
}

#[test]
fn a_job_that_another_controller_manages_is_left_alone() {
    let mut world = world(json!({"completions": 1, "managedBy": "example.com/other"}));
    assert!(world.settle(at(0), reconcile).writes.is_empty());
}

#[test]
fn a_finished_job_is_deleted_when_its_time_is_over() {
    let mut world = world(json!({"completions": 1, "ttlSecondsAfterFinished": 60}));
    world.settle(at(0), reconcile);
    end(&mut world, "Succeeded", 10);
    world.settle(at(10), reconcile);
    assert_eq!(finished::reconcile(&world.snapshot, at(20)).due, Some(at(70)));
    assert_eq!(lines(&finished::reconcile(&world.snapshot, at(70)).writes), ["delete Job work"]);
}
