//! From what a client sent to an object of the resource: identity checked, unknown fields dropped or refused.
//!
//! Pure. Defaults and validation come later, in their own modules.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::cluster::Target;
use super::defects::Defect;
use super::definition::{Shape, Typed};
use super::error::ApiError;
use super::json::{drop_member, drop_nulls, text};
use super::{builtin, structural};

/// What to do about fields that the resource does not have (query parameter `fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Drop them.
    Lenient,
    /// Drop them, and tell the client.
    Warn,
    /// Refuse the object.
    Strict,
}

impl FieldValidation {
    /// `Strict` refuses, `Ignore` drops, and `Warn`, which is the default, tells too.
    pub(crate) fn from_query(text: Option<&str>) -> Self {
        match text {
            Some("Strict") => Self::Strict,
            Some("Ignore") => Self::Lenient,
            _ => Self::Warn,
        }
    }
}

/// Where an object comes from that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A client sent it, or it was made by a patch from what a client sent.
    Sent,
    /// An apply made it of two objects that had been read. A list that lost its last item is null in it, and stays so.
    Applied,
}

/// Reads an object of the target's resource and version.
pub(crate) fn decode(target: &Target, value: Value, mode: FieldValidation) -> Result<Value, ApiError> {
    read(target, value, mode, Origin::Sent, &mut Vec::new())
}

/// The same, with what the client is to be warned of.
pub(crate) fn decode_and_tell(
    target: &Target,
    value: Value,
    mode: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiError> {
    read(target, value, mode, Origin::Sent, warnings)
}

/// Reads what an apply resulted in: a real server does not look at it again before it validates.
pub(crate) fn decode_applied(target: &Target, value: Value) -> Result<Value, ApiError> {
    read(target, value, FieldValidation::Lenient, Origin::Applied, &mut Vec::new())
}

fn read(
    target: &Target,
    mut value: Value,
    mode: FieldValidation,
    origin: Origin,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiError> {
    check_identity(target, &value)?;
    value["apiVersion"] = json!(target.api_version());
    value["kind"] = json!(target.definition.kind);
    let kind = &target.definition.kind;
    let refused = |why: String| {
        let version = &target.version;
        ApiError::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
    };
    let (decoded, unknown) = match &target.definition.shape {
        Shape::BuiltIn(Typed { through, kind, .. }) => {
            drop_nulls(&mut value);
            builtin::write_quantities(kind, &mut value).map_err(|why| refused(why.to_owned()))?;
            let mut decoded = through(value.clone()).map_err(|error| refused(error.to_string()))?;
            whole_numbers(&mut decoded);
            drop_invented_selector(&value, &mut decoded);
            let unknown = missing_from(&value, &decoded);
            (decoded, unknown)
        }
        Shape::Custom(schema) => {
            let metadata = decode_metadata(&value).map_err(|error| refused(error.to_string()))?;
            let mut unknown =
                missing_from(&json!({"metadata": value["metadata"]}), &json!({"metadata": metadata}));
            value["metadata"] = metadata;
            let version = schema.versions.get(&target.version).ok_or_else(ApiError::no_such_path)?;
            if origin == Origin::Sent && !Defect::NothingPruned.is_planted() {
                unknown.extend(structural::prune(&version.schema, &mut value));
            }
            (value, unknown)
        }
    };
    let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match mode {
        FieldValidation::Lenient => {}
        FieldValidation::Warn => warnings.extend(unknown),
        FieldValidation::Strict => {
            let list = unknown.collect::<Vec<_>>().join(", ");
            if !list.is_empty() {
                return Err(refused(format!("strict decoding error: {list}")));
            }
        }
    }
    Ok(decoded)
}

/// The typed model gives a missing selector as an empty one, which is another thing.
fn drop_invented_selector(sent: &Value, decoded: &mut Value) {
    let is_missing = sent.pointer("/spec/selector").is_none();
    let invented = decoded.pointer("/spec/selector").is_some_and(|selector| *selector == json!({}));
    if is_missing && invented {
        drop_member(&mut decoded["spec"], "selector");
    }
}

fn decode_metadata(value: &Value) -> Result<Value, serde_json::Error> {
    let mut metadata = value.get("metadata").cloned().unwrap_or_else(|| json!({}));
    drop_nulls(&mut metadata);
    serde_json::from_value::<ObjectMeta>(metadata).and_then(serde_json::to_value)
}

fn check_identity(target: &Target, value: &Value) -> Result<(), ApiError> {
    if !value.is_object() {
        return Err(ApiError::bad_request("the body is not an object"));
    }
    let expected = [("apiVersion", target.api_version()), ("kind", target.definition.kind.clone())];
    for (field, expected) in expected {
        let sent = text(value, &format!("/{field}"));
        if !sent.is_empty() && sent != expected {
            let why =
                format!("{field} in the data ({sent}) does not match the expected {field} ({expected})");
            return Err(ApiError::bad_request(why));
        }
    }
    Ok(())
}

/// The typed model reads all numbers of a schema as floats; those that are whole are written as such.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
            if let Some(whole) = whole {
                *value = json!(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The paths of object members that decoding dropped.
fn missing_from(sent: &Value, decoded: &Value) -> Vec<String> {
    fn walk(sent: &Value, decoded: &Value, path: &str, found: &mut Vec<String>) {
        match (sent, decoded) {
            (Value::Object(sent), Value::Object(decoded)) => {
                for (name, child) in sent {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match decoded.get(name) {
                        Some(kept) => walk(child, kept, &path, found),
                        None => found.push(path),
                    }
                }
            }
            (Value::Array(sent), Value::Array(decoded)) => {
                for (index, (child, kept)) in sent.iter().zip(decoded).enumerate() {
                    walk(child, kept, &format!("{path}[{index}]"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(sent, decoded, "", &mut found);
    found
}
