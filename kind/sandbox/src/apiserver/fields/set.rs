//! Sets of fields, as `metadata.managedFields` writes them (`fieldsV1`).
//!
//! Path elements keep their written form: `f:name` for a member, `k:{"name":"x"}` for an item of a keyed list,
//! `v:"x"` for an item of a set. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of paths: this one, if `owned`, and those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    pub(crate) owned: bool,
    pub(crate) children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set of just this path.
    pub(crate) fn leaf() -> Self {
        Self { owned: true, children: BTreeMap::new() }
    }

    /// The set of just one path of members, written with dots.
    pub(crate) fn of_path(path: &str) -> Self {
        path.rsplit('.').filter(|name| !name.is_empty()).fold(Self::leaf(), |below, name| Self {
            owned: false,
            children: BTreeMap::from([(format!("f:{name}"), below)]),
        })
    }

    /// Whether a path of members, written with dots, is in the set.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let mut names = path.split('.').filter(|name| !name.is_empty());
        let found = names.try_fold(self, |set, name| set.children.get(&format!("f:{name}")));
        found.is_some_and(|set| set.owned)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.owned && self.children.values().all(Self::is_empty)
    }

    /// Adds what is below an element, unless that is nothing.
    pub(crate) fn insert(&mut self, element: String, below: FieldSet) {
        if !below.is_empty() {
            self.children.insert(element, below);
        }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.owned |= other.owned;
        for (element, below) in &other.children {
            let merged = result.children.get(element).map_or_else(|| below.clone(), |own| own.union(below));
            result.children.insert(element.clone(), merged);
        }
        result
    }

    pub(crate) fn difference(&self, other: &Self) -> Self {
        let mut result = Self { owned: self.owned && !other.owned, children: BTreeMap::new() };
        for (element, below) in &self.children {
            let left =
                other.children.get(element).map_or_else(|| below.clone(), |minus| below.difference(minus));
            result.insert(element.clone(), left);
        }
        result
    }

    /// What is left when paths are taken out together with all that is below them.
    pub(crate) fn without(&self, gone: &Self) -> Self {
        let mut result = Self { owned: self.owned && !gone.owned, children: BTreeMap::new() };
        if gone.owned {
            return result;
        }
        for (element, below) in &self.children {
            let left = gone.children.get(element).map_or_else(|| below.clone(), |gone| below.without(gone));
            result.insert(element.clone(), left);
        }
        result
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut result = Self { owned: self.owned && other.owned, children: BTreeMap::new() };
        for (element, below) in &self.children {
            if let Some(others) = other.children.get(element) {
                result.insert(element.clone(), below.intersection(others));
            }
        }
        result
    }

    /// As `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        if self.owned && !self.children.is_empty() {
            members.insert(".".to_owned(), json!({}));
        }
        for (element, below) in &self.children {
            members.insert(element.clone(), below.to_json());
        }
        Value::Object(members)
    }

    /// From `fieldsV1`; what is not understood counts as owning nothing.
    pub(crate) fn from_json(value: &Value) -> Self {
        let mut set = Self::read(value);
        set.owned = false;
        set
    }

    fn read(value: &Value) -> Self {
        let Some(members) = value.as_object() else { return Self::default() };
        let children: BTreeMap<_, _> = members
            .iter()
            .filter(|(name, _)| *name != ".")
            .map(|(name, below)| (name.clone(), Self::read(below)))
            .collect();
        Self { owned: children.is_empty() || members.contains_key("."), children }
    }

    /// Every path, as messages show them: `.spec.containers[name="x"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        fn walk(set: &FieldSet, path: &str, found: &mut Vec<String>) {
            // Kubernetes names what is owned here before what is owned further down.
            for (element, _) in set.children.iter().filter(|(_, below)| below.owned) {
                found.push(format!("{path}{}", shown(element)));
            }
            for (element, below) in &set.children {
                walk(below, &format!("{path}{}", shown(element)), found);
            }
        }
        let mut found = Vec::new();
        walk(self, "", &mut found);
        found
    }
}

fn shown(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", key)) => {
            let keys: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        Some(_) | None => format!(".{element}"),
    }
}
