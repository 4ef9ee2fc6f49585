//! The schemas of a group: generated from the typed model for built-in types, taken from the definition for custom
//! ones. Pure.

use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::apiserver::definition::{Definition, Shape, built_in};

const META_NAME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const KIND_EXTENSION: &str = "x-kubernetes-group-version-kind";

/// All schemas of the typed model by name. They never change, and making them takes longer than a request should.
static TYPED: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut generator = SchemaGenerator::new(SchemaSettings::openapi3());
    let _reference = generator.subschema_for::<ObjectMeta>();
    for definition in built_in() {
        if let Shape::BuiltIn(typed) = definition.shape {
            (typed.schema)(&mut generator);
        }
    }
    generator.take_definitions(true).into_iter().collect()
});

/// The name of a resource's schema: Kubernetes' own for built-in types, the reversed group for custom ones.
pub(super) fn name(definition: &Definition, version: &str) -> String {
    let group = &definition.id.group;
    match &definition.shape {
        Shape::BuiltIn(typed) => (typed.schema_name)(),
        Shape::Custom(_) => {
            let reversed: Vec<&str> = group.split('.').rev().collect();
            format!("{}.{version}.{}", reversed.join("."), definition.kind)
        }
    }
}

/// The group, version and kind that a schema or an operation is about.
pub(super) fn kind(definition: &Definition, version: &str) -> Value {
    json!({"group": definition.id.group, "version": version, "kind": definition.kind})
}

/// A short text that changes with the schemas of a group.
pub(super) fn fingerprint<'a>(definitions: impl Iterator<Item = &'a Definition>, version: &str) -> String {
    let mut hash = Sha256::new();
    for definition in definitions {
        hash.update(name(definition, version));
        hash.update(own_schema(definition, version).to_string());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02X}")).collect()
}

/// Every schema that a group's document needs.
pub(super) fn of_group<'a>(
    definitions: impl Iterator<Item = &'a Definition>,
    version: &str,
) -> Map<String, Value> {
    let mut found = Map::new();
    for definition in definitions {
        let schema = own_schema(definition, version);
        take_referenced(&schema, &mut found);
        found.insert(name(definition, version), schema);
    }
    found
}

fn own_schema(definition: &Definition, version: &str) -> Value {
    let mut schema = match &definition.shape {
        Shape::BuiltIn(typed) => TYPED.get(&(typed.schema_name)()).cloned().unwrap_or_else(|| json!({})),
        Shape::Custom(custom) => {
            let declared = custom.versions.get(version).map(|version| version.schema.clone());
            with_object_fields(declared.unwrap_or_else(|| json!({"type": "object"})))
        }
    };
    schema[KIND_EXTENSION] = json!([kind(definition, version)]);
    schema
}

/// Every object has these fields, whether its definition names them or not.
fn with_object_fields(mut schema: Value) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let metadata = json!({
        "description": "Standard object's metadata.", "allOf": [{"$ref": format!("#/components/schemas/{META_NAME}")}],
    });
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    schema["properties"]["apiVersion"] = text("The versioned schema of this representation of an object.");
    schema["properties"]["kind"] = text("The REST resource that this object represents.");
    schema["properties"]["metadata"] = metadata;
    schema
}

/// Adds the schemas that a schema refers to, and those that they refer to.
fn take_referenced(schema: &Value, found: &mut Map<String, Value>) {
    match schema {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| reference.strip_prefix("#/components/schemas/"));
            let referenced =
                name.filter(|name| !found.contains_key(*name)).and_then(|name| TYPED.get_key_value(name));
            if let Some((name, referenced)) = referenced {
                found.insert(name.clone(), referenced.clone());
                take_referenced(referenced, found);
            }
            fields.values().for_each(|value| take_referenced(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| take_referenced(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
