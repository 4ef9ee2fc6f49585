//! Names and labels: which forms Kubernetes allows for which kind.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>. Pure.

use serde_json::Value;

use super::forms;
use crate::apiserver::cluster::Target;
use crate::apiserver::error::Cause;
use crate::apiserver::json::{entries, list, text};

/// What is wrong with an object's name.
pub(super) fn name_causes(target: &Target, name: &str) -> Vec<Cause> {
    let id = &target.definition.id;
    let wrong = match (id.group.as_str(), id.resource.as_str()) {
        ("", "namespaces") | ("apps", "statefulsets") => forms::dns_label(name),
        ("", "services") => forms::service_name(name),
        // Names of roles are path segments.
        ("rbac.authorization.k8s.io", _) => match name {
            "." | ".." => vec!["may not contain '/' or '%'".to_owned()],
            name if name.contains(['/', '%']) => vec!["may not contain '/' or '%'".to_owned()],
            _ => Vec::new(),
        },
        _ => forms::subdomain(name),
    };
    let cause = |why: String| Cause::invalid("metadata.name", &Value::from(name), &why);
    wrong.into_iter().map(cause).collect()
}

/// What is wrong with an object's labels, annotations and owners.
pub(super) fn metadata_causes(object: &Value) -> Vec<Cause> {
    let mut causes = label_causes_at(object.pointer("/metadata/labels"), "metadata.labels");
    causes.extend(annotation_causes(object.pointer("/metadata/annotations"), "metadata.annotations"));
    causes.extend(owner_causes(object));
    causes
}

/// What is wrong with annotations at a path. Their names are looked at as if they were all lowercase.
pub(super) fn annotation_causes(annotations: Option<&Value>, at: &str) -> Vec<Cause> {
    const MOST_BYTES: usize = 256 * 1024;
    let mut causes = Vec::new();
    let mut bytes = 0;
    for (name, value) in entries(annotations) {
        bytes += name.len() + value.as_str().map_or(0, str::len);
        let wrong = forms::qualified_name(&name.to_lowercase()).into_iter();
        causes.extend(wrong.map(|why| Cause::invalid(at, &Value::from(name.as_str()), &why)));
    }
    if bytes > MOST_BYTES {
        let message = format!("Too long: may not be more than {MOST_BYTES} bytes");
        causes.push(Cause { reason: "FieldValueTooLong", field: at.to_owned(), message });
    }
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

/// What is wrong with labels at a path.
pub(super) fn label_causes_at(labels: Option<&Value>, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, value) in entries(labels) {
        let text = value.as_str().unwrap_or_default();
        let name_wrong = forms::qualified_name(name).into_iter();
        causes.extend(name_wrong.map(|why| Cause::invalid(at, &Value::from(name.as_str()), &why)));
        causes.extend(forms::label_value(text).into_iter().map(|why| Cause::invalid(at, value, &why)));
    }
    causes
}
