//! The rules of the level `restricted`, beyond those of `baseline`: what hardened pods must say of themselves.
//!
//! Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::json::{entries, list, text};
use super::baseline::{added, confines, may_not_add, wrong_seccomp};
use super::violation::{Violation, containers_that, plural, quoted, setters, these};
use super::{Rule, rule};

/// In the order of their names.
pub(super) const RULES: &[Rule] = &[
    Rule { since_minor: 8, ..rule("allowPrivilegeEscalation", privilege_escalation) },
    Rule {
        since_minor: 22,
        covers: Some("capabilities_baseline"),
        ..rule("capabilities_restricted", capabilities)
    },
    Rule { covers: Some("hostPathVolumes"), ..rule("restrictedVolumes", volumes) },
    rule("runAsNonRoot", run_as_non_root),
    Rule { since_minor: 23, ..rule("runAsUser", run_as_user) },
    Rule {
        since_minor: 19,
        covers: Some("seccompProfile_baseline"),
        ..rule("seccompProfile_restricted", seccomp)
    },
];

const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Since 1.25 some rules do not ask of pods for Windows what they can't say.
fn is_for_windows(pod: &Value, minor: u32) -> bool {
    minor >= 25 && text(pod, "/spec/os/name") == "windows"
}

fn privilege_escalation(pod: &Value, minor: u32) -> Option<Violation> {
    let place = "/securityContext/allowPrivilegeEscalation";
    let who = containers_that(pod, |one| one.pointer(place) != Some(&Value::Bool(false)));
    let detail = || format!("{} must set securityContext.allowPrivilegeEscalation=false", these(&who));
    let found = !who.is_empty() && !is_for_windows(pod, minor);
    found.then(|| Violation::new("allowPrivilegeEscalation != false", detail()))
}

fn capabilities(pod: &Value, minor: u32) -> Option<Violation> {
    let drops_all =
        |one: &Value| list(one.pointer("/securityContext/capabilities/drop")).any(|name| name == "ALL");
    let missing = containers_that(pod, |one| !drops_all(one));
    let (adding, names) = added(pod, |name| name != "NET_BIND_SERVICE");
    let mut said = Vec::new();
    if !missing.is_empty() {
        said.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", these(&missing)));
    }
    if !adding.is_empty() {
        said.push(may_not_add(&adding, &names));
    }
    let found = !said.is_empty() && !is_for_windows(pod, minor);
    found.then(|| Violation::new("unrestricted capabilities", said.join("; ")))
}

fn volumes(pod: &Value, _: u32) -> Option<Violation> {
    let mut kinds = BTreeSet::new();
    let mut names = Vec::new();
    for volume in list(pod.pointer("/spec/volumes")) {
        let kind = entries(Some(volume)).map(|(field, _)| field.as_str()).find(|field| *field != "name");
        let kind = kind.unwrap_or("unknown");
        if !VOLUMES.contains(&kind) {
            names.push(text(volume, "/name"));
            kinds.insert(kind);
        }
    }
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", names.len()),
        quoted(&names),
        plural("uses", "use", names.len()),
        plural("restricted volume type", "restricted volume types", kinds.len()),
        quoted(&kinds)
    );
    (!names.is_empty()).then(|| Violation::new("restricted volume types", detail))
}

fn run_as_non_root(pod: &Value, _: u32) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    let said = |holder: &Value, place: &str| holder.pointer(place).and_then(Value::as_bool);
    if let Some(who) = setters(pod, |context| context["runAsNonRoot"] == false) {
        return Some(Violation::new(
            REASON,
            format!("{who} must not set securityContext.runAsNonRoot=false"),
        ));
    }
    if said(pod, "/spec/securityContext/runAsNonRoot") == Some(true) {
        return None;
    }
    let silent = containers_that(pod, |one| said(one, "/securityContext/runAsNonRoot").is_none());
    let detail = || format!("pod or {} must set securityContext.runAsNonRoot=true", these(&silent));
    (!silent.is_empty()).then(|| Violation::new(REASON, detail()))
}

fn run_as_user(pod: &Value, _: u32) -> Option<Violation> {
    let who = setters(pod, |context| context["runAsUser"] == 0)?;
    Some(Violation::new("runAsUser=0", format!("{who} must not set runAsUser=0")))
}

fn seccomp(pod: &Value, minor: u32) -> Option<Violation> {
    if is_for_windows(pod, minor) {
        return None;
    }
    if let Some(wrong) = wrong_seccomp(pod) {
        return Some(wrong);
    }
    if confines(text(pod, "/spec/securityContext/seccompProfile/type")) {
        return None;
    }
    let silent = containers_that(pod, |one| one.pointer("/securityContext/seccompProfile").is_none());
    let detail = || {
        let who = these(&silent);
        format!(
            "pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""
        )
    };
    (!silent.is_empty()).then(|| Violation::new("seccompProfile", detail()))
}
