//! The documents hold together.

use serde_json::{Value, json};

use super::super::cluster::Cluster;
use super::answer;

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(10);
    let crd = json!({"spec": {
        "group": "example.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "description": "What is wanted."}}}}}],
    }});
    cluster.refresh_definition(&crd, false);
    cluster
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_document_of_the_index_is_served_and_refers_to_nothing_outside_itself() {
    let cluster = cluster();
    let index = answer(&cluster, &[]).unwrap();
    let paths = index["paths"].as_object().unwrap();
    assert!(paths.contains_key("api/v1") && paths.contains_key("apis/example.org/v1"));
    for path in paths.keys() {
        let segments: Vec<&str> = path.split('/').collect();
        let document = answer(&cluster, &segments).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in found {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{path} lacks {name}");
        }
    }
}

#[test]
fn a_custom_kind_is_described_with_its_schema_and_its_patch_names_field_validation() {
    let document = answer(&cluster(), &["apis", "example.org", "v1"]).unwrap();
    let schema = &document["components"]["schemas"]["org.example.v1.Thing"];
    assert_eq!(schema["properties"]["spec"]["description"], json!("What is wanted."));
    let patch = &document["paths"]["/apis/example.org/v1/namespaces/{namespace}/things/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "example.org", "version": "v1", "kind": "Thing"})
    );
    let names: Vec<&Value> = patch["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&json!("fieldValidation")));
}

#[test]
fn the_address_of_a_document_changes_with_its_schema() {
    let address = |cluster: &Cluster| answer(cluster, &[]).unwrap()["paths"]["apis/example.org/v1"].clone();
    let before = cluster();
    let mut after = cluster();
    let crd = json!({"spec": {
        "group": "example.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    }});
    after.refresh_definition(&crd, false);
    assert_ne!(address(&before), address(&after));
}
