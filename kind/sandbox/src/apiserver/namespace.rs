//! What a namespace says of itself while it is being deleted: what is left in it, and what holds that.
//!
//! Pure. The words are those of Kubernetes' namespace controller.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cluster::{Cluster, Inputs};
use super::json::{list, text};

/// Type, reason and message of each condition when all is well.
const WELL: [[&str; 3]; 5] = [
    ["NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"],
    [
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ],
    [
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ],
    ["NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"],
    ["NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"],
];

/// The namespace with the conditions that its content calls for.
pub(crate) fn described(cluster: &Cluster, inputs: &Inputs<'_>, namespace: &Value) -> Value {
    let name = text(namespace, "/metadata/name");
    let (remaining, holding) = content(cluster, name);
    let mut described = namespace.clone();
    let conditions = WELL.map(|[kind, reason, message]| {
        let (status, reason, message) = match kind {
            "NamespaceContentRemaining" if !remaining.is_empty() => {
                ("True", "SomeResourcesRemain", format!("Some resources are remaining: {}", remaining.join(", ")))
            }
            "NamespaceFinalizersRemaining" if !holding.is_empty() => {
                let message = "Some content in the namespace has finalizers remaining";
                ("True", "SomeFinalizersRemain", format!("{message}: {}", holding.join(", ")))
            }
            _ => ("False", reason, message.to_owned()),
        };
        let old = list(namespace.pointer("/status/conditions")).find(|one| one["type"] == kind);
        let unchanged = old.filter(|old| old["status"] == status).and_then(|old| old.get("lastTransitionTime"));
        let since = unchanged.cloned().unwrap_or_else(|| inputs.now_text());
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    });
    let own = |one: &&Value| WELL.iter().all(|[kind, ..]| one["type"] != *kind);
    let others = list(namespace.pointer("/status/conditions")).filter(own).cloned();
    described["status"]["conditions"] = others.chain(conditions).collect();
    described
}

/// How many objects of each resource are left, and how many each finalizer holds.
fn content(cluster: &Cluster, namespace: &str) -> (Vec<String>, Vec<String>) {
    let (mut resources, mut finalizers) =
        (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
    for key in cluster.store.keys_in_namespace(namespace) {
        *resources.entry(format!("{}.{}", key.resource.resource, key.resource.group)).or_default() += 1;
        let object = cluster.store.get(&key);
        let held = object.iter().flat_map(|object| list(object.pointer("/metadata/finalizers")));
        for finalizer in held.filter_map(Value::as_str) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let said = |counts: BTreeMap<String, usize>, verb: &str| {
        counts.into_iter().map(|(name, count)| format!("{name} {verb} {count} resource instances")).collect()
    };
    (said(resources, "has"), said(finalizers, "in"))
}
