//! Pruning, defaulting, checking, rules.

use kube_cel::{RootContext, compile_schema};
use serde_json::{Value, json};

use super::{check, default, prune, rules};

fn schema() -> Value {
    json!({"type": "object", "required": ["spec"], "properties": {"spec": {
        "type": "object", "required": ["size"],
        "x-kubernetes-validations": [
            {"rule": "self.size % 2 == 1", "message": "size must be odd"},
            {"rule": "self.mode == oldSelf.mode", "message": "mode can't change"},
        ],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 7},
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "version": {"type": "string", "pattern": "^3\\."},
            "note": {"type": "string", "nullable": true},
            "limits": {"type": "object", "default": {}, "properties": {"soft": {"type": "integer", "default": 3}}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }}})
}

fn messages(value: &Value) -> Vec<String> {
    check::check(&schema(), value)
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect()
}

#[test]
fn unknown_members_and_nulls_are_pruned_and_reported() {
    let mut value =
        json!({"kind": "X", "spec": {"size": 1, "sise": 2, "note": null, "mode": null, "any": {"x": 1}}});
    assert_eq!(prune(&schema(), &mut value), ["spec.sise"]);
    assert_eq!(value, json!({"kind": "X", "spec": {"size": 1, "note": null, "any": {"x": 1}}}));
}

#[test]
fn defaults_are_filled_in_within_defaults_too() {
    let mut value = json!({"spec": {"size": 1}});
    default(&schema(), &mut value);
    assert_eq!(value, json!({"spec": {"size": 1, "mode": "a", "limits": {"soft": 3}}}));
}

#[test]
fn violations_carry_kubernetes_paths_and_messages() {
    let value = json!({"spec": {"mode": "c", "version": "2", "ports": [{"name": "x"}, {"name": "x"}]}});
    assert_eq!(
        messages(&value),
        [
            "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
            "spec.ports[1]: Duplicate value: {\"name\":\"x\"}",
            "spec.version: Invalid value: \"2\": spec.version in body should match '^3\\.'",
            "spec.size: Required value",
        ]
    );
    assert_eq!(
        messages(&json!({"spec": {"size": "three"}})),
        ["spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\""]
    );
    assert_eq!(
        messages(&json!({"spec": {"size": 9}})),
        ["spec.size: Invalid value: 9: spec.size in body should be less than or equal to 7"]
    );
}

#[test]
fn rules_are_evaluated_and_transition_rules_only_on_change() {
    let compiled = compile_schema(&schema());
    let check = |value: &Value, old: Option<&Value>| {
        let causes = rules::check(&compiled, &schema(), value, old, &RootContext::default());
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    };
    let (a, b) = (json!({"spec": {"size": 2, "mode": "a"}}), json!({"spec": {"size": 3, "mode": "b"}}));
    assert_eq!(check(&a, None), ["spec: Invalid value: \"object\": size must be odd"]);
    assert_eq!(check(&b, Some(&a)), ["spec: Invalid value: \"object\": mode can't change"]);
    assert!(check(&b, None).is_empty());
}

#[test]
fn a_rule_that_does_not_compile_is_found() {
    let mut broken = schema();
    broken["properties"]["spec"]["x-kubernetes-validations"][0]["rule"] = json!("self.size %% 2");
    assert_eq!(rules::uncompilable(&broken, "schema").len(), 1);
    assert!(rules::uncompilable(&schema(), "schema").is_empty());
}
