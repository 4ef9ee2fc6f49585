//! Checks of probes, and of what is run after the start and before the end of a container.
//!
//! Pure.

use serde_json::Value;

use crate::apiserver::json::{list, text};
use crate::apiserver::validation::forms;
use crate::apiserver::validation::report::Report;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeKind {
    Liveness,
    Readiness,
    Startup,
}

/// Checks a probe.
pub(super) fn probe(
    probe: &Value,
    kind: ProbeKind,
    at: &str,
    grace_seconds: Option<i64>,
    report: &mut Report,
) {
    action(probe, at, grace_seconds, report);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        report.not_negative(format!("{at}.{field}"), probe.get(field));
    }
    let grace = probe.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    let path = format!("{at}.terminationGracePeriodSeconds");
    if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
        report.invalid(path.clone(), seconds, "must be greater than 0");
    }
    match kind {
        ProbeKind::Liveness | ProbeKind::Startup => {
            let threshold = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(0);
            if threshold != 1 {
                report.invalid(format!("{at}.successThreshold"), threshold, "must be 1");
            }
        }
        ProbeKind::Readiness => {
            if let Some(seconds) = grace {
                report.invalid(path, seconds, "must not be set for readinessProbes");
            }
        }
    }
}

/// Checks what a container runs after its start and before its end.
pub(super) fn lifecycle(container: &Value, at: &str, grace_seconds: Option<i64>, report: &mut Report) {
    let Some(lifecycle) = container.get("lifecycle") else { return };
    for hook in ["postStart", "preStop"] {
        if let Some(handler) = lifecycle.get(hook) {
            action(handler, &format!("{at}.{hook}"), grace_seconds, report);
        }
    }
}

/// Exactly one thing is to be done.
fn action(handler: &Value, at: &str, grace_seconds: Option<i64>, report: &mut Report) {
    let mut found = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let Some(action) = handler.get(kind) else { continue };
        let path = format!("{at}.{kind}");
        found += 1;
        if found > 1 {
            report.forbidden(path, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" => {
                if list(action.get("command")).next().is_none() {
                    report.required(format!("{path}.command"), "");
                }
            }
            "httpGet" => http(action, &path, report),
            "sleep" => sleep(action, &path, grace_seconds, report),
            _ => port(&action["port"], &format!("{path}.port"), report),
        }
    }
    if found == 0 {
        report.required(at, "must specify a handler type");
    }
}

fn http(action: &Value, at: &str, report: &mut Report) {
    if text(action, "/path").is_empty() {
        report.required(format!("{at}.path"), "");
    }
    port(&action["port"], &format!("{at}.port"), report);
    report.one_of(format!("{at}.scheme"), text(action, "/scheme"), &["HTTP", "HTTPS"]);
    for header in list(action.get("httpHeaders")) {
        let name = text(header, "/name");
        report.all(&format!("{at}.httpHeaders"), name, forms::header_name(name));
    }
}

fn sleep(action: &Value, at: &str, grace_seconds: Option<i64>, report: &mut Report) {
    let seconds = action.get("seconds").and_then(Value::as_i64).unwrap_or(0);
    if let Some(grace) = grace_seconds.filter(|grace| seconds < 0 || seconds > *grace) {
        let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        report.invalid(at, seconds, &why);
    }
}

/// A port's number or its name.
pub(in crate::apiserver::validation) fn port(port: &Value, at: &str, report: &mut Report) {
    match port.as_str() {
        Some(name) => report.all(at, name, forms::port_name(name)),
        None => {
            let number = port.as_i64().unwrap_or(0);
            if !(1..=65535).contains(&number) {
                report.invalid(at, number, forms::PORT_RANGE);
            }
        }
    }
}
