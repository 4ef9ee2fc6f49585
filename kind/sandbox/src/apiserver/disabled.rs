//! Fields of features that are off by default: they are dropped on the way into the store, as by Kubernetes.
//!
//! Pure. They come off after ownership was written down, so that `managedFields` may still name them.

use serde_json::{Map, Value};

use super::cluster::Target;

/// Drops the fields of features that are off from a pod, or from the template in a workload.
pub(crate) fn drop_fields(target: &Target, new: &mut Value) {
    let id = &target.definition.id;
    let pointer = match (id.group.as_str(), id.resource.as_str()) {
        ("", "pods") => "/spec",
        ("batch", "cronjobs") => "/spec/jobTemplate/spec/template/spec",
        ("apps" | "batch", _) => "/spec/template/spec",
        _ => return,
    };
    if let Some(spec) = new.pointer_mut(pointer).and_then(Value::as_object_mut) {
        restart_rules(spec);
    }
}

/// Only containers that stay beside the others say how they are restarted.
fn restart_rules(spec: &mut Map<String, Value>) {
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let containers = spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for container in containers.filter_map(Value::as_object_mut) {
            container.remove("restartPolicyRules");
            let stays = field == "initContainers"
                && container.get("restartPolicy").is_some_and(|policy| policy == "Always");
            if !stays {
                container.remove("restartPolicy");
            }
        }
    }
}
