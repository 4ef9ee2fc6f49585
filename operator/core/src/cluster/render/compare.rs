//! Compares a live object with its rendering, and says how to put it back.
//!
//! Both sides are brought to one form first: what an API server fills in by default is taken out, quantities are
//! compared as amounts, and what is empty counts as absent. What is left must be equal, so an addition by somebody else
//! is a difference like a change is. The other ways were weighed: a comparison of only those fields that we set would
//! not see an added variable; one against the managed fields would trust a record that anybody may rewrite; and server-side
//! apply does not take away what another manager added to a list. Taking the defaults out of both sides works with
//! servers that fill them in and with those that do not.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::quantity;
use crate::cluster::plan::PatchOperation;

/// Fields that an API server fills in with a text (Kubernetes 1.34, `pkg/apis/*/v1/defaults.go`), and those that it leaves out
/// when they are empty.
const DEFAULT_TEXTS: [(&str, &str); 21] = [
    ("apiVersion", "v1"),
    ("divisor", "0"),
    ("dnsPolicy", "ClusterFirst"),
    ("externalTrafficPolicy", "Cluster"),
    ("internalTrafficPolicy", "Cluster"),
    ("path", "/"),
    ("podManagementPolicy", "OrderedReady"),
    ("preemptionPolicy", "PreemptLowerPriority"),
    ("protocol", "TCP"),
    ("restartPolicy", "Always"),
    ("schedulerName", "default-scheduler"),
    ("scheme", "HTTP"),
    ("service", ""),
    ("sessionAffinity", "None"),
    ("terminationMessagePath", "/dev/termination-log"),
    ("terminationMessagePolicy", "File"),
    ("type", "ClusterIP"),
    ("value", ""),
    ("volumeMode", "Filesystem"),
    ("whenDeleted", "Retain"),
    ("whenScaled", "Retain"),
];

/// The same for numbers.
const DEFAULT_NUMBERS: [(&str, i64); 12] = [
    ("defaultMode", 420),
    ("expirationSeconds", 3600),
    ("failureThreshold", 3),
    ("hostPort", 0),
    ("initialDelaySeconds", 0),
    ("minReadySeconds", 0),
    ("partition", 0),
    ("periodSeconds", 10),
    ("revisionHistoryLimit", 10),
    ("successThreshold", 1),
    ("terminationGracePeriodSeconds", 30),
    ("timeoutSeconds", 1),
];

/// Switches that are off if they are absent.
const DEFAULT_OFF: [&str; 9] = [
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "publishNotReadyAddresses",
    "readOnly",
    "shareProcessNamespace",
    "stdin",
    "stdinOnce",
    "tty",
];

/// Switches that are on if they are absent.
const DEFAULT_ON: [&str; 1] = ["allocateLoadBalancerNodePorts"];

/// Fields of a spec that the server assigns, or that nobody can change.
const NOT_OURS: [&str; 9] = [
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "healthCheckNodePort",
    "podManagementPolicy",
    "serviceName",
    "volumeClaimTemplates",
    "volumeName",
];

/// How a live object differs from its rendering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// Where, as JSON pointers, as deep as a single change reaches.
    pub fields: Vec<String>,
    /// What puts it back.
    pub operations: Vec<PatchOperation>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

/// Compares labels, owner and spec. Annotations are left alone: controllers of all kinds put their notes there.
pub fn difference(live: &impl Serialize, rendered: &impl Serialize) -> Difference {
    let (live, rendered) = (plain(live), plain(rendered));
    let mut difference = Difference::default();
    for field in ["labels", "ownerReferences"] {
        let path = format!("/metadata/{field}");
        compare_field(&mut difference, &path, live.pointer(&path), rendered.pointer(&path));
    }
    let empty = Map::new();
    let [live_spec, rendered_spec] =
        [&live, &rendered].map(|object| object.get("spec").and_then(Value::as_object).unwrap_or(&empty));
    let is_stateful_set = rendered_spec.contains_key("template");
    let names: std::collections::BTreeSet<&String> = live_spec.keys().chain(rendered_spec.keys()).collect();
    for name in names {
        let is_fixed = NOT_OURS.contains(&name.as_str()) || (is_stateful_set && name == "selector");
        if !is_fixed {
            let path = format!("/spec/{}", escape(name));
            compare_field(&mut difference, &path, live_spec.get(name), rendered_spec.get(name));
        }
    }
    difference
}

fn plain(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("a Kubernetes object is plain data")
}

fn compare_field(difference: &mut Difference, path: &str, live: Option<&Value>, rendered: Option<&Value>) {
    let [live_form, rendered_form] = [live, rendered].map(|value| normalised_field(path, value));
    if live_form == rendered_form {
        return;
    }
    difference.fields.push(deepest(path, &live_form, &rendered_form));
    difference.operations.push(match rendered {
        Some(value) => PatchOperation::Add { path: path.to_owned(), value: value.clone() },
        None => PatchOperation::Remove { path: path.to_owned() },
    });
}

/// The normal form of one field: `null` if it is absent, empty or as the server fills it in.
fn normalised_field(path: &str, value: Option<&Value>) -> Value {
    let key = path.rsplit('/').next().unwrap_or_default();
    let wrapped = json!({ key: value.cloned().unwrap_or(Value::Null) });
    normalised(&wrapped).get(key).cloned().unwrap_or(Value::Null)
}

/// The normal form of a value: without what is empty and without what an API server fills in, and with quantities
/// written as amounts.
pub fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(normalised_object(fields)),
        Value::Array(items) => Value::Array(items.iter().map(normalised).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn normalised_object(fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(key, value)| !is_default(key, value))
        .map(|(key, value)| match (key.as_str(), value) {
            ("requests" | "limits", Value::Object(amounts)) => (key.clone(), normalised_amounts(amounts)),
            ("sizeLimit" | "divisor", amount @ Value::String(_)) => (key.clone(), normalised_amount(amount)),
            _ => (key.clone(), normalised(value)),
        })
        .filter(|(_, value)| !is_empty(value))
        .collect()
}

fn normalised_amounts(amounts: &Map<String, Value>) -> Value {
    Value::Object(amounts.iter().map(|(name, value)| (name.clone(), normalised_amount(value))).collect())
}

fn normalised_amount(value: &Value) -> Value {
    match value.as_str().and_then(quantity::parse) {
        Some(thousandths) => Value::String(thousandths.to_string()),
        None => value.clone(),
    }
}

fn is_default(key: &str, value: &Value) -> bool {
    // The old name of `serviceAccountName`, which the server keeps in step with it; and a number that it assigns.
    let is_mirror = ["serviceAccount", "nodePort"].contains(&key);
    let has_default = match value {
        Value::String(text) => DEFAULT_TEXTS.contains(&(key, text)),
        Value::Number(number) => {
            number.as_i64().is_some_and(|number| DEFAULT_NUMBERS.contains(&(key, number)))
        }
        Value::Bool(true) => DEFAULT_ON.contains(&key),
        Value::Bool(false) => DEFAULT_OFF.contains(&key),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    is_mirror || has_default
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The deepest pointer below which all differences lie.
fn deepest(path: &str, live: &Value, rendered: &Value) -> String {
    let children: Vec<(String, &Value, &Value)> = match (live, rendered) {
        (Value::Object(live), Value::Object(rendered)) => {
            let names: std::collections::BTreeSet<&String> = live.keys().chain(rendered.keys()).collect();
            let pair = |name: &String| {
                (
                    escape(name),
                    live.get(name).unwrap_or(&Value::Null),
                    rendered.get(name).unwrap_or(&Value::Null),
                )
            };
            names.into_iter().map(pair).collect()
        }
        (Value::Array(live), Value::Array(rendered)) if live.len() == rendered.len() => {
            live.iter().zip(rendered).enumerate().map(|(index, (l, r))| (index.to_string(), l, r)).collect()
        }
        _ => return path.to_owned(),
    };
    let mut different = children.into_iter().filter(|(_, live, rendered)| live != rendered);
    match (different.next(), different.next()) {
        (Some((name, live, rendered)), None) => deepest(&format!("{path}/{name}"), live, rendered),
        _ => path.to_owned(),
    }
}

/// A name as one step of a JSON pointer (RFC 6901).
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
