//! Checks of where a pod wants to run: affinity, spreading, tolerations.
//!
//! Pure. Whether a node fits is the scheduler's business.

use serde_json::Value;

use crate::apiserver::json::{list, text};
use crate::apiserver::validation::forms;
use crate::apiserver::validation::report::Report;
use crate::apiserver::validation::selectors::{self, NO_OPERATOR};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Checks the affinity to nodes and to other pods.
pub(super) fn affinity(spec: &Value, at: &str, report: &mut Report) {
    let Some(affinity) = spec.get("affinity") else { return };
    if let Some(nodes) = affinity.get("nodeAffinity") {
        node_affinity(nodes, &format!("{at}.nodeAffinity"), report);
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = affinity.get(field) else { continue };
        for (index, term) in list(pods.get(REQUIRED)).enumerate() {
            pod_term(term, &format!("{at}.{field}.{REQUIRED}[{index}]"), report);
        }
        for (index, weighted) in list(pods.get(PREFERRED)).enumerate() {
            let path = format!("{at}.{field}.{PREFERRED}[{index}]");
            weight(weighted, &path, report);
            pod_term(&weighted["podAffinityTerm"], &format!("{path}.podAffinityTerm"), report);
        }
    }
}

fn weight(term: &Value, at: &str, report: &mut Report) {
    let weight = term.get("weight").and_then(Value::as_i64).unwrap_or(0);
    if !(1..=100).contains(&weight) {
        report.invalid(format!("{at}.weight"), weight, "must be in the range 1-100");
    }
}

fn node_affinity(nodes: &Value, at: &str, report: &mut Report) {
    if let Some(required) = nodes.get(REQUIRED) {
        let path = format!("{at}.{REQUIRED}.nodeSelectorTerms");
        if list(required.get("nodeSelectorTerms")).next().is_none() {
            report.required(path.clone(), "must have at least one node selector term");
        }
        for (index, term) in list(required.get("nodeSelectorTerms")).enumerate() {
            node_term(term, true, &format!("{path}[{index}]"), report);
        }
    }
    for (index, preferred) in list(nodes.get(PREFERRED)).enumerate() {
        let path = format!("{at}.{PREFERRED}[{index}]");
        weight(preferred, &path, report);
        node_term(&preferred["preference"], false, &format!("{path}.preference"), report);
    }
}

fn node_term(term: &Value, checks_values: bool, at: &str, report: &mut Report) {
    for (index, one) in list(term.get("matchExpressions")).enumerate() {
        node_requirement(one, checks_values, &format!("{at}.matchExpressions[{index}]"), report);
    }
    for (index, one) in list(term.get("matchFields")).enumerate() {
        let path = format!("{at}.matchFields[{index}]");
        match text(one, "/operator") {
            "In" | "NotIn" => {
                if list(one.get("values")).count() != 1 {
                    let why =
                        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                    report.required(format!("{path}.values"), why);
                }
            }
            operator => report.invalid(format!("{path}.operator"), operator, NO_OPERATOR),
        }
        match text(one, "/key") {
            "metadata.name" => {
                for (number, name) in list(one.get("values")).enumerate() {
                    let name = name.as_str().unwrap_or_default();
                    report.all(&format!("{path}.values[{number}]"), name, forms::subdomain(name));
                }
            }
            key => report.invalid(format!("{path}.key"), key, "not a valid field selector key"),
        }
    }
}

fn node_requirement(one: &Value, checks_values: bool, at: &str, report: &mut Report) {
    let values: Vec<&str> = list(one.get("values")).filter_map(Value::as_str).collect();
    let path = format!("{at}.values");
    match text(one, "/operator") {
        "In" | "NotIn" if values.is_empty() => {
            report.required(path, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            report.forbidden(path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if values.len() != 1 => {
            report.required(path, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        operator => report.invalid(format!("{at}.operator"), operator, NO_OPERATOR),
    }
    let key = text(one, "/key");
    report.all(&format!("{at}.key"), key, forms::qualified_name(key));
    for (index, value) in values.iter().enumerate().filter(|_| checks_values) {
        report.all(&format!("{at}.values[{index}]"), value, forms::label_value(value));
    }
}

fn pod_term(term: &Value, at: &str, report: &mut Report) {
    for field in ["labelSelector", "namespaceSelector"] {
        selectors::check(term.get(field), &format!("{at}.{field}"), report);
    }
    for name in list(term.get("namespaces")).filter_map(Value::as_str) {
        report.all(&format!("{at}.namespace"), name, forms::dns_label(name));
    }
    label_keys(term, at, report);
    let key = text(term, "/topologyKey");
    if key.is_empty() {
        report.required(format!("{at}.topologyKey"), "can not be empty");
    }
    report.all(&format!("{at}.topologyKey"), key, forms::qualified_name(key));
}

/// The labels whose values a term takes from the pod itself.
fn label_keys(term: &Value, at: &str, report: &mut Report) {
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys: Vec<&str> = list(term.get(field)).filter_map(Value::as_str).collect();
        if !keys.is_empty() && term.get("labelSelector").is_none() {
            let why = "must not be specified when labelSelector is not set";
            report.forbidden(format!("{at}.{field}"), why);
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            report.all(&format!("{at}.{field}[{index}]"), key, forms::qualified_name(key));
        }
    }
    for (index, key) in list(term.get("matchLabelKeys")).enumerate() {
        if list(term.get("mismatchLabelKeys")).any(|other| other == key) {
            let why = "exists in both matchLabelKeys and mismatchLabelKeys";
            report.invalid(format!("{at}.matchLabelKeys[{index}]"), key.clone(), why);
        }
    }
}

/// Checks how pods are to be spread.
pub(super) fn spread(spec: &Value, at: &str, report: &mut Report) {
    let all: Vec<&Value> = list(spec.get("topologySpreadConstraints")).collect();
    for (index, constraint) in all.iter().enumerate() {
        let path = format!("{at}[{index}]");
        positive(constraint.get("maxSkew").or(Some(&Value::from(0))), &format!("{path}.maxSkew"), report);
        let (key, action) = (text(constraint, "/topologyKey"), text(constraint, "/whenUnsatisfiable"));
        if key.is_empty() {
            report.required(format!("{path}.topologyKey"), "can not be empty");
        }
        report.one_of(format!("{path}.whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
        let same = |other: &&Value| {
            text(other, "/topologyKey") == key && text(other, "/whenUnsatisfiable") == action
        };
        if all[index + 1..].iter().any(same) {
            let pair = format!("{{{key}, {action}}}");
            report.duplicate(format!("{path}.{{topologyKey, whenUnsatisfiable}}"), pair);
        }
        domains(constraint, action, &format!("{path}.minDomains"), report);
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(policy) = constraint.get(field).and_then(Value::as_str) {
                report.one_of(format!("{path}.{field}"), policy, &["Honor", "Ignore"]);
            }
        }
        label_keys(constraint, &path, report);
        selectors::check(constraint.get("labelSelector"), &format!("{path}.labelSelector"), report);
    }
}

fn positive(value: Option<&Value>, at: &str, report: &mut Report) {
    if let Some(number) = value.and_then(Value::as_i64).filter(|number| *number <= 0) {
        report.invalid(at, number, "must be greater than zero");
    }
}

fn domains(constraint: &Value, action: &str, at: &str, report: &mut Report) {
    let Some(least) = constraint.get("minDomains") else { return };
    positive(Some(least), at, report);
    if action != "DoNotSchedule" {
        let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        report.invalid(at, least.clone(), &why);
    }
}

/// Checks which taints a pod stands.
pub(in crate::apiserver::validation) fn tolerations(spec: &Value, at: &str, report: &mut Report) {
    for (index, one) in list(spec.get("tolerations")).enumerate() {
        let path = format!("{at}[{index}]");
        let of = |field: &str| text(one, &format!("/{field}"));
        let (key, operator, value, effect) = (of("key"), of("operator"), of("value"), of("effect"));
        if !key.is_empty() {
            report.all(&format!("{path}.key"), key, forms::qualified_name(key));
        } else if operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            report.invalid(format!("{path}.operator"), operator, why);
        }
        if one.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            report.invalid(format!("{path}.effect"), effect, why);
        }
        let operator_at = format!("{path}.operator");
        match operator {
            "Equal" | "" => {
                let wrong = forms::label_value(value);
                if !wrong.is_empty() {
                    report.invalid(operator_at, value, &wrong.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                report.invalid(operator_at, value, "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            other => report.unsupported(operator_at, other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            report.one_of(format!("{path}.effect"), effect, &known);
        }
    }
}
