//! What a rule finds, and the words and looks that rules share.
//!
//! Pure.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::super::json::{list, text};

/// Something in a pod that a rule forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    reason: String,
    detail: String,
}

impl Violation {
    pub(super) fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: reason.into(), detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.reason, self.detail)
    }
}

/// All containers of a pod, in the order in which rules look at them.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let fields = ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"];
    fields.into_iter().flat_map(|field| list(pod.pointer(field)))
}

/// The text at a place, if there is one.
pub(super) fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The names of the containers of which something is true.
pub(super) fn containers_that(pod: &Value, is_so: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(pod).filter(|one| is_so(one)).map(|one| text(one, "/name")).collect()
}

/// Who sets something wrong in a security context, the pod itself or containers; nothing if nobody does.
pub(super) fn setters(pod: &Value, is_wrong: impl Fn(&Value) -> bool) -> Option<String> {
    let of = |holder: &Value, pointer: &str| holder.pointer(pointer).is_some_and(&is_wrong);
    let mut found = Vec::new();
    if of(pod, "/spec/securityContext") {
        found.push("pod".to_owned());
    }
    let wrong = containers_that(pod, |one| of(one, "/securityContext"));
    if !wrong.is_empty() {
        found.push(these(&wrong));
    }
    (!found.is_empty()).then(|| found.join(" and "))
}

/// The values that security contexts hold at a place, of the pod and of its containers, if they are wrong.
pub(super) fn wrong_values(pod: &Value, place: &str, is_wrong: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let own = pod.pointer(&format!("/spec/securityContext{place}"));
    let others = containers(pod).filter_map(|one| one.pointer(&format!("/securityContext{place}")));
    let values = own.into_iter().chain(others).map(|value| value.as_str().unwrap_or_default());
    values.filter(|value| is_wrong(value)).map(str::to_owned).collect()
}

/// `container "a"`, `containers "a", "b"`.
pub(super) fn these(containers: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", containers.len()), quoted(containers))
}

/// The word for one or for any other number.
pub(super) fn plural(one: &'static str, many: &'static str, count: usize) -> &'static str {
    if count == 1 { one } else { many }
}

/// `"a", "b"`.
pub(super) fn quoted<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>().join(", ")
}
