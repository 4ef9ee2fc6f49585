//! Kubernetes' Protobuf form of objects, read into JSON: many clients written in Go send nothing else for built-in
//! kinds, `kubectl create namespace` among them. Answers stay JSON, which all of them read.
//!
//! The envelope: <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>. Pure; what the field
//! numbers mean is in `messages.txt`.

mod table;
#[cfg(test)]
mod tests;
mod wire;

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cluster::time_text;
use table::{Count, Field, Kind, Message, message};
use wire::{Wire, fields};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

type Members = Map<String, Value>;

/// Reads an object.
///
/// # Errors
/// Why it can't be read.
pub(crate) fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("it does not begin as Kubernetes' Protobuf does")?;
    let (mut version, mut kind, mut raw): (String, String, &[u8]) = Default::default();
    for (number, value) in fields(envelope)? {
        match (number, value) {
            (1, Wire::Bytes(type_meta)) => {
                for (number, value) in fields(type_meta)? {
                    match number {
                        1 => version = value.text()?,
                        2 => kind = value.text()?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let shape = root(&version, &kind)
        .ok_or_else(|| format!("no kind \"{kind}\" is known in version \"{version}\""))?;
    let mut members = Members::new();
    read_message(shape, raw, &mut members)?;
    members.insert("apiVersion".to_owned(), json!(version));
    members.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(members))
}

/// The message of a kind. Groups are known by their first word.
fn root(version: &str, kind: &str) -> Option<&'static Message> {
    if kind == "DeleteOptions" {
        return message("meta/DeleteOptions");
    }
    let group = match version.split_once('/') {
        Some((group, _)) => group.split('.').next().unwrap_or_default(),
        None => "core",
    };
    message(&format!("{group}/{kind}"))
}

fn read_message(shape: &Message, bytes: &[u8], members: &mut Members) -> Result<(), String> {
    for (number, wire) in fields(bytes)? {
        // A field that is not known here is one of a newer Kubernetes.
        let Some(field) = shape.get(&number) else { continue };
        if let (".", Kind::Message(inner), Wire::Bytes(bytes)) = (field.name, field.kind, wire) {
            read_message(known(inner)?, bytes, members)?;
            continue;
        }
        match field.count {
            Count::One => {
                let value = read(field, wire)?;
                if !(value.is_null() || field.drops_nothing && is_nothing(&value)) {
                    members.insert(field.name.to_owned(), value);
                }
            }
            Count::List => {
                let list = members.entry(field.name).or_insert_with(|| json!([]));
                list.as_array_mut().ok_or("a list is not a list")?.push(read(field, wire)?);
            }
            Count::Map => {
                let (key, value) = entry(field, wire)?;
                let map = members.entry(field.name).or_insert_with(|| json!({}));
                map.as_object_mut().ok_or("a map is not a map")?.insert(key, value);
            }
        }
    }
    Ok(())
}

fn known(name: &str) -> Result<&'static Message, String> {
    message(name).ok_or_else(|| format!("the message {name} is not in the table"))
}

fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Bool(false)) || value == 0 || value == ""
}

/// One entry of a map: field 1 is its key, field 2 its value, and each may be left out.
fn entry(field: &Field, wire: Wire<'_>) -> Result<(String, Value), String> {
    let (mut key, mut value) = (String::new(), None);
    for (number, part) in fields(wire.bytes()?)? {
        match number {
            1 => key = part.text()?,
            2 => value = Some(read(field, part)?),
            _ => {}
        }
    }
    match value {
        Some(value) => Ok((key, value)),
        None => Ok((key, read(field, Wire::Bytes(&[]))?)),
    }
}

fn read(field: &Field, wire: Wire<'_>) -> Result<Value, String> {
    Ok(match field.kind {
        Kind::Text => json!(wire.text()?),
        Kind::Bytes => json!(base64::engine::general_purpose::STANDARD.encode(wire.bytes()?)),
        Kind::Flag => json!(wire.number()? != 0),
        Kind::Number => json!(wire.number()?),
        Kind::Quantity => json!(part(wire, 1)?.map_or_else(|| Ok(String::new()), |text| text.text())?),
        Kind::Time => time(wire)?.map_or(Value::Null, |time| json!(time_text(time))),
        Kind::MicroTime => {
            time(wire)?.map_or(Value::Null, |time| json!(time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
        }
        Kind::IntOrString => match part(wire, 1)?.map_or(Ok(0), |kind| kind.number())? {
            0 => json!(part(wire, 2)?.map_or(Ok(0), |number| number.number())?),
            _ => json!(part(wire, 3)?.map_or_else(|| Ok(String::new()), |text| text.text())?),
        },
        Kind::Raw => match part(wire, 1)? {
            Some(raw) => serde_json::from_slice(raw.bytes()?).map_err(|error| error.to_string())?,
            None => Value::Null,
        },
        Kind::Texts => {
            let texts = fields(wire.bytes()?)?.into_iter().map(|(_, text)| text.text());
            json!(texts.collect::<Result<Vec<_>, _>>()?)
        }
        Kind::Message(name) => {
            let mut members = Members::new();
            read_message(known(name)?, wire.bytes()?, &mut members)?;
            Value::Object(members)
        }
    })
}

/// One field of a small message.
fn part(wire: Wire<'_>, wanted: u32) -> Result<Option<Wire<'_>>, String> {
    let found = fields(wire.bytes()?)?.into_iter().find(|(number, _)| *number == wanted);
    Ok(found.map(|(_, value)| value))
}

fn time(wire: Wire<'_>) -> Result<Option<Timestamp>, String> {
    let Some(seconds) = part(wire, 1)? else { return Ok(None) };
    let nanoseconds = part(wire, 2)?.map_or(Ok(0), |nanoseconds| nanoseconds.number())?;
    let nanoseconds = i32::try_from(nanoseconds).map_err(|error| error.to_string())?;
    Timestamp::new(seconds.number()?, nanoseconds).map(Some).map_err(|error| error.to_string())
}
