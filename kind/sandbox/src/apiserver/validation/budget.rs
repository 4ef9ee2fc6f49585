//! Checks of PodDisruptionBudgets, and of the counts and percentages that they share with Deployments.
//!
//! Pure.

use serde_json::Value;

use super::report::Report;
use super::{forms, selectors};
use crate::apiserver::error::Cause;

/// What is wrong with a budget.
pub(super) fn budget(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    let spec = &new["spec"];
    let (least, most) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    if least.is_some() && most.is_some() {
        report.invalid("spec", spec.clone(), "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, value) in [("minAvailable", least), ("maxUnavailable", most)] {
        if let Some(value) = value {
            count_or_percent(value, &format!("spec.{field}"), &mut report);
            at_most_all(value, &format!("spec.{field}"), &mut report);
        }
    }
    selectors::check(spec.get("selector"), "spec.selector", &mut report);
    if let Some(policy) = spec.get("unhealthyPodEvictionPolicy").and_then(Value::as_str) {
        let known = ["AlwaysAllow", "IfHealthyBudget"];
        report.one_of("spec.unhealthyPodEvictionPolicy", policy, &known);
    }
    report.into_causes()
}

/// A number that is not negative, or a percentage.
pub(super) fn count_or_percent(value: &Value, at: &str, report: &mut Report) {
    match value.as_str() {
        Some(text) => report.all(at, text, forms::percent(text)),
        None => report.not_negative(at, Some(value)),
    }
}

/// A percentage of at most a hundred.
pub(super) fn at_most_all(value: &Value, at: &str, report: &mut Report) {
    if percentage(value).is_some_and(|percent| percent > 100) {
        report.invalid(at, value.clone(), "must not be greater than 100%");
    }
}

fn percentage(value: &Value) -> Option<i64> {
    let text = value.as_str().filter(|text| forms::percent(text).is_empty())?;
    text.strip_suffix('%')?.parse().ok()
}

/// The number in a count or a percentage.
pub(super) fn amount(value: &Value) -> i64 {
    percentage(value).or(value.as_i64()).unwrap_or(0)
}
