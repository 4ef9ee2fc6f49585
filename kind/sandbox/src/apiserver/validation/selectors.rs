//! Checks of label selectors, wherever an object holds one.
//!
//! Pure. Matching is the business of `crate::store::selector`.

use serde_json::Value;

use super::forms;
use super::names::label_causes_at;
use super::report::Report;
use crate::apiserver::json::{list, text};

/// What is said of an operator that is none.
pub(super) const NO_OPERATOR: &str = "not a valid selector operator";

/// Checks a selector, if there is one.
pub(super) fn check(selector: Option<&Value>, at: &str, report: &mut Report) {
    let Some(selector) = selector else { return };
    report.extend(label_causes_at(selector.get("matchLabels"), &format!("{at}.matchLabels")));
    for (index, one) in list(selector.get("matchExpressions")).enumerate() {
        let path = format!("{at}.matchExpressions[{index}]");
        let values: Vec<&str> = list(one.get("values")).filter_map(Value::as_str).collect();
        match text(one, "/operator") {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                report.required(format!("{path}.values"), why);
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                report.forbidden(format!("{path}.values"), why);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            operator => report.invalid(format!("{path}.operator"), operator, NO_OPERATOR),
        }
        let key = text(one, "/key");
        report.all(&format!("{path}.key"), key, forms::qualified_name(key));
        for (number, value) in values.iter().enumerate() {
            report.all(&format!("{path}.values[{number}]"), value, forms::label_value(value));
        }
    }
}
