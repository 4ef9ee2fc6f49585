//! How lists and maps merge: which lists have keys, which are sets, and what is replaced as a whole.
//!
//! For built-in types the table below repeats the `x-kubernetes-list-map-keys` and `x-kubernetes-map-type` of Kubernetes'
//! OpenAPI; for custom resources the CRD's own schema says it. Pure.

use serde_json::Value;

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
    /// In a built-in type: the nearest named members on the way.
    BuiltIn { parent: &'a str, field: &'a str },
    /// Under a CRD's schema; `root` when `metadata` is to be found here.
    Custom { schema: &'a Value, root: bool },
    /// Where no schema says anything: maps merge, lists don't.
    Unknown,
}

impl<'a> Place<'a> {
    /// The root of the target's objects.
    pub(crate) fn root(target: &'a Target) -> Self {
        match &target.definition.shape {
            Shape::BuiltIn(_) => Self::BuiltIn { parent: "", field: "" },
            Shape::Custom(schema) => match schema.versions.get(&target.version) {
                Some(version) => Self::Custom { schema: &version.schema, root: true },
                None => Self::Unknown,
            },
        }
    }

    /// The root of a built-in type, by which strategic merge patches work.
    pub(crate) fn built_in() -> Self {
        Self::BuiltIn { parent: "", field: "" }
    }

    /// Under a member of an object.
    pub(crate) fn member(self, name: &'a str) -> Self {
        match self {
            Self::BuiltIn { field, .. } => Self::BuiltIn { parent: field, field: name },
            Self::Custom { root: true, .. } if name == "metadata" => {
                Self::BuiltIn { parent: "", field: "metadata" }
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

    /// Under an item of a list.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::BuiltIn { .. } | Self::Unknown => self,
            Self::Custom { schema, .. } => {
                schema.get("items").map_or(Self::Unknown, |schema| Self::Custom { schema, root: false })
            }
        }
    }

    /// Whether an object here is replaced as a whole.
    pub(crate) fn is_atomic_map(self) -> bool {
        match self {
            Self::BuiltIn { parent, field } => atomic_map(parent, field),
            Self::Custom { schema, .. } => {
                schema.get("x-kubernetes-map-type").is_some_and(|kind| kind == "atomic")
            }
            Self::Unknown => false,
        }
    }

    /// How a list here merges.
    pub(crate) fn list_kind(self) -> ListKind {
        match self {
            Self::BuiltIn { parent, field } => built_in_list(parent, field),
            Self::Custom { schema, .. } => custom_list(schema),
            Self::Unknown => ListKind::Atomic,
        }
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

fn atomic_map(parent: &str, field: &str) -> bool {
    let reference = field.ends_with("Ref") || field.ends_with("Reference") || field == "involvedObject";
    match (parent, field) {
        ("ownerReferences", _) => true,
        // A claim template's and a volume's references to other objects.
        (_, "dataSource" | "dataSourceRef" | "claimRef") => true,
        // Label selectors; a Service's own selector is a map of labels and is replaced as well.
        (_, "selector" | "labelSelector" | "namespaceSelector" | "podSelector" | "nodeSelector") => true,
        (_, "secretKeyRef" | "configMapKeyRef" | "fieldRef" | "resourceFieldRef") => true,
        _ => reference && field != "ownerReference",
    }
}

fn built_in_list(parent: &str, field: &str) -> ListKind {
    let tcp = || Some(Value::from("TCP"));
    let keys = |names: &[&str]| ListKind::Map(names.iter().map(|name| ((*name).to_owned(), None)).collect());
    let with_protocol =
        |name: &str| ListKind::Map(vec![(name.to_owned(), None), ("protocol".to_owned(), tcp())]);
    match (parent, field) {
        (_, "finalizers") => ListKind::Set,
        ("metadata", "ownerReferences") => keys(&["uid"]),
        (_, "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "imagePullSecrets") => {
            keys(&["name"])
        }
        (_, "env" | "resourceClaims") => keys(&["name"]),
        ("serviceAccount" | "", "secrets") => keys(&["name"]),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => with_protocol("containerPort"),
        ("spec", "ports") => with_protocol("port"),
        (_, "volumeMounts") => keys(&["mountPath"]),
        (_, "volumeDevices") => keys(&["devicePath"]),
        (_, "hostAliases" | "podIPs" | "hostIPs") => keys(&["ip"]),
        (_, "topologySpreadConstraints") => keys(&["topologyKey", "whenUnsatisfiable"]),
        ("status", "conditions" | "addresses") | ("spec", "readinessGates") => {
            keys(&[if field == "readinessGates" { "conditionType" } else { "type" }])
        }
        _ => ListKind::Atomic,
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
