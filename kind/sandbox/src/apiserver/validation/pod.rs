//! Checks of pod specs, in pods and in templates.
//!
//! Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::enumeration;
use super::names::{LABEL, is_label};
use crate::apiserver::error::Cause;
use crate::apiserver::json::{list, text};

/// What is wrong with a pod's spec at `path`; a template allows one restart policy only.
pub(super) fn causes(spec: &Value, path: &str, restart_policy: Option<&str>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if list(spec.get("containers")).next().is_none() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let volumes: BTreeSet<&str> = list(spec.get("volumes")).map(|volume| text(volume, "/name")).collect();
    let mut seen = BTreeSet::new();
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in list(spec.get(field)).enumerate() {
            let path = format!("{path}.{field}[{index}]");
            container_causes(container, &path, &volumes, &mut causes);
            let name = text(container, "/name");
            if !name.is_empty() && !seen.insert(name) {
                causes.push(Cause::duplicate(format!("{path}.name"), &container["name"]));
            }
        }
    }
    let supported: &[&str] = match restart_policy {
        Some(_) => &["Always"],
        None => &["Always", "OnFailure", "Never"],
    };
    for (field, supported) in [
        ("restartPolicy", supported),
        ("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ] {
        let found = enumeration(spec, field, supported);
        causes.extend(found.map(|cause| Cause { field: format!("{path}.{}", cause.field), ..cause }));
    }
    causes
}

fn container_causes(container: &Value, path: &str, volumes: &BTreeSet<&str>, causes: &mut Vec<Cause>) {
    let name = text(container, "/name");
    if name.is_empty() {
        causes.push(Cause::required(format!("{path}.name"), ""));
    } else if !is_label(name) {
        causes.push(Cause::invalid(format!("{path}.name"), &container["name"], LABEL));
    }
    if text(container, "/image").is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    }
    let policy = enumeration(container, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
    causes.extend(policy.map(|cause| Cause { field: format!("{path}.{}", cause.field), ..cause }));
    for (index, mount) in list(container.get("volumeMounts")).enumerate() {
        if !volumes.contains(text(mount, "/name")) {
            let message = format!("Not found: {}", mount["name"]);
            let field = format!("{path}.volumeMounts[{index}].name");
            causes.push(Cause { reason: "FieldValueNotFound", field, message });
        }
        if text(mount, "/mountPath").is_empty() {
            causes.push(Cause::required(format!("{path}.volumeMounts[{index}].mountPath"), ""));
        }
    }
}
