//! Cells that several columns share: counts, containers, ports, selectors, Events, nodes. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::apiserver::json::{entries, list, text};

/// A number, 0 when it is not there.
pub(super) fn count(object: &Value, pointer: &str) -> Value {
    json!(object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0))
}

/// `ready/wanted` of a workload.
pub(super) fn ready_of_wanted(object: &Value) -> Value {
    json!(format!("{}/{}", count(object, "/status/readyReplicas"), count(object, "/spec/replicas")))
}

/// A field of each container of a pod template.
pub(super) fn of_containers(object: &Value, field: &str) -> Value {
    of_containers_at(object, "/spec/template/spec/containers", field)
}

/// A field of each container at this place.
pub(super) fn of_containers_at(object: &Value, pointer: &str, field: &str) -> Value {
    let containers = list(object.pointer(pointer));
    let values: Vec<&str> = containers.filter_map(|container| container[field].as_str()).collect();
    json!(values.join(","))
}

/// Labels as `name=value`.
pub(super) fn labels(labels: &Value) -> Value {
    let pairs: Vec<String> = entries(Some(labels))
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!(if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") })
}

/// A label selector as text; expressions are written out as in a query.
pub(super) fn selector(selector: &Value) -> Value {
    let mut terms: Vec<String> = entries(selector.get("matchLabels"))
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in list(selector.get("matchExpressions")) {
        let values: Vec<&str> = list(expression.get("values")).filter_map(Value::as_str).collect();
        let key = text(expression, "/key");
        terms.push(match text(expression, "/operator") {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            _ => format!("{key} in ({})", values.join(",")),
        });
    }
    json!(if terms.is_empty() { "<none>".to_owned() } else { terms.join(",") })
}

/// The ports of a Service.
pub(super) fn service_ports(service: &Value, _now: Timestamp) -> Value {
    let port = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64().filter(|number| *number != 0) {
            Some(node_port) => format!("{}:{node_port}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    };
    let ports: Vec<String> = list(service["spec"].get("ports")).map(port).collect();
    json!(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") })
}

/// Access modes in their short form.
pub(super) fn access_modes(modes: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        Some(_) | None => "",
    };
    let modes: Vec<&str> = list(Some(modes)).map(short).collect();
    json!(modes.join(","))
}

/// A number or a percentage.
pub(super) fn int_or_percent(value: &Value) -> Value {
    json!(match value {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// The first three of something, and how many more there are.
pub(super) fn few(all: impl Iterator<Item = String>) -> Value {
    let all: Vec<String> = all.collect();
    json!(match all.len() {
        0 => "<unset>".to_owned(),
        1..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    })
}

/// The controller of an object.
pub(super) fn controller(object: &Value) -> Value {
    let mut owners = list(object["metadata"].get("ownerReferences"));
    let Some(owner) = owners.find(|owner| owner["controller"] == json!(true)) else { return json!("<none>") };
    let version = text(owner, "/apiVersion");
    let kind = text(owner, "/kind").to_lowercase();
    let group = version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
    json!(format!("{kind}{group}/{}", text(owner, "/name")))
}

/// What an Event is about: a field of `involvedObject` or, in the newer form, `regarding`.
pub(super) fn event_about<'a>(event: &'a Value, field: &str) -> &'a str {
    let about = ["involvedObject", "regarding"].into_iter().find_map(|place| event[place][field].as_str());
    about.unwrap_or_default()
}

/// The object of an Event as `kind/name`.
pub(super) fn event_object(event: &Value) -> Value {
    let kind = event_about(event, "kind").to_lowercase();
    let name = event_about(event, "name");
    json!(if kind.is_empty() { name.to_owned() } else { format!("{kind}/{name}") })
}

/// Who wrote an Event.
pub(super) fn event_source(event: &Value) -> Value {
    let component = text(event, "/source/component");
    json!(if component.is_empty() { text(event, "/reportingComponent") } else { component })
}

/// How often an Event was seen.
pub(super) fn event_count(event: &Value) -> i64 {
    let in_series = event.pointer("/series/count").and_then(Value::as_i64);
    in_series.or(event["count"].as_i64()).unwrap_or(1)
}

/// When an Event was seen first.
pub(super) fn first_seen(event: &Value) -> &str {
    first_of(event, &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"])
}

/// When an Event was seen last.
pub(super) fn last_seen(event: &Value) -> &str {
    first_of(event, &["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime"])
}

fn first_of<'a>(event: &'a Value, pointers: &[&str]) -> &'a str {
    pointers.iter().map(|pointer| text(event, pointer)).find(|time| !time.is_empty()).unwrap_or_default()
}

/// Whether a node is ready and takes pods.
pub(super) fn node_status(node: &Value, _now: Timestamp) -> Value {
    let ready = list(node["status"].get("conditions")).find(|condition| text(condition, "/type") == "Ready");
    let word = match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let takes_none = node["spec"]["unschedulable"] == json!(true);
    json!(if takes_none { format!("{word},SchedulingDisabled") } else { word.to_owned() })
}

/// An address of a node.
pub(super) fn node_address(node: &Value, kind: &str) -> Value {
    let mut all = list(node["status"].get("addresses"));
    let found = all.find(|address| text(address, "/type") == kind).map(|address| text(address, "/address"));
    json!(found.unwrap_or("<none>"))
}
