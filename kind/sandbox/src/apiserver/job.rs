//! The selector of a Job and the labels of its pods, which the API server makes unless the user wants to.
//!
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-labels>. Pure.

use serde_json::{Value, json};

use super::json::{entries, object, text};

const UID: &str = "batch.kubernetes.io/controller-uid";

/// The labels of a Job's pods, each under its name of today and its old one.
pub(crate) fn labels(uid: &str, name: &str) -> [(String, String); 4] {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    [
        label("controller-uid", uid),
        label("job-name", name),
        label(UID, uid),
        label("batch.kubernetes.io/job-name", name),
    ]
}

/// Completes a new Job.
pub(crate) fn generate_selector(new: &mut Value) {
    if new.pointer("/spec/manualSelector") == Some(&json!(true)) {
        return;
    }
    let own_labels = new.pointer("/metadata/labels").cloned();
    let is_labelled = entries(own_labels.as_ref()).next().is_some()
        && own_labels.as_ref() != new.pointer("/spec/template/metadata/labels");
    let (uid, name) = (text(new, "/metadata/uid").to_owned(), text(new, "/metadata/name").to_owned());
    let spec = object(new, "spec");
    let template = spec.entry("template").or_insert_with(|| json!({}));
    object(template, "metadata");
    let own = object(&mut template["metadata"], "labels");
    for (label, value) in labels(&uid, &name) {
        // A label of the user's that differs is refused later.
        own.entry(label).or_insert_with(|| json!(value));
    }
    let generated = Value::Object(own.clone());
    let selector = spec.entry("selector").or_insert_with(|| json!({}));
    object(selector, "matchLabels").entry(UID).or_insert_with(|| json!(uid));
    // A Job without labels of its own has those of its pods.
    if !is_labelled {
        object(new, "metadata").insert("labels".to_owned(), generated);
    }
}
