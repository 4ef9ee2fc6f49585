//! Checks of Jobs and CronJobs, and what of a Job can't change.
//!
//! Pure.

use serde_json::{Value, json};

use super::{enumeration, forms, pod};
use crate::apiserver::error::Cause;
use crate::apiserver::job;
use crate::apiserver::json::{set_or_remove, text};
use crate::cron::{Schedule, time_zone};
use crate::store::selector::Selector;

/// Kubernetes allows no more pods at once in an indexed Job.
const MOST_PARALLEL: i64 = 100_000;
/// A CronJob's name gets eleven characters more in its Jobs, whose names have at most 63.
const LONGEST_CRON_NAME: usize = 52;

/// What is wrong with a Job.
pub(super) fn job(new: &Value) -> Vec<Cause> {
    let mut causes = generated_labels(new);
    causes.extend(job_spec(&new["spec"], "spec"));
    match new.pointer("/spec/selector") {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(selector) => {
            let template = &new["spec"]["template"];
            if Selector::from_object(selector).is_ok_and(|selector| !selector.matches(template)) {
                let why = "`selector` does not match template `labels`";
                causes.push(Cause::invalid(
                    "spec.template.metadata.labels",
                    &template["metadata"]["labels"],
                    why,
                ));
            }
        }
    }
    causes.extend(host_name(new));
    causes
}

/// Unless the user cares for the selector, the template carries the labels that the API server gave it.
fn generated_labels(new: &Value) -> Vec<Cause> {
    if new.pointer("/spec/manualSelector") == Some(&json!(true)) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    let labels = &new["spec"]["template"]["metadata"]["labels"];
    for (label, expected) in job::labels(text(new, "/metadata/uid"), text(new, "/metadata/name")) {
        let field = format!("spec.template.metadata.labels[{label}]");
        match labels.get(&label) {
            None => causes.push(Cause::required(field, &format!("must be '{expected}'"))),
            Some(found) if *found == json!(expected) => {}
            Some(_) => causes.push(Cause::invalid(field, labels, &format!("must be '{expected}'"))),
        }
    }
    let generated = job::labels(text(new, "/metadata/uid"), text(new, "/metadata/name"));
    let generated: serde_json::Map<_, _> =
        generated.into_iter().map(|(label, value)| (label, json!(value))).collect();
    let pod = json!({"metadata": {"labels": generated}});
    let selector = &new["spec"]["selector"];
    if Selector::from_object(selector).is_ok_and(|own| !own.matches(&pod)) {
        causes.push(Cause::invalid("spec.selector", selector, "`selector` not auto-generated"));
    }
    causes
}

/// Pods of an indexed Job are named as hosts after the Job and their index.
fn host_name(new: &Value) -> Option<Cause> {
    let completions = new.pointer("/spec/completions").and_then(Value::as_i64).filter(|count| *count > 0)?;
    let host = format!("{}-{}", text(new, "/metadata/name"), completions - 1);
    let is_indexed = text(new, "/spec/completionMode") == "Indexed";
    let why = format!("will not able to create pod with invalid DNS label: {host}");
    (is_indexed && !forms::dns_label(&host).is_empty())
        .then(|| Cause::invalid("metadata.name", &new["metadata"]["name"], &why))
}

fn job_spec(spec: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        causes.extend(negative(spec, path, field));
    }
    let mode = enumeration(spec, "completionMode", &["NonIndexed", "Indexed"]);
    causes.extend(mode.map(|cause| below(path, cause)));
    causes.extend(by_mode(spec, path));
    causes.extend(replacement(spec, path));
    causes.extend(pod::template(&spec["template"], &format!("{path}.template")).into_causes());
    causes.extend(restart_policy(spec, path));
    causes
}

fn below(path: &str, cause: Cause) -> Cause {
    Cause { field: format!("{path}.{}", cause.field), ..cause }
}

fn negative(spec: &Value, path: &str, field: &str) -> Option<Cause> {
    let value = spec.get(field).filter(|value| value.as_i64().is_some_and(|number| number < 0))?;
    Some(Cause::invalid(format!("{path}.{field}"), value, "must be greater than or equal to 0"))
}

fn by_mode(spec: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if text(spec, "/completionMode") == "Indexed" {
        if spec.get("completions").is_none() {
            causes.push(Cause::required(format!("{path}.completions"), "when completion mode is Indexed"));
        }
        if let Some(value) =
            spec.get("parallelism").filter(|value| value.as_i64().is_some_and(|many| many > MOST_PARALLEL))
        {
            let why =
                format!("must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed");
            causes.push(Cause::invalid(format!("{path}.parallelism"), value, &why));
        }
        return causes;
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
        if let Some(value) = spec.get(field) {
            causes.push(Cause::invalid(format!("{path}.{field}"), value, "requires indexed completion mode"));
        }
    }
    causes
}

fn replacement(spec: &Value, path: &str) -> Option<Cause> {
    let has_rules = spec.get("podFailurePolicy").is_some();
    let supported: &[&str] = if has_rules { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    enumeration(spec, "podReplacementPolicy", supported).map(|cause| below(path, cause))
}

fn restart_policy(spec: &Value, path: &str) -> Option<Cause> {
    let field = format!("{path}.template.spec.restartPolicy");
    let policy = spec.pointer("/template/spec/restartPolicy");
    let has_rules = spec.get("podFailurePolicy").is_some();
    match policy.and_then(Value::as_str) {
        None | Some("" | "Always") => Some(Cause::required(field, "valid values: \"OnFailure\", \"Never\"")),
        Some("OnFailure") if has_rules => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            Some(Cause::invalid(field, &json!("OnFailure"), why))
        }
        Some("OnFailure" | "Never") => None,
        Some(other) => {
            let supported = ["OnFailure", "Never"].map(str::to_owned);
            Some(Cause::unsupported(field, &json!(other), &supported))
        }
    }
}

/// What is wrong with a change of a Job.
pub(super) fn job_update(old: &Value, new: &Value) -> Vec<Cause> {
    let mut fixed = vec![
        "selector",
        "template",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ];
    let mut causes = Vec::new();
    if text(new, "/spec/completionMode") != "Indexed" {
        fixed.insert(0, "completions");
    } else if old["spec"]["completions"] != new["spec"]["completions"]
        && new["spec"]["completions"] != new["spec"]["parallelism"]
    {
        let why = "can only be modified in tandem with spec.parallelism";
        causes.push(Cause::invalid("spec.completions", &new["spec"]["completions"], why));
    }
    let old = if may_be_placed_anew(old) { with_placement_of(old, new) } else { old.clone() };
    for field in fixed {
        if old["spec"].get(field) != new["spec"].get(field) {
            let value = new["spec"].get(field).unwrap_or(&Value::Null);
            causes.push(Cause::invalid(format!("spec.{field}"), value, "field is immutable"));
        }
    }
    causes
}

/// A suspended Job that never started may still be told where to run.
fn may_be_placed_anew(old: &Value) -> bool {
    old.pointer("/spec/suspend") == Some(&json!(true)) && old.pointer("/status/startTime").is_none()
}

fn with_placement_of(old: &Value, new: &Value) -> Value {
    let mut old = old.clone();
    for (part, fields) in [
        ("spec", ["nodeSelector", "tolerations", "affinity", "schedulingGates"].as_slice()),
        ("metadata", &["labels", "annotations"]),
    ] {
        for field in fields {
            let wanted = new["spec"]["template"][part].get(*field).cloned();
            if let Some(members) = old["spec"]["template"][part].as_object_mut() {
                set_or_remove(members, field, wanted);
            }
        }
    }
    old
}

/// What is wrong with a new CronJob.
pub(super) fn new_cron_job(new: &Value) -> Vec<Cause> {
    let mut causes = cron_job(new);
    if text(new, "/metadata/name").len() > LONGEST_CRON_NAME {
        let why = "must be no more than 52 characters";
        causes.push(Cause::invalid("metadata.name", &new["metadata"]["name"], why));
    }
    causes
}

/// What is wrong with a CronJob.
pub(super) fn cron_job(new: &Value) -> Vec<Cause> {
    let spec = &new["spec"];
    let mut causes = schedule(spec);
    causes.extend(negative(spec, "spec", "startingDeadlineSeconds"));
    causes.extend(zone(spec));
    causes.extend(enumeration(new, "spec.concurrencyPolicy", &["Allow", "Forbid", "Replace"]));
    causes.extend(job_spec(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec"));
    if let Some(selector) = spec.pointer("/jobTemplate/spec/selector") {
        let field = "spec.jobTemplate.spec.selector";
        causes.push(Cause::invalid(field, selector, "`selector` will be auto-generated"));
    }
    if let Some(manual) =
        spec.pointer("/jobTemplate/spec/manualSelector").filter(|manual| **manual == json!(true))
    {
        let supported = ["nil".to_owned(), "false".to_owned()];
        causes.push(Cause::unsupported("spec.jobTemplate.spec.manualSelector", manual, &supported));
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        causes.extend(negative(spec, "spec", field));
    }
    causes
}

fn schedule(spec: &Value) -> Vec<Cause> {
    let written = text(spec, "/schedule");
    if written.is_empty() {
        return vec![Cause::required("spec.schedule", "")];
    }
    let mut causes = Vec::new();
    let names_zone = written.contains("TZ");
    let fields = written.split_once(' ').map_or(written, |(_, rest)| rest).trim();
    if let Err(why) = Schedule::parse(if names_zone { fields } else { written }) {
        causes.push(Cause::invalid("spec.schedule", &spec["schedule"], &why));
    }
    if names_zone {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        causes.push(Cause::invalid("spec.schedule", &spec["schedule"], why));
    }
    causes
}

fn zone(spec: &Value) -> Option<Cause> {
    let value = spec.get("timeZone")?;
    let name = value.as_str().unwrap_or_default();
    let why = match name {
        "" => "timeZone must be nil or non-empty string".to_owned(),
        name if name.eq_ignore_ascii_case("local") => {
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
        }
        name if time_zone(name).is_none() => format!("unknown time zone {name}"),
        _ => return None,
    };
    Some(Cause::invalid("spec.timeZone", value, &why))
}
