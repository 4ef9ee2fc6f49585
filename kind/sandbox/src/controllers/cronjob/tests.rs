//! CronJobs over hours, without an API server: which Jobs are made, and when.

use serde_json::{Value, json};

use super::*;
use crate::controllers::testing::{World, at, from_json, json_of, lines, meta, template, without_status};

const HOUR: i64 = 3600;

fn world(spec: Value) -> World {
    let mut whole = json!({
        "schedule": "0 * * * *", "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1, "jobTemplate": {
            "metadata": {"labels": {"app": "backup"}}, "spec": {"template": template("backup", "image:1")},
        },
    });
    json_patch::merge(&mut whole, &spec);
    let mut world = World::default();
    world.add(CronJob { metadata: meta("backup"), spec: Some(from_json(whole)), status: None });
    world
}

fn jobs(world: &World) -> Vec<String> {
    world.snapshot.jobs.iter().map(|job| job.name_any()).collect()
}

fn status(world: &World) -> Value {
    json_of(&world.snapshot.cron_jobs.get("default", "backup").unwrap().status)
}

fn finish(world: &mut World, name: &str, end: &str, second: i64) {
    let mut job = Job::clone(world.snapshot.jobs.get("default", name).unwrap());
    let time = at(second).to_string();
    job.status = Some(from_json(json!({
        "startTime": time, "completionTime": (end == "Complete").then_some(time),
        "conditions": [{"type": end, "status": "True"}],
    })));
    world.add(job);
}

#[test]
fn each_time_of_the_schedule_gets_one_job_named_after_it() {
    let mut world = world(json!({}));
    let early = world.settle(at(10), reconcile);
    assert!(early.writes.is_empty());
    assert_eq!(early.due, Some(at(HOUR) + SignedDuration::from_millis(100)));
    let due = world.settle(at(HOUR), reconcile);
    assert_eq!(without_status(&due.writes), ["create Job backup-60"]);
    assert_eq!(status(&world)["lastScheduleTime"], "1970-01-01T01:00:00Z");
    assert_eq!(status(&world)["active"][0]["name"], "backup-60");
    let job = json_of(&**world.snapshot.jobs.get("default", "backup-60").unwrap());
    assert_eq!(job["metadata"]["annotations"][SCHEDULED_FOR], "1970-01-01T01:00:00Z");
    assert_eq!(job["metadata"]["ownerReferences"][0]["kind"], "CronJob");
    world.settle(at(2 * HOUR), reconcile);
    assert_eq!(jobs(&world), ["backup-120", "backup-60"]);
}

#[test]
fn of_many_missed_times_only_the_newest_is_made_up_for_and_none_that_is_too_late() {
    let mut patient = world(json!({}));
    patient.settle(at(1000 * HOUR + 1800), reconcile);
    assert_eq!(jobs(&patient), ["backup-60000"]);
    let mut strict = world(json!({"startingDeadlineSeconds": 600}));
    assert!(strict.settle(at(HOUR + 601), reconcile).writes.is_empty());
    strict.settle(at(2 * HOUR + 599), reconcile);
    assert_eq!(jobs(&strict), ["backup-120"]);
}

#[test]
fn forbid_waits_for_the_running_job_and_replace_ends_it() {
    let mut forbidding = world(json!({"concurrencyPolicy": "Forbid"}));
    forbidding.settle(at(HOUR), reconcile);
    assert!(forbidding.settle(at(2 * HOUR), reconcile).writes.is_empty());
    finish(&mut forbidding, "backup-60", "Complete", 2 * HOUR + 10);
    forbidding.settle(at(2 * HOUR + 10), reconcile);
    assert_eq!(jobs(&forbidding), ["backup-120", "backup-60"]);
    let mut replacing = world(json!({"concurrencyPolicy": "Replace"}));
    replacing.settle(at(HOUR), reconcile);
    let outcome = replacing.settle(at(2 * HOUR), reconcile);
    assert_eq!(without_status(&outcome.writes), ["delete Job backup-60", "create Job backup-120"]);
    assert_eq!(jobs(&replacing), ["backup-120"]);
}

#[test]
fn finished_jobs_leave_the_list_and_the_oldest_beyond_the_limit_are_deleted() {
    let mut world = world(json!({"successfulJobsHistoryLimit": 1}));
    for hour in 1..=3 {
        world.settle(at(hour * HOUR), reconcile);
        finish(&mut world, &format!("backup-{}", hour * 60), "Complete", hour * HOUR + 5);
        world.settle(at(hour * HOUR + 5), reconcile);
    }
    assert_eq!(jobs(&world), ["backup-180"]);
    assert_eq!(status(&world)["active"], Value::Null);
    assert_eq!(status(&world)["lastSuccessfulTime"], "1970-01-01T03:00:05Z");
}

#[test]
fn a_failed_job_is_kept_apart_from_successes_and_is_no_success() {
    let mut world = world(json!({}));
    world.settle(at(HOUR), reconcile);
    finish(&mut world, "backup-60", "Failed", HOUR + 5);
    let outcome = world.settle(at(HOUR + 5), reconcile);
    assert_eq!(lines(&outcome.writes).len(), 1);
    let told = outcome.writes[0].announcement.as_ref().unwrap();
    assert_eq!(
        (told.reason, told.message.as_str()),
        ("SawCompletedJob", "Saw completed job: backup-60, condition: Failed")
    );
    assert_eq!(status(&world)["lastSuccessfulTime"], Value::Null);
}

#[test]
fn a_suspended_cron_job_starts_nothing_and_a_zone_moves_the_times() {
    let mut suspended = world(json!({"suspend": true}));
    assert!(suspended.settle(at(HOUR), reconcile).writes.is_empty());
    let mut zoned = world(json!({"schedule": "30 5 * * *", "timeZone": "Asia/Kolkata"}));
    zoned.settle(at(24 * HOUR), reconcile);
    // Half past five in Kolkata is midnight in Greenwich.
    assert_eq!(jobs(&zoned), ["backup-1440"]);
    let job = json_of(&**zoned.snapshot.jobs.get("default", "backup-1440").unwrap());
    assert_eq!(job["metadata"]["annotations"][SCHEDULED_FOR], "1970-01-02T05:30:00+05:30");
}

#[test]
fn a_job_that_went_missing_is_taken_off_the_list() {
    let mut world = world(json!({}));
    world.settle(at(HOUR), reconcile);
    let key = crate::controllers::snapshot::key_of(&meta("backup-60"));
    let uid = status(&world)["active"][0]["uid"].as_str().unwrap().to_owned();
    world.snapshot.bury(crate::controllers::snapshot::Kind::Job, &key, &uid);
    let outcome = world.settle(at(HOUR + 1), reconcile);
    assert_eq!(outcome.writes[0].announcement.as_ref().unwrap().reason, "MissingJob");
    assert!(jobs(&world).is_empty());
}
