//! OpenAPI v3: what `kubectl explain` shows, and where clients learn that the server checks unknown fields itself.
//!
//! Pure. The documents carry schemas and, for each resource, the operations that clients look up; they name no
//! strategic merge patch, so that `kubectl apply` takes the merge keys of built-in types from its own tables.
//! Form: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3>.

mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::definition::Definition;
use super::error::ApiError;

/// Answers what lies below `/openapi/v3`.
pub(crate) fn answer(cluster: &Cluster, segments: &[&str]) -> Result<Value, ApiError> {
    match segments {
        [] => Ok(index(cluster)),
        ["api", version] => document(cluster, "", version),
        ["apis", group, version] => document(cluster, group, version),
        _ => Err(ApiError::no_such_path()),
    }
}

/// The list of documents. The hash changes with what the document says, because clients keep documents for ever.
fn index(cluster: &Cluster) -> Value {
    let served = cluster.definitions.values().flat_map(|definition| {
        definition.versions.iter().map(|version| (definition.id.group.as_str(), version.as_str()))
    });
    let served: BTreeSet<(&str, &str)> = served.collect();
    let mut paths = Map::new();
    for (group, version) in served {
        let path =
            if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let hash = schemas::fingerprint(definitions(cluster, group, version), version);
        let address = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")});
        paths.insert(path, address);
    }
    json!({ "paths": paths })
}

fn definitions<'a>(
    cluster: &'a Cluster,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Definition> {
    let all = cluster.definitions.values().map(AsRef::as_ref);
    all.filter(move |one| one.id.group == group && one.versions.iter().any(|served| served == version))
}

fn document(cluster: &Cluster, group: &str, version: &str) -> Result<Value, ApiError> {
    let mut paths = Map::new();
    for definition in definitions(cluster, group, version) {
        paths.extend(paths_of(definition, version));
    }
    if paths.is_empty() {
        return Err(ApiError::no_such_path());
    }
    Ok(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": paths,
        "components": {"schemas": schemas::of_group(definitions(cluster, group, version), version)},
    }))
}

fn paths_of(definition: &Definition, version: &str) -> Map<String, Value> {
    let root = match definition.id.group.as_str() {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    };
    let namespace = if definition.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{namespace}/{}", definition.id.resource);
    let one = format!("{collection}/{{name}}");
    let operation = |action: &str| operation(definition, version, action);
    let patch = || patch_operation(definition, version);
    let mut paths = Map::new();
    paths.insert(collection.clone(), json!({"get": operation("list"), "post": operation("post")}));
    paths.insert(
        one.clone(),
        json!({
            "get": operation("get"), "put": operation("put"), "delete": operation("delete"), "patch": patch(),
        }),
    );
    if definition.status {
        let status = json!({"get": operation("get"), "put": operation("put"), "patch": patch()});
        paths.insert(format!("{one}/status"), status);
    }
    paths
}

fn operation(definition: &Definition, version: &str, action: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{}", schemas::name(definition, version))});
    let content = json!({"application/json": {"schema": schema}});
    let mut operation = json!({
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": schemas::kind(definition, version),
    });
    if matches!(action, "post" | "put") {
        operation["parameters"] = write_parameters();
        operation["requestBody"] = json!({ "content": content, "required": true });
    }
    operation
}

fn patch_operation(definition: &Definition, version: &str) -> Value {
    let mut operation = operation(definition, version, "patch");
    operation["parameters"] = write_parameters();
    let any = json!({"schema": {"type": "object"}});
    operation["requestBody"] = json!({
        "required": true,
        "content": {
            "application/apply-patch+yaml": any, "application/json-patch+json": any,
            "application/merge-patch+json": any,
        },
    });
    operation
}

fn write_parameters() -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    json!([parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")])
}
