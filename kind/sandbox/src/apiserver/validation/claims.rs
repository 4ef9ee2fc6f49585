//! Checks of claims on storage, by themselves and in templates.
//!
//! Pure.

use serde_json::Value;

use super::pod::claim_quantity;
use super::report::Report;
use super::{forms, selectors};
use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};
use crate::apiserver::quantity::Quantity;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What is wrong with a claim.
pub(super) fn claim(new: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    spec(&new["spec"], "spec", &mut report);
    report.into_causes()
}

/// Checks what a claim asks for.
pub(super) fn spec(spec: &Value, at: &str, report: &mut Report) {
    let modes: Vec<&str> = list(spec.get("accessModes")).filter_map(Value::as_str).collect();
    let modes_at = format!("{at}.accessModes");
    if modes.is_empty() {
        report.required(modes_at.clone(), "at least 1 access mode is required");
    }
    selectors::check(spec.get("selector"), &format!("{at}.selector"), report);
    for mode in &modes {
        report.one_of(modes_at.clone(), mode, &MODES);
    }
    let is_other = |mode: &&str| *mode != "ReadWriteOncePod" && MODES.contains(mode);
    if modes.contains(&"ReadWriteOncePod") && modes.iter().any(is_other) {
        report.forbidden(modes_at, "may not use ReadWriteOncePod with other access modes");
    }
    size(spec, &format!("{at}.resources[storage]"), report);
    let class = text(spec, "/storageClassName");
    if !class.is_empty() {
        report.all(&format!("{at}.storageClassName"), class, forms::subdomain(class));
    }
    if let Some(mode) = spec.get("volumeMode").and_then(Value::as_str) {
        report.one_of(format!("{at}.volumeMode"), mode, &["Block", "Filesystem"]);
    }
    let class = text(spec, "/volumeAttributesClassName");
    if !class.is_empty() {
        report.all(&format!("{at}.volumeAttributesClassName"), class, forms::subdomain(class));
    }
}

fn size(spec: &Value, at: &str, report: &mut Report) {
    let Some(written) = spec.pointer("/resources/requests/storage") else { return report.required(at, "") };
    let Ok(size) = Quantity::parse(written.as_str().unwrap_or_default()) else { return };
    if size.is_zero() || size.is_negative() {
        report.invalid(at, written.clone(), "must be greater than zero");
    } else {
        claim_quantity("storage", written, at, report);
    }
}
