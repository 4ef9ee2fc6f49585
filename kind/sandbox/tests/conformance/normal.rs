//! Takes out of an answer what two clusters can't have in common: uids, resource versions, times, generated suffixes,
//! cluster addresses and node ports.
//!
//! Pure. Uids, versions, addresses and node ports become numbers in order of their first appearance, so that two answers still differ
//! when one arm kept a version that the other raised. The entries of `managedFields` are put in an order that does not
//! depend on times, as Kubernetes' does; so are the causes of an apply's conflicts, and what a custom
//! resource's schema refuses, which Kubernetes sends in any order.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

static UID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").expect("a valid pattern")
});
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)").expect("a valid pattern")
});
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b10\.96\.\d+\.\d+\b").expect("a valid pattern"));
/// Names of ReplicaSets in texts: their hash may be known from nowhere else.
static REPLICA_SET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)(replica ?set "[a-z0-9.-]+-)[a-z0-9]{5,10}""#).expect("a valid pattern")
});
/// Ages, as tables show them.
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+[smhdy])+$").expect("a valid pattern"));
/// The time of an answer over HTTP, in what a stream carries.
static HTTP_DATE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"Date: \w{3}, [^\r]* GMT").expect("a valid pattern"));
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(the ResourceVersion in the precondition \(|the ResourceVersion in record \(|ResourceVersion in precondition: |ResourceVersion in object meta: |resource version: )(\d+)( \(\d+\))?|(, current: |revision )(\d+)")
        .expect("a valid pattern")
});

/// What one arm has shown so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normaliser {
    uids: BTreeMap<String, usize>,
    versions: BTreeMap<String, usize>,
    addresses: BTreeMap<String, usize>,
    ports: BTreeMap<String, usize>,
    /// Generated names and hashes, longest first when they are replaced.
    generated: BTreeMap<String, String>,
}

impl Normaliser {
    /// The answer with everything of this cluster alone taken out.
    pub(crate) fn normalise(&mut self, value: &Value) -> Value {
        self.learn_generated(value);
        let mut value = value.clone();
        order_generated(&mut value);
        order_refusals(&mut value);
        self.rewrite(&mut value, "");
        value
    }

    fn learn_generated(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.learn_generated(item)),
            Value::Object(members) => {
                if let Some(suffix) = members
                    .get("name")
                    .and_then(Value::as_str)
                    .and_then(|name| name.strip_prefix("kube-api-access-"))
                {
                    self.generated.insert(suffix.to_owned(), "<suffix>".to_owned());
                }
                if let Some(metadata) = members.get("metadata") {
                    self.learn_from_metadata(metadata);
                }
                members.values().for_each(|child| self.learn_generated(child));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn learn_from_metadata(&mut self, metadata: &Value) {
        let text = |pointer: &str| metadata.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let hash = text("/labels/pod-template-hash");
        if !hash.is_empty() {
            self.generated.insert(hash.to_owned(), "<hash>".to_owned());
        }
        let (name, prefix) = (text("/name"), text("/generateName"));
        if let Some(suffix) =
            name.strip_prefix(prefix).filter(|suffix| !prefix.is_empty() && suffix.len() == 5)
        {
            self.generated.insert(suffix.to_owned(), "<suffix>".to_owned());
        }
    }

    fn rewrite(&mut self, value: &mut Value, field: &str) {
        match value {
            Value::String(text) => *value = Value::String(self.rewrite_text(text, field)),
            Value::Array(items) => {
                if field == "managedFields" {
                    items.sort_by_key(order_of_manager);
                }
                if field == "endpoints" || field == "resourceRules" || field == "nonResourceRules" {
                    // These come from maps and sets of a real server, in another order each time.
                    items.sort_by_key(|item| without_uids(item).to_string());
                }
                // A real server walks over a map of managers, in another order each time.
                if items.iter().all(|item| item["reason"] == "FieldManagerConflict") {
                    items.sort_by_key(ToString::to_string);
                }
                items.iter_mut().for_each(|item| self.rewrite(item, field));
            }
            Value::Object(members) => {
                let is_list =
                    members.get("items").is_some_and(Value::is_array) || members.contains_key("rows");
                if let (true, Some(Value::Object(metadata))) = (is_list, members.get_mut("metadata")) {
                    list_metadata(metadata);
                }
                if members.get("type").is_some_and(|kind| kind == "BOOKMARK") {
                    members["object"]["metadata"]["resourceVersion"] = json!("<revision>");
                }
                let taken = std::mem::take(members);
                // The order of names decides the order of first appearance: the same on both arms.
                for (name, mut child) in taken {
                    self.rewrite(&mut child, &name);
                    let name = self.rewrite_text(&name, "");
                    members.insert(name, child);
                }
            }
            Value::Number(port) if field == "nodePort" || field == "healthCheckNodePort" => {
                // Those that are given out are given out at random.
                *value = json!(format!("<port {}>", number(&mut self.ports, &port.to_string())));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn rewrite_text(&mut self, text: &str, field: &str) -> String {
        if field == "resourceVersion" && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return format!("<version {}>", number(&mut self.versions, text));
        }
        if field == "continue" && !text.is_empty() {
            return "<continue>".to_owned();
        }
        if field == "token" && text.starts_with("eyJ") {
            return "<token>".to_owned();
        }
        if field == "cells" && AGE.is_match(text) {
            return "<age>".to_owned();
        }
        let text = REPLICA_SET.replace_all(text, "$1<hash>\"");
        let text = TIME.replace_all(&text, "<time>");
        let text = HTTP_DATE.replace_all(&text, "Date: <time>");
        let text = UID.replace_all(&text, |found: &Captures<'_>| {
            format!("<uid {}>", number(&mut self.uids, &found[0]))
        });
        let text = ADDRESS.replace_all(&text, |found: &Captures<'_>| {
            format!("<address {}>", number(&mut self.addresses, &found[0]))
        });
        let text = VERSION.replace_all(&text, |found: &Captures<'_>| {
            let intro = found.get(1).or(found.get(4)).map_or("", |intro| intro.as_str());
            format!("{intro}<version>")
        });
        self.replace_generated(&text)
    }

    fn replace_generated(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (generated, shown) in &self.generated {
            // A generated part stands at the end or between dashes; elsewhere the same letters mean something else.
            if let Some(at) = text.find(generated.as_str()) {
                let (before, after) = (&text[..at], &text[at + generated.len()..]);
                let starts = before.is_empty() || before.ends_with(['-', '/', '"', '=', ' ']);
                let ends = after.is_empty() || after.starts_with(['-', '"', ',', ' ', '/']);
                if starts && ends {
                    text = format!("{before}{shown}{after}");
                }
            }
        }
        text
    }
}

fn without_uids(item: &Value) -> Value {
    match item {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "uid")
            .map(|(name, child)| (name.clone(), without_uids(child)))
            .collect(),
        Value::Array(items) => items.iter().map(without_uids).collect(),
        other => other.clone(),
    }
}

fn number(known: &mut BTreeMap<String, usize>, text: &str) -> usize {
    let next = known.len() + 1;
    *known.entry(text.to_owned()).or_insert(next)
}

/// A list's version is the whole cluster's, which counts the writes of others too.
fn list_metadata(metadata: &mut Map<String, Value>) {
    if let Some(version) = metadata.get_mut("resourceVersion").filter(|version| **version != json!("")) {
        *version = json!("<revision>");
    }
}

fn order_of_manager(entry: &Value) -> String {
    let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    [text("operation"), text("manager"), text("apiVersion"), text("subresource")].join(" ")
}

/// Lists of objects with generated names are ordered by random letters: put them in an order of their content.
fn order_generated(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(order_generated);
            let generated = |item: &Value| item.pointer("/metadata/generateName").is_some();
            if items.iter().any(generated) {
                items.sort_by_key(|item| {
                    let mut alone = Normaliser::default().without_ordering(item);
                    alone["metadata"]["uid"] = Value::Null;
                    alone["metadata"]["resourceVersion"] = Value::Null;
                    alone.to_string()
                });
            }
        }
        Value::Object(members) => members.values_mut().for_each(order_generated),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Normaliser {
    fn without_ordering(mut self, value: &Value) -> Value {
        self.learn_generated(value);
        let mut value = value.clone();
        self.rewrite(&mut value, "");
        value
    }
}

/// What a schema refuses is found by walking over a map of properties, which a real server does in another order each time.
fn order_refusals(value: &mut Value) {
    let of_a_schema = value.pointer("/details/group").is_some_and(|group| group == "conformance.test");
    if value["reason"] != "Invalid" || !of_a_schema {
        return;
    }
    if let Some(causes) = value.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(ToString::to_string);
    }
    let message = value["message"].as_str().unwrap_or_default();
    let listed =
        message.split_once(" is invalid: [").and_then(|(who, list)| Some((who, list.strip_suffix(']')?)));
    if let Some((who, list)) = listed {
        let mut parts: Vec<&str> = list.split(", ").collect();
        parts.sort_unstable();
        value["message"] = json!(format!("{who} is invalid: [{}]", parts.join(", ")));
    }
}
