//! Server-side apply and ownership.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::apiserver::cluster::Cluster;

fn target() -> Target {
    Cluster::new(1).own_target("apps", "deployments")
}

fn apply(live: Option<&Value>, sent: Value, manager: &str, force: bool) -> Result<Value, ApiError> {
    applied(&target(), live, sent, (manager, force), Timestamp::UNIX_EPOCH)
}

fn deployment(env: Value, replicas: Value) -> Value {
    let mut object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"template": {"spec": {"containers": [
        {"name": "c", "image": "i", "env": env},
    ]}}}});
    if !replicas.is_null() {
        object["spec"]["replicas"] = replicas;
    }
    object
}

#[test]
fn what_an_applier_no_longer_sets_is_removed() {
    let first =
        apply(None, deployment(json!([{"name": "A", "value": "1"}, {"name": "B"}]), json!(3)), "me", false)
            .unwrap();
    let second = apply(Some(&first), deployment(json!([{"name": "B"}]), Value::Null), "me", false).unwrap();
    assert_eq!(second.pointer("/spec/template/spec/containers/0/env"), Some(&json!([{"name": "B"}])));
    assert_eq!(second.pointer("/spec/replicas"), None);
}

#[test]
fn what_others_added_stays_and_what_others_own_conflicts() {
    let first = apply(None, deployment(json!([{"name": "A", "value": "1"}]), json!(3)), "me", false).unwrap();
    let mut edited = first.clone();
    edited["spec"]["replicas"] = json!(5);
    edited["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "EXTRA", "value": "x"}));
    track(&target(), Some(&first), &mut edited, "editor", Timestamp::UNIX_EPOCH);
    let again = deployment(json!([{"name": "A", "value": "1"}]), json!(3));
    let refused = apply(Some(&edited), again.clone(), "me", false).unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"editor\" using apps/v1: .spec.replicas"
    );
    let forced = apply(Some(&edited), again, "me", true).unwrap();
    assert_eq!(forced["spec"]["replicas"], 3);
    let env = forced.pointer("/spec/template/spec/containers/0/env").unwrap();
    assert_eq!(env, &json!([{"name": "A", "value": "1"}, {"name": "EXTRA", "value": "x"}]));
}

#[test]
fn an_unchanged_apply_changes_nothing() {
    let sent = deployment(json!([{"name": "A"}]), json!(1));
    let first = apply(None, sent.clone(), "me", false).unwrap();
    assert_eq!(apply(Some(&first), sent, "me", false).unwrap(), first);
}

#[test]
fn shared_fields_stay_until_the_last_owner_gives_them_up() {
    let both = deployment(json!([{"name": "A"}]), json!(2));
    let first = apply(None, both.clone(), "one", false).unwrap();
    let second = apply(Some(&first), both, "two", false).unwrap();
    let third = apply(Some(&second), deployment(json!([{"name": "A"}]), Value::Null), "one", false).unwrap();
    assert_eq!(third["spec"]["replicas"], 2);
    let fourth = apply(Some(&third), deployment(json!([{"name": "A"}]), Value::Null), "two", false).unwrap();
    assert_eq!(fourth["spec"].get("replicas"), None);
}

#[test]
fn field_sets_survive_their_written_form() {
    let target = target();
    let place = Place::root(&target);
    let set = walk::fields_of(place, &deployment(json!([{"name": "A"}]), json!(1)));
    assert_eq!(FieldSet::from_json(&set.to_json()), set);
    assert!(set.paths().contains(&".spec.template.spec.containers[name=\"c\"].image".to_owned()));
}
