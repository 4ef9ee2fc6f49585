//! Behaviour of the store and of selectors.

use serde_json::json;

use super::selector::Selector;
use super::*;

fn pod(name: &str) -> (ObjectKey, Value) {
    let key = ObjectKey {
        resource: GroupResource::new("", "pods"),
        namespace: Some("default".to_owned()),
        name: name.to_owned(),
    };
    (
        key,
        json!({"metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": {"app": name}}}),
    )
}

#[test]
fn a_write_gets_the_next_revision_and_can_be_replayed() {
    let mut store = Store::new(10);
    let (key, object) = pod("a");
    let first = store.put(&key, object.clone());
    store.put(&key, object);
    store.remove(&key);
    assert_eq!(first["metadata"]["resourceVersion"], "2");
    let kinds: Vec<_> =
        store.changes_since(&key.resource, 1).unwrap().iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Added, ChangeKind::Modified, ChangeKind::Deleted]);
}

#[test]
fn history_that_was_dropped_is_reported_and_never_skipped() {
    let mut store = Store::new(2);
    let (key, object) = pod("a");
    for _ in 0..4 {
        store.put(&key, object.clone());
    }
    assert_eq!(store.changes_since(&key.resource, 2).unwrap_err(), Compacted { asked: 2, oldest: 3 });
    assert_eq!(store.changes_since(&key.resource, 3).unwrap().len(), 2);
}

#[test]
fn an_earlier_list_is_rebuilt_from_history() {
    let mut store = Store::new(10);
    let (a, object_a) = pod("a");
    let (b, object_b) = pod("b");
    store.put(&a, object_a);
    let then = store.revision();
    store.put(&b, object_b);
    store.remove(&a);
    let names: Vec<_> =
        store.list_at(&a.resource, None, then).unwrap().into_iter().map(|(key, _)| key.name).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn dependents_follow_owner_references() {
    let mut store = Store::new(10);
    let (key, mut object) = pod("child");
    object["metadata"]["ownerReferences"] = json!([{"uid": "parent"}]);
    store.put(&key, object.clone());
    assert_eq!(store.dependents_of("parent"), vec![key.clone()]);
    object["metadata"]["ownerReferences"] = json!([]);
    store.put(&key, object);
    assert!(store.dependents_of("parent").is_empty());
}

#[test]
fn selectors_match_labels_and_fields() {
    let object = json!({"metadata": {"name": "x", "labels": {"app": "etcd", "tier": "db"}}, "spec": {"nodeName": "n"}});
    let matches = |labels, fields| Selector::parse(labels, fields).unwrap().matches(&object);
    assert!(matches("app=etcd,tier in (db, web),!absent,app", "metadata.name=x,spec.nodeName==n"));
    assert!(matches("absent!=1,absent notin (a)", "spec.nodeName!=m"));
    assert!(!matches("app in (other)", ""));
    assert!(!matches("", "spec.nodeName="));
    assert!(Selector::parse("a in (b", "").is_err());
    assert!(Selector::parse("", "name").is_err());
}
