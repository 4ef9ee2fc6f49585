//! Names and labels: which forms Kubernetes allows for which kind.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>. Pure.

use serde_json::Value;

use crate::apiserver::cluster::Target;
use crate::apiserver::error::Cause;
use crate::apiserver::json::entries;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

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
        ("", "namespaces" | "services") => (is_label(name), LABEL),
        // Names of roles are path segments.
        ("rbac.authorization.k8s.io", _) => {
            (!name.contains(['/', '%']) && name != "." && name != "..", "may not contain '/' or '%'")
        }
        _ => (is_subdomain(name), SUBDOMAIN),
    };
    if fine { Vec::new() } else { vec![Cause::invalid("metadata.name", &Value::from(name), why)] }
}

/// What is wrong with an object's labels.
pub(super) fn label_causes(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in entries(object.pointer("/metadata/labels")) {
        let text = value.as_str().unwrap_or_default();
        if !is_label_value(text) {
            let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || !is_label_value(name) {
            causes.push(Cause::invalid(
                "metadata.labels",
                &Value::from(key.as_str()),
                "name part must be a qualified name",
            ));
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
