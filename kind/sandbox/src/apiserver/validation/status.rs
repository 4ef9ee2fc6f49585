//! Checks of a status that is written through its subresource.
//!
//! Pure.

use serde_json::{Value, json};

use crate::apiserver::cluster::Target;
use crate::apiserver::error::Cause;

/// What is wrong with the status of a built-in kind.
pub(super) fn causes(target: &Target, new: &Value) -> Vec<Cause> {
    let id = &target.definition.id;
    match (id.group.as_str(), id.resource.as_str()) {
        ("apps", "statefulsets") => stateful_set(new),
        ("policy", "poddisruptionbudgets") => {
            let counts = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
            counts.into_iter().filter_map(|field| negative(new, field)).collect()
        }
        _ => Vec::new(),
    }
}

fn count(object: &Value, field: &str) -> i64 {
    object["status"].get(field).and_then(Value::as_i64).unwrap_or(0)
}

fn negative(object: &Value, field: &str) -> Option<Cause> {
    let value = count(object, field);
    let why = "must be greater than or equal to 0";
    (value < 0).then(|| Cause::invalid(format!("status.{field}"), &json!(value), why))
}

fn stateful_set(new: &Value) -> Vec<Cause> {
    const COUNTS: [&str; 7] = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    let mut causes: Vec<Cause> = COUNTS.into_iter().filter_map(|field| negative(new, field)).collect();
    let limits = COUNTS[1..5].iter().map(|field| (*field, "replicas"));
    for (field, limit) in limits.chain([("availableReplicas", "readyReplicas")]) {
        let value = count(new, field);
        if value > count(new, limit) {
            let why = format!("cannot be greater than status.{limit}");
            causes.push(Cause::invalid(format!("status.{field}"), &json!(value), &why));
        }
    }
    causes
}
