//! CustomResourceDefinitions: from the stored object to a served [`Definition`].
//!
//! Pure. It trusts that the object passed the checks made when it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kube_cel::{CompiledSchema, compile_schema};
use serde_json::Value;

use super::definition::{Definition, Shape};
use super::json::{list, text};
use crate::store::GroupResource;

/// The schemas of a custom resource, one for each served version.
pub(crate) struct CustomSchema {
    pub(crate) storage_version: String,
    pub(crate) versions: BTreeMap<String, CustomVersion>,
}

/// What one version of a custom resource says.
pub(crate) struct CustomVersion {
    pub(crate) schema: Value,
    /// The CEL rules in it.
    pub(crate) rules: CompiledSchema,
    pub(crate) columns: Vec<Value>,
    pub(crate) status: bool,
    /// The fields that lists can be selected by, as paths.
    pub(crate) selectable: Vec<String>,
    /// Paths of replicas in spec, in status, and of the selector.
    pub(crate) scale: Option<Value>,
}

impl fmt::Debug for CustomSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<&String> = self.versions.keys().collect();
        formatter.debug_struct("CustomSchema").field("versions", &versions).finish_non_exhaustive()
    }
}

/// The definition that a stored CRD object stands for; `None` when it serves no version.
pub(crate) fn definition(crd: &Value) -> Option<Definition> {
    let names = crd.pointer("/spec/names")?;
    let strings = |value: Option<&Value>| -> Vec<String> {
        list(value).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let served: Vec<&Value> = list(crd.pointer("/spec/versions"))
        .filter(|version| version["served"] == Value::Bool(true))
        .collect();
    let mut names_of_versions: Vec<String> =
        served.iter().map(|version| text(version, "/name").to_owned()).collect();
    names_of_versions.sort_by(|a, b| priority(b).cmp(&priority(a)).then(a.cmp(b)));
    let storage =
        list(crd.pointer("/spec/versions")).find(|version| version["storage"] == Value::Bool(true))?;
    let versions: BTreeMap<String, CustomVersion> =
        served.iter().map(|version| (text(version, "/name").to_owned(), custom_version(version))).collect();
    if versions.is_empty() {
        return None;
    }
    let kind = text(names, "/kind").to_owned();
    let singular = Some(text(names, "/singular")).filter(|name| !name.is_empty());
    Some(Definition {
        id: GroupResource::new(text(crd, "/spec/group"), text(names, "/plural")),
        versions: names_of_versions,
        list_kind: names.get("listKind").and_then(Value::as_str).map_or(format!("{kind}List"), str::to_owned),
        singular: singular.map_or_else(|| kind.to_lowercase(), str::to_owned),
        short_names: strings(names.get("shortNames")),
        categories: strings(names.get("categories")),
        namespaced: text(crd, "/spec/scope") == "Namespaced",
        status: versions.values().any(|version| version.status),
        scale: versions.values().any(|version| version.scale.is_some()),
        shape: Shape::Custom(Arc::new(CustomSchema {
            storage_version: text(storage, "/name").to_owned(),
            versions,
        })),
        kind,
    })
}

fn custom_version(version: &Value) -> CustomVersion {
    let schema = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or(Value::Null);
    CustomVersion {
        rules: compile_schema(&schema),
        schema,
        columns: list(version.get("additionalPrinterColumns")).cloned().collect(),
        selectable: list(version.get("selectableFields"))
            .map(|field| text(field, "/jsonPath").trim_start_matches('.').to_owned())
            .collect(),
        status: version.pointer("/subresources/status").is_some(),
        scale: version.pointer("/subresources/scale").cloned(),
    }
}

/// Kubernetes' order of versions: stable before beta before alpha, then the higher number first.
fn priority(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let major = digits.parse().unwrap_or(0);
    let (stage, minor) = match &rest[digits.len()..] {
        "" => (3, ""),
        tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (None, Some(minor)) => (1, minor),
            (None, None) => return (0, 0, 0),
        },
    };
    (stage, major, minor.parse().unwrap_or(0))
}
