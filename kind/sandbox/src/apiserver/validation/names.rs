//! Names and labels: which forms Kubernetes allows for which kind.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>. Pure.

use serde_json::Value;

use crate::apiserver::cluster::Target;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{entries, list, text};

pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Whether a text is an RFC 1123 label of at most 63 characters.
pub(super) fn is_label(name: &str) -> bool {
    let inner =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    let edge = |character: Option<char>| {
        character.is_some_and(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
    };
    name.len() <= 63 && name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().last())
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|part| part.len() <= 253 && is_long_label(part))
}

fn is_long_label(part: &str) -> bool {
    let inner =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

/// What is wrong with an object's name.
pub(super) fn name_causes(target: &Target, name: &str) -> Vec<Cause> {
    let id = &target.definition.id;
    let (fine, why) = match (id.group.as_str(), id.resource.as_str()) {
        ("", "namespaces") if name.contains('.') => (false, "must not contain dots"),
        ("", "namespaces") => (is_label(name), LABEL),
        ("", "services") => {
            (is_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()), SERVICE)
        }
        // Names of roles are path segments.
        ("rbac.authorization.k8s.io", _) => {
            (!name.contains(['/', '%']) && name != "." && name != "..", "may not contain '/' or '%'")
        }
        _ => (is_subdomain(name), SUBDOMAIN),
    };
    if fine { Vec::new() } else { vec![Cause::invalid("metadata.name", &Value::from(name), why)] }
}

/// What is wrong with an object's labels, annotations and owners.
pub(super) fn metadata_causes(object: &Value) -> Vec<Cause> {
    let mut causes = label_causes(object);
    for (key, _) in entries(object.pointer("/metadata/annotations")) {
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || !is_label_value(name) {
            causes.push(Cause::invalid("metadata.annotations", &Value::from(key.as_str()), QUALIFIED));
        }
    }
    causes.extend(owner_causes(object));
    causes
}

/// Built-in kinds want finalizers of other projects named after them.
pub(super) fn finalizer_causes(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, finalizer) in list(object.pointer("/metadata/finalizers")).enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        let standard = matches!(name, "kubernetes" | "orphan" | "foregroundDeletion");
        if !standard && !name.contains('/') {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{index}]"), finalizer, why));
        }
    }
    causes
}

fn owner_causes(object: &Value) -> Vec<Cause> {
    const FIELDS: [(&str, &str); 4] = [
        ("apiVersion", "version must not be empty"),
        ("kind", "must not be empty"),
        ("name", "must not be empty"),
        ("uid", "must not be empty"),
    ];
    let mut causes = Vec::new();
    let mut controller: Option<String> = None;
    for owner in list(object.pointer("/metadata/ownerReferences")) {
        for (field, why) in FIELDS {
            let value = text(owner, &format!("/{field}"));
            if value.is_empty() {
                let field = format!("metadata.ownerReferences.{field}");
                causes.push(Cause::invalid(field, &Value::from(value), why));
            }
        }
        if owner["controller"] != true {
            continue;
        }
        let this = format!("{}/{}", text(owner, "/kind"), text(owner, "/name"));
        match &controller {
            None => controller = Some(this),
            Some(first) => {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                let value = &object["metadata"]["ownerReferences"];
                causes.push(Cause::invalid("metadata.ownerReferences", value, &why));
            }
        }
    }
    causes
}

fn label_causes(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in entries(object.pointer("/metadata/labels")) {
        let text = value.as_str().unwrap_or_default();
        if !is_label_value(text) {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || !is_label_value(name) {
            causes.push(Cause::invalid("metadata.labels", &Value::from(key.as_str()), QUALIFIED));
        }
    }
    causes
}

fn is_label_value(text: &str) -> bool {
    let inner = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let edge = |character: char| character.is_ascii_alphanumeric();
    text.is_empty()
        || text.len() <= 63 && text.chars().all(inner) && text.starts_with(edge) && text.ends_with(edge)
}
