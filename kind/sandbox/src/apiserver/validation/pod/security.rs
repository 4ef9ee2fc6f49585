//! Checks of the identity and the confinement of pods and containers.
//!
//! Pure. What a namespace allows is the business of `pod_security`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::volumes::descending_path;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};
use crate::apiserver::validation::report::Report;

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

/// Checks what holds for all containers of a pod.
pub(super) fn of_pod(spec: &Value, at: &str, report: &mut Report) {
    let Some(context) = spec.get("securityContext") else { return };
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        identity(context.get(field), &format!("{at}.{field}"), report);
    }
    for (index, group) in list(context.get("supplementalGroups")).enumerate() {
        identity(Some(group), &format!("{at}.supplementalGroups[{index}]"), report);
    }
    let is_true = |field: &str| spec.get(field) == Some(&Value::Bool(true));
    if is_true("shareProcessNamespace") && is_true("hostPID") {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        report.invalid(format!("{at}.shareProcessNamespace"), true, why);
    }
    parameters(context, &format!("{at}.sysctls"), report);
    let choices: [(&str, &[&str]); 2] = [
        ("fsGroupChangePolicy", &["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", &["Merge", "Strict"]),
    ];
    let choose = |(field, known): (&str, &[&str]), report: &mut Report| {
        if let Some(policy) = context.get(field).and_then(Value::as_str) {
            report.one_of(format!("{at}.{field}"), policy, known);
        }
    };
    choose(choices[0], report);
    profiles(context, at, report);
    choose(choices[1], report);
}

/// Checks what holds for one container.
pub(super) fn of_container(container: &Value, at: &str, report: &mut Report) {
    let Some(context) = container.get("securityContext") else { return };
    for field in ["runAsUser", "runAsGroup"] {
        identity(context.get(field), &format!("{at}.{field}"), report);
    }
    if let Some(mount) = context.get("procMount").and_then(Value::as_str) {
        report.one_of(format!("{at}.procMount"), mount, &["Default", "Unmasked"]);
    }
    seccomp(context, at, report);
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        if context.get("privileged") == Some(&Value::Bool(true)) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            report.invalid(at, context.clone(), why);
        }
        if list(context.pointer("/capabilities/add")).any(|one| one == "CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            report.invalid(at, context.clone(), why);
        }
    }
    app_armor(context, at, report);
}

fn identity(value: Option<&Value>, at: &str, report: &mut Report) {
    const MOST: i64 = i32::MAX as i64;
    if let Some(number) = value.and_then(Value::as_i64).filter(|number| !(0..=MOST).contains(number)) {
        report.invalid(at, number, &format!("must be between 0 and {MOST}, inclusive"));
    }
}

fn parameters(context: &Value, at: &str, report: &mut Report) {
    const SEGMENT: &str = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    const LONGEST: usize = 253;
    static FORM: LazyLock<String> = LazyLock::new(|| format!("^({SEGMENT}[\\./])*{SEGMENT}$"));
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(&FORM).expect("the form is a regular expression"));
    let mut names = BTreeSet::new();
    for (index, parameter) in list(context.get("sysctls")).enumerate() {
        let path = format!("{at}[{index}].name");
        let name = text(parameter, "/name");
        if name.is_empty() {
            report.required(path, "");
        } else if name.len() > LONGEST || !NAME.is_match(name) {
            let why = format!("must have at most {LONGEST} characters and match regex {}", *FORM);
            report.invalid(path, name, &why);
        } else if names.contains(name) {
            report.duplicate(path, name);
        }
        names.insert(name);
    }
}

fn profiles(context: &Value, at: &str, report: &mut Report) {
    seccomp(context, at, report);
    app_armor(context, at, report);
}

fn seccomp(context: &Value, at: &str, report: &mut Report) {
    let Some(profile) = context.get("seccompProfile") else { return };
    let at = format!("{at}.seccompProfile");
    let kind = text(profile, "/type");
    match kind {
        "" => report.required(format!("{at}.type"), "type is required when seccompProfile is set"),
        kind => report.one_of(format!("{at}.type"), kind, &PROFILES),
    }
    let path = format!("{at}.localhostProfile");
    match (kind, profile.get("localhostProfile").and_then(Value::as_str)) {
        ("Localhost", None) => report.required(path, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => descending_path(file, &path, report),
        (kind, Some(file)) => {
            // As Go shows the profile.
            let shown =
                format!("{{\"Type\":{},\"LocalhostProfile\":{}}}", Value::from(kind), Value::from(file));
            let message = format!("Invalid value: {shown}: can only be set when seccomp type is Localhost");
            report.push(Cause { reason: "FieldValueInvalid", field: path, message });
        }
        (_, None) => {}
    }
}

fn app_armor(context: &Value, at: &str, report: &mut Report) {
    let Some(profile) = context.get("appArmorProfile") else { return };
    let at = format!("{at}.appArmorProfile");
    let path = format!("{at}.localhostProfile");
    let name = profile.get("localhostProfile").and_then(Value::as_str);
    match (text(profile, "/type"), name) {
        ("", _) => report.required(format!("{at}.type"), "type is required when appArmorProfile is set"),
        ("Localhost", None | Some("")) => {
            report.required(path, "must be set when AppArmor type is Localhost");
        }
        ("Localhost", Some(name)) if name.trim() != name => {
            report.invalid(path, name, "must not be padded with whitespace");
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            report.invalid(path, name, "can only be set when AppArmor type is Localhost");
        }
        (kind, _) => report.one_of(format!("{at}.type"), kind, &PROFILES),
    }
}
