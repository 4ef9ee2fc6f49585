//! Checks of containers: those of a pod, those before it, and those that join it.
//!
//! Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::handler::{self, ProbeKind};
use super::{Whole, mounts, policy, resources, security, variables};
use crate::apiserver::json::{list, text};
use crate::apiserver::validation::forms;
use crate::apiserver::validation::report::Report;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// One of the containers that make up a pod.
pub(super) fn main<'a>(
    container: &'a Value,
    at: &str,
    whole: &Whole<'_>,
    names: &mut BTreeSet<&'a str>,
    report: &mut Report,
) {
    common(container, at, whole, report);
    let name = text(container, "/name");
    if !names.insert(name) {
        report.duplicate(format!("{at}.name"), name);
    }
    running(container, at, whole, report);
}

/// One of the containers that run before, or beside those if it is restarted always.
pub(super) fn init<'a>(
    container: &'a Value,
    at: &str,
    whole: &Whole<'_>,
    names: &mut BTreeSet<&'a str>,
    report: &mut Report,
) {
    common(container, at, whole, report);
    let restart = container.get("restartPolicy").and_then(Value::as_str);
    if let Some(restart) = restart {
        report.one_of(format!("{at}.restartPolicy"), restart, &["Always"]);
    }
    let name = text(container, "/name");
    if names.contains(name) {
        report.duplicate(format!("{at}.name"), name);
    } else if !name.is_empty() {
        names.insert(name);
    }
    if restart == Some("Always") {
        return running(container, at, whole, report);
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(field).is_some() {
            let why = "may not be set for init containers without restartPolicy=Always";
            report.forbidden(format!("{at}.{field}"), why);
        }
    }
}

/// One of the containers that join a running pod.
pub(super) fn ephemeral<'a>(
    container: &'a Value,
    at: &str,
    whole: &Whole<'_>,
    lasting: &BTreeSet<&str>,
    names: &mut BTreeSet<&'a str>,
    report: &mut Report,
) {
    // In the order of the fields in Go.
    const NOT_THEIRS: [&str; 9] = [
        "ports",
        "resources",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ];
    common(container, at, whole, report);
    image_margins(container, at, report);
    let name = text(container, "/name");
    if !names.insert(name) {
        report.duplicate(format!("{at}.name"), name);
    }
    let target = text(container, "/targetContainerName");
    if !target.is_empty() && !lasting.contains(target) {
        report.not_found(format!("{at}.targetContainerName"), target);
    }
    let is_set = |value: &Value| match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    for field in NOT_THEIRS {
        if container.get(field).is_some_and(is_set) {
            report.forbidden(format!("{at}.{field}"), "cannot be set for an Ephemeral Container");
        }
    }
    for (index, mount) in list(container.get("volumeMounts")).enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if !text(mount, &format!("/{field}")).is_empty() {
                let path = format!("{at}.volumeMounts[{index}].{field}");
                report.forbidden(path, "cannot be set for an Ephemeral Container");
            }
        }
    }
}

/// Pods are refused for space around an image's name, templates are not.
pub(in crate::apiserver::validation) fn image_margins(container: &Value, at: &str, report: &mut Report) {
    let image = text(container, "/image");
    if image.trim() != image {
        report.invalid(format!("{at}.image"), image, "must not have leading or trailing whitespace");
    }
}

/// No two containers that run together take the same port of the node.
pub(super) fn host_ports<'a>(containers: impl Iterator<Item = &'a Value>, at: &str, report: &mut Report) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.enumerate() {
        for (number, port) in list(container.get("ports")).enumerate() {
            let Some(host) = port.get("hostPort").and_then(Value::as_i64).filter(|host| *host != 0) else {
                continue;
            };
            let key = format!("{}/{}/{host}", text(port, "/protocol"), text(port, "/hostIP"));
            if !taken.insert(key.clone()) {
                report.duplicate(format!("{at}[{index}].ports[{number}].hostPort"), key);
            }
        }
    }
}

fn running(container: &Value, at: &str, whole: &Whole<'_>, report: &mut Report) {
    handler::lifecycle(container, &format!("{at}.lifecycle"), whole.grace_seconds, report);
    for (field, kind) in [
        ("livenessProbe", ProbeKind::Liveness),
        ("readinessProbe", ProbeKind::Readiness),
        ("startupProbe", ProbeKind::Startup),
    ] {
        if let Some(probe) = container.get(field) {
            handler::probe(probe, kind, &format!("{at}.{field}"), whole.grace_seconds, report);
        }
    }
}

fn common(container: &Value, at: &str, whole: &Whole<'_>, report: &mut Report) {
    match text(container, "/name") {
        "" => report.required(format!("{at}.name"), ""),
        name => report.all(&format!("{at}.name"), name, forms::dns_label(name)),
    }
    if text(container, "/image").is_empty() {
        report.required(format!("{at}.image"), "");
    }
    let known = ["File", "FallbackToLogsOnError"];
    let path = format!("{at}.terminationMessagePolicy");
    policy(text(container, "/terminationMessagePolicy"), path, &known, report);
    ports(container, &format!("{at}.ports"), report);
    variables::named(container, &format!("{at}.env"), report);
    variables::from_objects(container, &format!("{at}.envFrom"), report);
    mounts::check(container, at, whole, report);
    let known = ["Always", "IfNotPresent", "Never"];
    policy(text(container, "/imagePullPolicy"), format!("{at}.imagePullPolicy"), &known, report);
    resources::of_container(&container["resources"], &format!("{at}.resources"), report);
    resources::resizing(container, &format!("{at}.resizePolicy"), whole.restart_policy, report);
    security::of_container(container, &format!("{at}.securityContext"), report);
}

fn ports(container: &Value, at: &str, report: &mut Report) {
    let mut names = BTreeSet::new();
    for (index, port) in list(container.get("ports")).enumerate() {
        let path = format!("{at}[{index}]");
        let name = text(port, "/name");
        let wrong = if name.is_empty() { Vec::new() } else { forms::port_name(name) };
        if !wrong.is_empty() {
            report.all(&format!("{path}.name"), name, wrong);
        } else if !name.is_empty() && !names.insert(name) {
            report.duplicate(format!("{path}.name"), name);
        }
        let in_range = |number: i64| (1..=65535).contains(&number);
        let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
        match number("containerPort") {
            0 => report.required(format!("{path}.containerPort"), ""),
            number if !in_range(number) => {
                report.invalid(format!("{path}.containerPort"), number, forms::PORT_RANGE);
            }
            _ => {}
        }
        let host = number("hostPort");
        if host != 0 && !in_range(host) {
            report.invalid(format!("{path}.hostPort"), host, forms::PORT_RANGE);
        }
        policy(text(port, "/protocol"), format!("{path}.protocol"), &PROTOCOLS, report);
    }
}
