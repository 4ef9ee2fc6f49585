//! Objects as tables, as `kubectl get` shows them. The columns are those of Kubernetes 1.34.
//!
//! Pure; time comes in because ages are shown.

mod age;
mod batch;
mod columns;
mod json_path;
mod pod;
#[cfg(test)]
mod tests;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::definition::Shape;
use super::json::text;
use json_path::JsonPath;

/// How much of each object a row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    Nothing,
    /// Its metadata, which is what a client gets unless it asks for more.
    Metadata,
    /// All of it.
    Object,
}

/// How a cell is computed.
#[derive(Clone, Debug)]
enum Cell {
    /// By a function of the object and the time.
    Of(fn(&Value, Timestamp) -> Value),
    /// By a path, as a CustomResourceDefinition says.
    Path(JsonPath, String),
}

/// One column.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    /// 0 is always shown, 1 with `-o wide`.
    priority: i64,
    cell: Cell,
}

/// A table of these objects; the second argument is the list's metadata.
pub(crate) fn render<'a>(
    target: &Target,
    objects: impl Iterator<Item = &'a Value>,
    about: &Value,
    include: Include,
    now: Timestamp,
) -> Value {
    let columns = columns_of(target);
    let is_pod = target.definition.is("", "pods");
    let rows = objects.map(|object| {
        let mut row = row(&columns, object, include, now);
        if let Some(condition) = pod::row_condition(object).filter(|_| is_pod) {
            row["conditions"] = json!([condition]);
        }
        row
    });
    let rows: Vec<Value> = rows.collect();
    let definitions: Vec<Value> = columns.iter().map(definition).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": about,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn columns_of(target: &Target) -> Vec<Column> {
    let definition = &target.definition;
    match &definition.shape {
        Shape::BuiltIn(_) => columns::built_in(&definition.id.group, &definition.id.resource),
        Shape::Custom(schema) => {
            let declared = schema.versions.get(&target.version).map(|version| version.columns.as_slice());
            custom(declared.unwrap_or_default())
        }
    }
}

/// The columns of a custom resource: its name, then what its definition names, or else its age.
fn custom(declared: &[Value]) -> Vec<Column> {
    let mut columns = vec![columns::name()];
    columns.extend(declared.iter().map(|column| Column {
        name: text(column, "/name").to_owned(),
        kind: text(column, "/type").to_owned(),
        format: text(column, "/format").to_owned(),
        description: match text(column, "/description") {
            "" => format!(
                "Custom resource definition column (in JSONPath format): {}",
                text(column, "/jsonPath")
            ),
            described => described.to_owned(),
        },
        priority: column["priority"].as_i64().unwrap_or(0),
        cell: Cell::Path(JsonPath::parse(text(column, "/jsonPath")), text(column, "/type").to_owned()),
    }));
    if declared.is_empty() {
        columns.push(Column { kind: "date".to_owned(), ..columns::age() });
    }
    columns
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name, "type": column.kind, "format": column.format, "description": column.description,
        "priority": column.priority,
    })
}

fn row(columns: &[Column], object: &Value, include: Include, now: Timestamp) -> Value {
    let cells: Vec<Value> = columns.iter().map(|column| cell(&column.cell, object, now)).collect();
    let shown = match include {
        Include::Nothing => Value::Null,
        Include::Object => object.clone(),
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        }),
    };
    json!({"cells": cells, "object": shown})
}

fn cell(cell: &Cell, object: &Value, now: Timestamp) -> Value {
    match cell {
        Cell::Of(compute) => compute(object, now),
        Cell::Path(path, kind) => custom_cell(path.find(object), kind, now),
    }
}

/// What a path found, in the column's type. Nothing found leaves the cell empty.
fn custom_cell(found: Vec<&Value>, kind: &str, now: Timestamp) -> Value {
    let Some(first) = found.first() else { return Value::Null };
    match kind {
        "integer" | "number" if first.is_number() => (*first).clone(),
        "boolean" if first.is_boolean() => (*first).clone(),
        "date" => json!(age::since(first.as_str().unwrap_or_default(), now)),
        "string" => {
            let texts: Vec<String> = found.iter().map(|value| plain(value)).collect();
            json!(texts.join(" "))
        }
        _ => Value::Null,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
