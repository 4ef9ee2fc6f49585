//! Roles and bindings: rules that can mean something, references and subjects of known kinds. Pure.

use serde_json::{Value, json};

use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks the rules of a Role (`namespaced`) or ClusterRole.
pub(super) fn role(new: &Value, namespaced: bool) -> Vec<Cause> {
    let rules = list(new.get("rules")).enumerate();
    rules.flat_map(|(index, one)| rule(one, namespaced, &format!("rules[{index}]"))).collect()
}

fn rule(rule: &Value, namespaced: bool, at: &str) -> Vec<Cause> {
    let is_empty = |field: &str| list(rule.get(field)).next().is_none();
    let mut causes = Vec::new();
    if is_empty("verbs") {
        causes.push(Cause::required(format!("{at}.verbs"), "verbs must contain at least one value"));
    }
    if !is_empty("nonResourceURLs") {
        let field = format!("{at}.nonResourceURLs");
        if namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            causes.push(Cause::invalid(field.clone(), &rule["nonResourceURLs"], why));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|other| !is_empty(other)) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            causes.push(Cause::invalid(field, &rule["nonResourceURLs"], why));
        }
        return causes;
    }
    for (field, why) in [
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ] {
        if is_empty(field) {
            causes.push(Cause::required(format!("{at}.{field}"), why));
        }
    }
    causes
}

/// Checks a RoleBinding (`namespaced`) or ClusterRoleBinding.
pub(super) fn binding(new: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    causes.extend(one_of("roleRef.apiGroup", text(new, "/roleRef/apiGroup"), &[GROUP]));
    causes.extend(one_of("roleRef.kind", text(new, "/roleRef/kind"), kinds));
    if text(new, "/roleRef/name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    let subjects = list(new.get("subjects")).enumerate();
    causes.extend(subjects.flat_map(|(index, one)| subject(one, namespaced, &format!("subjects[{index}]"))));
    causes
}

fn subject(subject: &Value, namespaced: bool, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if text(subject, "/name").is_empty() {
        causes.push(Cause::required(format!("{at}.name"), ""));
    }
    let group = text(subject, "/apiGroup");
    match text(subject, "/kind") {
        "ServiceAccount" => {
            causes.extend(one_of(&format!("{at}.apiGroup"), group, &[""]));
            if !namespaced && text(subject, "/namespace").is_empty() {
                causes.push(Cause::required(format!("{at}.namespace"), ""));
            }
        }
        "User" | "Group" => causes.extend(one_of(&format!("{at}.apiGroup"), group, &[GROUP])),
        other => causes.extend(one_of(&format!("{at}.kind"), other, &["ServiceAccount", "User", "Group"])),
    }
    causes
}

fn one_of(field: &str, value: &str, supported: &[&str]) -> Option<Cause> {
    let names: Vec<String> = supported.iter().map(|one| (*one).to_owned()).collect();
    (!supported.contains(&value)).then(|| Cause::unsupported(field, &json!(value), &names))
}
