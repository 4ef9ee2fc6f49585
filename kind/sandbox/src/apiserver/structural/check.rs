//! Checking a value against a structural schema, with Kubernetes' field paths and messages.
//!
//! Messages follow `k8s.io/kube-openapi/pkg/validation` as `kubectl` shows them. Pure.

use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;
use serde_json::Value;

use super::{is_set, join};
use crate::apiserver::error::Cause;
use crate::apiserver::fields::topology::{ListKind, Place, item_element};
use crate::apiserver::json::{entries, list};

/// Everything that is wrong with `value`.
pub(crate) fn check(schema: &Value, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_at(schema, value, "", &mut causes);
    causes
}

fn check_at(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && is_set(schema, "nullable") {
        return;
    }
    if !has_type(schema, value) {
        let wanted = schema["type"].as_str().unwrap_or("integer,string");
        let detail = format!("{} in body must be of type {wanted}: {:?}", shown(path), type_of(value));
        let cause = Cause::invalid(shown(path), &Value::from(type_of(value)), &detail);
        causes.push(Cause { reason: "FieldValueTypeInvalid", ..cause });
        check_junctors(schema, value, path, causes);
        return;
    }
    check_junctors(schema, value, path, causes);
    match value {
        Value::Array(items) => check_list(schema, items, path, causes),
        Value::String(text) => check_text(schema, text, path, causes),
        Value::Number(number) => {
            check_number(schema, number.as_f64().unwrap_or(f64::NAN), value, path, causes)
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
    check_enumeration(schema, value, path, causes);
    if value.is_object() {
        check_object(schema, value, path, causes);
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if is_set(schema, "x-kubernetes-int-or-string") {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match (schema.get("type").and_then(Value::as_str), value) {
        (None | Some(""), _) => true,
        (Some("integer"), Value::Number(number)) => {
            number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        (Some("number"), Value::Number(_)) => true,
        (Some(wanted), value) => wanted == type_of(value),
    }
}

fn check_enumeration(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(allowed) = schema.get("enum").and_then(Value::as_array) else { return };
    if !allowed.contains(value) {
        let names: Vec<String> =
            allowed.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
        causes.push(Cause::unsupported(path, value, &names));
    }
}

fn check_object(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let count = value.as_object().map_or(0, serde_json::Map::len) as f64;
    let limits = [
        ("minProperties", count, "at least", "properties"),
        ("maxProperties", count, "at most", "properties"),
    ];
    check_limits(schema, &limits, path, causes);
    for (name, child) in entries(Some(value)) {
        let named = schema.get("properties").and_then(|properties| properties.get(name));
        if let Some(schema) = named.or_else(|| schema.get("additionalProperties")) {
            check_at(schema, child, &join(path, name), causes);
        }
    }
    let embedded = is_set(schema, "x-kubernetes-embedded-resource");
    let identity = ["apiVersion", "kind"].into_iter().filter(|_| embedded);
    for name in list(schema.get("required")).filter_map(Value::as_str).chain(identity) {
        if value.get(name).is_none() {
            causes.push(Cause::required(join(path, name), ""));
        }
    }
}

fn check_list(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let kind = Place::Custom { schema, root: false }.list_kind();
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if kind != ListKind::Atomic && !seen.insert(item_element(&kind, item)) {
            let key = match &kind {
                ListKind::Map(keys) => {
                    let key = |(name, default): &(String, Option<Value>)| {
                        let value = item.get(name).or(default.as_ref()).cloned().unwrap_or(Value::Null);
                        (name.clone(), value)
                    };
                    Value::Object(keys.iter().map(key).collect())
                }
                ListKind::Set | ListKind::Atomic => item.clone(),
            };
            causes.push(Cause::duplicate(path.clone(), &key));
        }
        if let Some(schema) = schema.get("items") {
            check_at(schema, item, &path, causes);
        }
    }
    let count = items.len() as f64;
    check_limits(
        schema,
        &[("minItems", count, "at least", "items"), ("maxItems", count, "at most", "items")],
        path,
        causes,
    );
}

fn check_limits(schema: &Value, limits: &[(&str, f64, &str, &str)], path: &str, causes: &mut Vec<Cause>) {
    for (keyword, count, wording, what) in limits {
        let Some(limit) = schema.get(*keyword).and_then(Value::as_f64) else { continue };
        let broken = if keyword.starts_with("min") { *count < limit } else { *count > limit };
        if !broken {
            continue;
        }
        if matches!(*keyword, "maxItems" | "maxProperties") {
            let message = format!("Too many: {count}: must have at most {limit} items");
            causes.push(Cause { reason: "FieldValueTooMany", field: path.to_owned(), message });
        } else {
            let detail = format!("{} in body should have {wording} {limit} {what}", shown(path));
            causes.push(Cause::invalid(shown(path), &Value::from(*count as u64), &detail));
        }
    }
}

fn check_text(schema: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(least) = schema.get("minLength").and_then(Value::as_u64).filter(|least| length < *least) {
        let detail = format!("{} in body should be at least {least} chars long", shown(path));
        causes.push(Cause::invalid(path, &value, &detail));
    }
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64).filter(|most| length > *most) {
        let message = format!("Too long: may not be more than {most} bytes");
        causes.push(Cause { reason: "FieldValueTooLong", field: path.to_owned(), message });
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        let detail = format!("{} in body should match '{pattern}'", shown(path));
        causes.push(Cause::invalid(path, &value, &detail));
    }
    let format = schema.get("format").and_then(Value::as_str);
    let malformed = match format {
        Some("date-time") => text.parse::<jiff::Timestamp>().is_err(),
        Some("date") => text.parse::<jiff::civil::Date>().is_err(),
        Some("ipv4") => text.parse::<std::net::Ipv4Addr>().is_err(),
        Some("ipv6") => text.parse::<std::net::Ipv6Addr>().is_err(),
        Some("uuid") => uuid::Uuid::parse_str(text).is_err(),
        Some("duration") => !is_duration(text),
        Some("byte") => base64::engine::general_purpose::STANDARD.decode(text).is_err(),
        // Kubernetes ignores formats that it does not know; the rest of those it knows is not used here.
        Some(_) | None => false,
    };
    if let (true, Some(format)) = (malformed, format) {
        let detail = format!("{} in body must be of type {format}: {text:?}", shown(path));
        causes.push(Cause { reason: "FieldValueTypeInvalid", ..Cause::invalid(path, &value, &detail) });
    }
}

/// Whether Go would read it as a duration: numbers with units, for example `1h30m` or `-1.5s`.
fn is_duration(text: &str) -> bool {
    static DURATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$").expect("a valid pattern")
    });
    DURATION.is_match(text)
}

fn check_number(schema: &Value, number: f64, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let mut refuse = |detail: String| {
        causes.push(Cause::invalid(path, value, &format!("{} in body should be {detail}", shown(path))))
    };
    if let Some(least) = bound("minimum") {
        let exclusive = is_set(schema, "exclusiveMinimum");
        if number < least || exclusive && number == least {
            refuse(format!("greater than {}{least}", if exclusive { "" } else { "or equal to " }));
        }
    }
    if let Some(most) = bound("maximum") {
        let exclusive = is_set(schema, "exclusiveMaximum");
        if number > most || exclusive && number == most {
            refuse(format!("less than {}{most}", if exclusive { "" } else { "or equal to " }));
        }
    }
    if let Some(factor) = bound("multipleOf").filter(|factor| (number / factor).fract() != 0.0) {
        refuse(format!("a multiple of {factor}"));
    }
    let (least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        Some("uint16") => (0.0, f64::from(u16::MAX)),
        Some("uint32") => (0.0, f64::from(u32::MAX)),
        Some(_) | None => return,
    };
    if number < least || number > most {
        refuse(format!("between {least} and {most}"));
    }
}

fn check_junctors(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let passes = |schema: &Value| {
        let mut found = Vec::new();
        check_at(schema, value, path, &mut found);
        found.is_empty()
    };
    // Such a cause names the place in its text alone.
    let mut refuse = |rule: &str| {
        let message = format!("Invalid value: \"\": {:?} must validate {rule}", shown(path));
        causes.push(Cause { reason: "FieldValueInvalid", field: "<nil>".to_owned(), message });
    };
    if list(schema.get("allOf")).any(|branch| !passes(branch)) {
        refuse("all the schemas (allOf)");
    }
    if schema.get("anyOf").is_some() && !list(schema.get("anyOf")).any(passes) {
        refuse("at least one schema (anyOf)");
        causes.extend(of_the_first(schema.get("anyOf"), value, path));
    } else if schema.get("oneOf").is_some() {
        match list(schema.get("oneOf")).filter(|branch| passes(branch)).count() {
            1 => {}
            0 => {
                refuse("one and only one schema (oneOf). Found none valid");
                causes.extend(of_the_first(schema.get("oneOf"), value, path));
            }
            many => refuse(&format!("one and only one schema (oneOf). Found {many} valid alternatives")),
        }
    }
    if schema.get("not").is_some_and(passes) {
        let detail = format!("{} in body must not validate the schema (not)", shown(path));
        causes.push(Cause::invalid(shown(path), value, &detail));
    }
}

/// What is wrong by the first branch, which stands for all.
fn of_the_first(branches: Option<&Value>, value: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(first) = list(branches).next() {
        check_at(first, value, path, &mut causes);
    }
    causes
}
