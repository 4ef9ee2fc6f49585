//! The types of built-in objects as Kubernetes' Go sources have them: which fields are pointers, what becomes of zero
//! values, how lists merge. Clients see all of that in answers and in `managedFields`.
//!
//! A table (`types/builtin.txt`, made by `types/generate.py`) and the walk that completes an object by it. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::json::drop_member;
use super::quantity::Quantity;

/// The Go type behind a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Boolean,
    Float,
    Time,
    Quantity,
    /// Something with a JSON form of its own.
    Any,
    List(Box<Kind>),
    Map(Box<Kind>),
    Pointer(Box<Kind>),
    Struct(String),
}

/// How a list merges under server-side apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Merge {
    /// As one value. Structs and maps merge member by member unless [`Field::atomic`].
    #[default]
    Whole,
    Set,
    Keys(Vec<String>),
}

/// One field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    /// Its zero value is left out.
    omitted: bool,
    /// A struct that is left out when all of it is zero.
    omitted_struct: bool,
    pub(crate) merge: Merge,
    pub(crate) atomic: bool,
    /// The key by which a strategic merge patch merges this list; empty for a list of scalars.
    pub(crate) patch_key: Option<String>,
    /// A strategic merge patch replaces this member.
    pub(crate) patch_replaces: bool,
}

/// The fields of a struct.
pub(crate) type Fields = BTreeMap<String, Field>;

#[derive(Debug, Default)]
struct Struct {
    /// It has one owner, wherever it stands.
    atomic: bool,
    fields: Fields,
}

static TYPES: LazyLock<BTreeMap<String, Struct>> = LazyLock::new(|| {
    let mut types: BTreeMap<String, Struct> = BTreeMap::new();
    let mut current = &mut Struct::default();
    for line in include_str!("../../types/builtin.txt").lines() {
        match line.strip_prefix("  ") {
            None => {
                let (name, flag) = line.split_once(' ').unwrap_or((line, ""));
                current = types.entry(name.to_owned()).or_default();
                current.atomic = flag == "atomic";
            }
            Some(field) => {
                let (name, field) = read_field(field);
                current.fields.insert(name, field);
            }
        }
    }
    types
});

fn read_field(line: &str) -> (String, Field) {
    let mut words = line.split(' ');
    let name = words.next().expect("each line of the table has a name").to_owned();
    let kind = read_kind(words.next().expect("each field of the table has a type"));
    let mut field = Field {
        kind,
        omitted: false,
        omitted_struct: false,
        merge: Merge::Whole,
        atomic: false,
        patch_key: None,
        patch_replaces: false,
    };
    for flag in words {
        match flag.split_once('=').unwrap_or((flag, "")) {
            ("o", _) => field.omitted = true,
            ("z", _) => field.omitted_struct = true,
            ("set", _) => field.merge = Merge::Set,
            ("map", keys) => field.merge = Merge::Keys(keys.split(',').map(str::to_owned).collect()),
            ("merge", key) => field.patch_key = Some(key.to_owned()),
            ("replace", _) => field.patch_replaces = true,
            _ => field.atomic = true,
        }
    }
    (name, field)
}

fn read_kind(text: &str) -> Kind {
    let inner = |rest| Box::new(read_kind(rest));
    match text {
        "s" => Kind::Text,
        "i" => Kind::Integer,
        "b" => Kind::Boolean,
        "f" => Kind::Float,
        "t" => Kind::Time,
        "q" => Kind::Quantity,
        "?" => Kind::Any,
        _ => match (text.strip_prefix("[]"), text.strip_prefix("{}"), text.strip_prefix('*')) {
            (Some(rest), _, _) => Kind::List(inner(rest)),
            (_, Some(rest), _) => Kind::Map(inner(rest)),
            (_, _, Some(rest)) => Kind::Pointer(inner(rest)),
            (None, None, None) => Kind::Struct(text.to_owned()),
        },
    }
}

impl Kind {
    /// The type of a resource's objects.
    pub(crate) fn of(group: &str, kind: &str) -> Self {
        let package = group.split('.').next().filter(|package| !package.is_empty()).unwrap_or("core");
        Self::Struct(format!("{package}.{kind}"))
    }

    /// The metadata of every object.
    pub(crate) fn metadata() -> &'static Self {
        static METADATA: LazyLock<Kind> = LazyLock::new(|| Kind::Struct("meta.ObjectMeta".to_owned()));
        &METADATA
    }

    /// Behind pointers.
    pub(crate) fn bare(&self) -> &Self {
        match self {
            Self::Pointer(inner) => inner.bare(),
            other => other,
        }
    }

    /// The fields of a struct.
    pub(crate) fn fields(&self) -> Option<&'static Fields> {
        self.found().map(|found| &found.fields)
    }

    /// Whether all of it has one owner.
    pub(crate) fn is_atomic(&self) -> bool {
        matches!(self.bare(), Self::Any | Self::Quantity) || self.found().is_some_and(|found| found.atomic)
    }

    fn found(&self) -> Option<&'static Struct> {
        match self.bare() {
            Self::Struct(name) => TYPES.get(name),
            _ => None,
        }
    }

    fn zero(&self) -> Value {
        match self {
            Self::Text => json!(""),
            Self::Integer | Self::Float => json!(0),
            Self::Boolean => json!(false),
            Self::Struct(_) => json!({}),
            Self::Quantity => json!("0"),
            Self::Time | Self::Any | Self::List(_) | Self::Map(_) | Self::Pointer(_) => Value::Null,
        }
    }
}

/// Gives an object the form in which Go would write it: zero values left out or put in, structs never missing.
pub(crate) fn complete(kind: &Kind, value: &mut Value) {
    match kind.bare() {
        Kind::Struct(_) => {
            if let (Some(fields), Some(members)) = (kind.fields(), value.as_object_mut()) {
                fields.iter().for_each(|(name, field)| complete_member(members, name, field));
            }
        }
        Kind::List(inner) => {
            value.as_array_mut().into_iter().flatten().for_each(|item| complete(inner, item))
        }
        Kind::Map(inner) => {
            value.as_object_mut().into_iter().flatten().for_each(|(_, item)| complete(inner, item));
        }
        Kind::Text
        | Kind::Integer
        | Kind::Boolean
        | Kind::Float
        | Kind::Time
        | Kind::Quantity
        | Kind::Any
        | Kind::Pointer(_) => {}
    }
}

fn complete_member(members: &mut Map<String, Value>, name: &str, field: &Field) {
    let missing = members.get(name).is_none_or(Value::is_null);
    match &field.kind {
        Kind::Struct(_) => {
            let child = members.entry(name).or_insert_with(|| json!({}));
            if child.is_null() {
                *child = json!({});
            }
            complete(&field.kind, child);
            if field.omitted_struct && child.as_object().is_some_and(Map::is_empty) {
                members.remove(name);
            }
        }
        // A time is a struct to Go: without a newer tag it is written as null.
        Kind::Time if missing && !field.omitted_struct => drop(members.insert(name.to_owned(), Value::Null)),
        // A quantity is a struct to Go as well.
        Kind::Quantity if missing => drop(members.insert(name.to_owned(), field.kind.zero())),
        // What has a form of its own is written whenever it is there.
        Kind::Quantity | Kind::Any => {}
        _ if missing && field.omitted => drop(members.remove(name)),
        _ if missing => drop(members.insert(name.to_owned(), field.kind.zero())),
        kind => {
            let child = members.get_mut(name).expect("it was just seen");
            complete(kind, child);
            if field.omitted && is_zero(kind, child) {
                members.remove(name);
            }
        }
    }
}

fn is_zero(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Text, Value::String(text)) => text.is_empty(),
        (Kind::Integer | Kind::Float, Value::Number(number)) => number.as_f64() == Some(0.0),
        (Kind::Boolean, Value::Bool(flag)) => !flag,
        (Kind::List(_), Value::Array(items)) => items.is_empty(),
        (Kind::Map(_), Value::Object(members)) => members.is_empty(),
        _ => false,
    }
}

/// Gives every quantity in an object the text that Kubernetes gives it. Numbers count as quantities too.
///
/// # Errors
/// What is wrong with a text that is none.
pub(crate) fn write_quantities(kind: &Kind, value: &mut Value) -> Result<(), &'static str> {
    match (kind.bare(), value) {
        (Kind::Quantity, value @ Value::String(_)) => {
            let text = Quantity::parse(value.as_str().unwrap_or_default().trim())?.text();
            *value = Value::String(text);
            Ok(())
        }
        (Kind::Quantity, value @ Value::Number(_)) => {
            *value = Value::String(Quantity::parse(&value.to_string())?.text());
            Ok(())
        }
        (Kind::Map(inner), Value::Object(members)) if **inner == Kind::Quantity => {
            members.values_mut().try_for_each(|member| {
                write_quantities(inner, member)?;
                // Lists of resources know nothing smaller than a thousandth.
                if let Some(text) = member.as_str() {
                    *member = Value::String(Quantity::parse(text)?.in_thousandths().text());
                }
                Ok(())
            })
        }
        (Kind::List(inner), Value::Array(items)) => {
            items.iter_mut().try_for_each(|item| write_quantities(inner, item))
        }
        (Kind::Map(inner), Value::Object(members)) => {
            members.values_mut().try_for_each(|member| write_quantities(inner, member))
        }
        (Kind::Struct(_), Value::Object(members)) => {
            let fields = kind.fields().into_iter().flatten();
            fields.into_iter().try_for_each(|(name, field)| match members.get_mut(name) {
                Some(member) => write_quantities(&field.kind, member),
                None => Ok(()),
            })
        }
        // What has another type than it should is the typed model's to refuse.
        _ => Ok(()),
    }
}

/// An object of which nothing was ever set, as the first owner of fields finds it.
pub(crate) fn blank(kind: &Kind) -> Value {
    let mut value = json!({});
    complete(kind, &mut value);
    drop_member(&mut value, "apiVersion");
    drop_member(&mut value, "kind");
    value
}
