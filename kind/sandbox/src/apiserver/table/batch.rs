//! The columns of Jobs and CronJobs. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::{age, column, name, number, text_column, wide};
use super::{Column, age as ages, workload};
use crate::apiserver::json::{list, text};

const CRON_CONTAINERS: &str = "/spec/jobTemplate/spec/template/spec/containers";

pub(super) fn jobs() -> Vec<Column> {
    vec![
        name(),
        text_column("Status", |job, _| json!(status(job))),
        text_column("Completions", |job, _| json!(completions(job))),
        text_column("Duration", |job, now| json!(duration(job, now))),
        age(),
        wide("Containers", |job, _| workload::of_containers(job, "name")),
        wide("Images", |job, _| workload::of_containers(job, "image")),
        wide("Selector", |job, _| workload::selector(&job["spec"]["selector"])),
    ]
}

pub(super) fn cron_jobs() -> Vec<Column> {
    vec![
        name(),
        text_column("Schedule", |cron, _| cron["spec"]["schedule"].clone()),
        text_column("Timezone", |cron, _| json!(cron["spec"]["timeZone"].as_str().unwrap_or("<none>"))),
        column("Suspend", "boolean", 0, suspend),
        number("Active", |cron, _| json!(list(cron.pointer("/status/active")).count())),
        text_column("Last Schedule", last_schedule),
        age(),
        wide("Containers", |cron, _| workload::of_containers_at(cron, CRON_CONTAINERS, "name")),
        wide("Images", |cron, _| workload::of_containers_at(cron, CRON_CONTAINERS, "image")),
        wide("Selector", |cron, _| workload::selector(&cron["spec"]["jobTemplate"]["spec"]["selector"])),
    ]
}

fn status(job: &Value) -> &'static str {
    let has = |kind: &str| {
        list(job.pointer("/status/conditions")).any(|one| one["type"] == kind && one["status"] == "True")
    };
    let leaving = job.pointer("/metadata/deletionTimestamp").is_some();
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if leaving => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = workload::count(job, "/status/succeeded");
    let parallelism = job.pointer("/spec/parallelism").and_then(Value::as_i64).unwrap_or(0);
    match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(completions) => format!("{succeeded}/{completions}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let time = |pointer: &str| text(job, pointer).parse::<Timestamp>().ok();
    let end = time("/status/completionTime").unwrap_or(now);
    time("/status/startTime")
        .map_or_else(String::new, |start| ages::short(end.duration_since(start).as_secs()))
}

fn suspend(cron: &Value, _now: Timestamp) -> Value {
    json!(match cron.pointer("/spec/suspend").and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    })
}

fn last_schedule(cron: &Value, now: Timestamp) -> Value {
    match text(cron, "/status/lastScheduleTime") {
        "" => json!("<none>"),
        time => json!(ages::since(time, now)),
    }
}
