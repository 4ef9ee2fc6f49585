//! How lists and maps merge: which lists have keys, which are sets, and what is replaced as a whole.
//!
//! For built-in types [`crate::apiserver::builtin`] says it, for custom resources the CRD's own schema. Pure.

use serde_json::Value;

use crate::apiserver::builtin::{Field, Kind, Merge};
use crate::apiserver::cluster::Target;
use crate::apiserver::definition::Shape;
use crate::apiserver::json::list;

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// They are not: the list is one value.
    Atomic,
    /// By their value.
    Set,
    /// By these members, each with the value that stands for a missing one.
    Map(Vec<(String, Option<Value>)>),
}

/// A place in an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// In a built-in type: the type here, and the field that led here.
    BuiltIn { kind: &'a Kind, field: Option<&'a Field> },
    /// Under a CRD's schema; `root` when `metadata` is to be found here.
    Custom { schema: &'a Value, root: bool },
    /// Where no schema says anything: maps merge, lists don't.
    Unknown,
}

impl<'a> Place<'a> {
    /// The root of the target's objects.
    pub(crate) fn root(target: &'a Target) -> Self {
        match &target.definition.shape {
            Shape::BuiltIn(typed) => Self::BuiltIn { kind: &typed.kind, field: None },
            Shape::Custom(schema) => match schema.versions.get(&target.version) {
                Some(version) => Self::Custom { schema: &version.schema, root: true },
                None => Self::Unknown,
            },
        }
    }

    /// Under a member of an object.
    pub(crate) fn member(self, name: &str) -> Self {
        match self {
            Self::BuiltIn { kind, .. } => {
                match (kind.bare(), kind.fields().and_then(|fields| fields.get(name))) {
                    (_, Some(field)) => Self::BuiltIn { kind: &field.kind, field: Some(field) },
                    (Kind::Map(inner), None) => Self::BuiltIn { kind: inner, field: None },
                    (_, None) => Self::Unknown,
                }
            }
            Self::Custom { root: true, .. } if name == "metadata" => {
                Self::BuiltIn { kind: Kind::metadata(), field: None }
            }
            Self::Custom { schema, .. } => {
                let named = schema.get("properties").and_then(|properties| properties.get(name));
                let found =
                    named.or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()));
                found.map_or(Self::Unknown, |schema| Self::Custom { schema, root: false })
            }
            Self::Unknown => Self::Unknown,
        }
    }

    /// Whether the schema names this member, as against a key that a client chose.
    pub(crate) fn names(self, name: &str) -> bool {
        match self {
            Self::BuiltIn { kind, .. } => kind.fields().is_some_and(|fields| fields.contains_key(name)),
            Self::Custom { root: true, .. } if name == "metadata" => true,
            Self::Custom { schema, .. } => {
                schema.get("properties").is_some_and(|properties| properties.get(name).is_some())
            }
            Self::Unknown => false,
        }
    }

    /// Under an item of a list.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::BuiltIn { kind, .. } => match kind.bare() {
                Kind::List(inner) => Self::BuiltIn { kind: inner, field: None },
                _ => Self::Unknown,
            },
            Self::Unknown => self,
            Self::Custom { schema, .. } => {
                schema.get("items").map_or(Self::Unknown, |schema| Self::Custom { schema, root: false })
            }
        }
    }

    /// Whether an object here is replaced as a whole.
    pub(crate) fn is_atomic_map(self) -> bool {
        match self {
            Self::BuiltIn { kind, field } => kind.is_atomic() || field.is_some_and(|field| field.atomic),
            Self::Custom { schema, .. } => {
                schema.get("x-kubernetes-map-type").is_some_and(|kind| kind == "atomic")
            }
            Self::Unknown => false,
        }
    }

    /// How a list here merges.
    pub(crate) fn list_kind(self) -> ListKind {
        match self {
            Self::BuiltIn { field, .. } => field.map_or(ListKind::Atomic, built_in_list),
            Self::Custom { schema, .. } => custom_list(schema),
            Self::Unknown => ListKind::Atomic,
        }
    }

    /// How a strategic merge patch merges a list here: by this key (empty for scalars), or not at all.
    pub(crate) fn patch_key(self) -> Option<&'a str> {
        match self {
            Self::BuiltIn { field, .. } => field.and_then(|field| field.patch_key.as_deref()),
            Self::Custom { .. } | Self::Unknown => None,
        }
    }

    /// Whether a strategic merge patch replaces a map here.
    pub(crate) fn patch_replaces(self) -> bool {
        matches!(self, Self::BuiltIn { field: Some(field), .. } if field.patch_replaces)
    }
}

fn custom_list(schema: &Value) -> ListKind {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = list(schema.get("x-kubernetes-list-map-keys")).filter_map(Value::as_str);
            let default = |key: &str| schema.pointer(&format!("/items/properties/{key}/default")).cloned();
            ListKind::Map(keys.map(|key| (key.to_owned(), default(key))).collect())
        }
        Some(_) | None => ListKind::Atomic,
    }
}

fn built_in_list(field: &Field) -> ListKind {
    match &field.merge {
        Merge::Whole => ListKind::Atomic,
        Merge::Set => ListKind::Set,
        Merge::Keys(keys) => {
            // The only key with a default.
            let default = |key: &str| (key == "protocol").then(|| Value::from("TCP"));
            ListKind::Map(keys.iter().map(|key| (key.clone(), default(key))).collect())
        }
    }
}

/// The path element of a list's item, `None` when its key is incomplete.
pub(crate) fn item_element(kind: &ListKind, item: &Value) -> Option<String> {
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => Some(format!("v:{item}")),
        ListKind::Map(keys) => {
            let mut shown = serde_json::Map::new();
            for (name, default) in keys {
                let value = item.get(name).or(default.as_ref())?;
                shown.insert(name.clone(), value.clone());
            }
            Some(format!("k:{}", Value::Object(shown)))
        }
    }
}
