//! Tables for `kubectl get`: columns and cells.
//!
//! Columns are those of Kubernetes' own printers where people know them, a CRD's `additionalPrinterColumns`, and NAME and
//! AGE for the rest. Pure.

mod cells;
mod path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::Target;
use super::definition::Shape;
use super::json::text;

/// A column: its name, its OpenAPI type, its priority (0 is shown, 1 with `-o wide` only), and where its cell is.
struct Column {
    name: String,
    kind: String,
    format: String,
    priority: i64,
    cell: Cell,
}

/// How a cell is computed.
enum Cell {
    Function(fn(&Value) -> Value),
    /// The time since the first of these timestamps that is there.
    Age(&'static [&'static str]),
    /// A CRD's JSON path.
    Path(String),
}

/// A table of objects.
pub(crate) fn table<'a>(
    target: &Target,
    objects: impl IntoIterator<Item = &'a Value>,
    metadata: Value,
    now: Timestamp,
    with_columns: bool,
) -> Value {
    let columns = columns(target);
    let rows = objects.into_iter().map(|object| {
        let cells: Vec<Value> = columns.iter().map(|column| cell(column, object, now)).collect();
        let partial =
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
        json!({"cells": cells, "object": partial})
    });
    let rows: Vec<Value> = rows.collect();
    let shown = columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format, "description": "",
            "priority": column.priority,
        })
    });
    let definitions: Value = if with_columns { shown.collect() } else { Value::Null };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    match &column.cell {
        Cell::Function(compute) => compute(object),
        Cell::Age(pointers) => {
            let since = pointers.iter().map(|pointer| text(object, pointer)).find(|since| !since.is_empty());
            Value::from(age(since.unwrap_or_default(), now))
        }
        Cell::Path(path) => match path::find(object, path) {
            Some(found) if column.kind == "date" => Value::from(age(found.as_str().unwrap_or_default(), now)),
            Some(Value::String(text)) => Value::from(text.clone()),
            Some(Value::Object(_) | Value::Array(_)) => {
                Value::from(path::find(object, path).map(ToString::to_string))
            }
            Some(scalar) if column.kind == "string" => Value::from(scalar.to_string()),
            Some(scalar) => scalar.clone(),
            None => Value::Null,
        },
    }
}

/// A duration as `kubectl` shows it: the two largest units, where the larger is small.
fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = now.duration_since(since).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, smaller: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{smaller}") }
    };
    match seconds {
        ..0 => "<invalid>".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn columns(target: &Target) -> Vec<Column> {
    let mut columns = vec![Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        priority: 0,
        cell: Cell::Function(|object| object["metadata"]["name"].clone()),
    }];
    let own: Vec<Column> = match &target.definition.shape {
        Shape::Custom(schema) => schema
            .versions
            .get(&target.version)
            .into_iter()
            .flat_map(|version| &version.columns)
            .map(custom)
            .collect(),
        Shape::BuiltIn(_) => cells::columns(target).into_iter().map(built_in).collect(),
    };
    let has_own = !own.is_empty();
    columns.extend(own);
    if !has_own || !target.definition.is_custom() {
        // Events tell their age by their last occurrence, which their own columns show.
        if !target.definition.is("", "events") {
            let at = columns.iter().position(|column| column.priority > 0).unwrap_or(columns.len());
            columns.insert(at, built_in(("Age", 0, Cell::Age(&["/metadata/creationTimestamp"]))));
        }
    }
    columns
}

fn built_in((name, priority, cell): (&str, i64, Cell)) -> Column {
    Column { name: name.to_owned(), kind: "string".to_owned(), format: String::new(), priority, cell }
}

fn custom(column: &Value) -> Column {
    Column {
        name: text(column, "/name").to_owned(),
        kind: text(column, "/type").to_owned(),
        format: text(column, "/format").to_owned(),
        priority: column["priority"].as_i64().unwrap_or(0),
        cell: Cell::Path(text(column, "/jsonPath").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::{age, path};

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let shown = |seconds| age(&(now - SignedDuration::from_secs(seconds)).to_string(), now);
        let all = [5, 119, 125, 700, 11_000, 30_000, 180_000, 700_000].map(shown);
        assert_eq!(all, ["5s", "119s", "2m5s", "11m", "3h3m", "8h", "2d2h", "8d"]);
    }

    #[test]
    fn paths_select_members_items_and_matches() {
        let object = json!({"status": {"list": [{"type": "A", "status": "x"}, {"type": "B", "status": "y"}], "a.b": 1}});
        let found = |text| path::find(&object, text).cloned();
        assert_eq!(found(".status.list[?(@.type==\"B\")].status"), Some(json!("y")));
        assert_eq!(found(".status.list[0].type"), Some(json!("A")));
        assert_eq!(found(".status['a\\.b']"), Some(json!(1)));
        assert_eq!(found(".status.absent"), None);
    }
}
