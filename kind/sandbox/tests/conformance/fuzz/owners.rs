//! Random operations on objects that own one another, for arms with controllers: deletions pull others along, in three ways.
//!
//! Pure: the same seed gives the same steps. Real collection takes its time, so after each operation both arms are waited for.
//! Owners stand before what they own: a circle is never made.

use serde_json::{Value, json};

use super::generate::{Dice, Written};

/// Each resource with its `apiVersion` and kind.
const KINDS: [(&str, &str, &str); 3] = [
    ("configmaps", "v1", "ConfigMap"),
    ("secrets", "v1", "Secret"),
    ("leases", "coordination.k8s.io/v1", "Lease"),
];
const NAMES: [&str; 3] = ["a", "b", "c"];

/// The operations of a seed: so many random ones, each followed by a look at everything.
pub(super) fn sequence(seed: u64, length: usize) -> Vec<Written> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::new();
    for _ in 0..length {
        steps.push(operation(&mut dice));
        steps.extend(KINDS.map(|(resource, _, _)| {
            (format!("SETTLE {resource}?fieldSelector=metadata.name!=kube-root-ca.crt"), json!({"until": {}}))
        }));
    }
    steps
}

/// The object of a number.
fn place(number: usize) -> (&'static str, &'static str, &'static str, &'static str) {
    let (resource, version, kind) = KINDS[number % KINDS.len()];
    (resource, version, kind, NAMES[number / KINDS.len()])
}

fn operation(dice: &mut Dice) -> Written {
    let number = dice.below(KINDS.len() * NAMES.len());
    let (resource, _, _, name) = place(number);
    let at = format!("{resource}/{name}");
    match dice.below(100) {
        0..45 => {
            let mut body = json!({"metadata": {"name": name, "ownerReferences": owners(dice, number)}});
            if dice.percent(15) {
                body["metadata"]["finalizers"] = json!(["x.test/one"]);
            }
            (format!("POST {resource}"), body)
        }
        45..55 => (format!("MERGE {at}"), json!({"metadata": {"ownerReferences": owners(dice, number)}})),
        55..60 => (format!("MERGE {at}"), json!({"metadata": {"finalizers": ["x.test/one"]}})),
        60..70 => (format!("JSON {at}"), json!([{"op": "remove", "path": "/metadata/finalizers"}])),
        _ => (format!("DELETE {at}"), deletion(dice)),
    }
}

/// References to objects of lower numbers, to what they are or were.
fn owners(dice: &mut Dice, number: usize) -> Value {
    let mut references = Vec::new();
    let mut taken = Vec::new();
    for _ in 0..dice.below(3) {
        let owner = dice.below(number.max(1));
        if number == 0 || taken.contains(&owner) {
            continue;
        }
        taken.push(owner);
        let (resource, version, kind, name) = place(owner);
        let age = if dice.percent(10) { " 0" } else { "" };
        let mut reference = json!({
            "apiVersion": version, "kind": kind, "name": name, "uid": format!("${{uid {resource}/{name}{age}}}"),
        });
        if dice.percent(50) {
            reference["blockOwnerDeletion"] = json!(true);
        }
        references.push(reference);
    }
    Value::Array(references)
}

fn deletion(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => Value::Null,
        1 => json!({"propagationPolicy": "Background"}),
        2 => json!({"propagationPolicy": "Foreground"}),
        _ => json!({"propagationPolicy": "Orphan"}),
    }
}
