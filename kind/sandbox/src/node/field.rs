//! Fields of a pod by their path, as `fieldRef` in variables and downward API volumes names them. Pure. The list of
//! paths is that of Kubernetes' documentation on the downward API.

use k8s_openapi::api::core::v1::{Container, Pod};
use std::collections::BTreeMap;

/// What a pod's own object does not hold yet when its containers start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) node: String,
    pub(crate) host_address: String,
    pub(crate) pod_address: String,
}

/// The text of a field, or nothing if Kubernetes has no such path.
pub(crate) fn field(pod: &Pod, placement: &Placement, path: &str) -> Option<String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "metadata.labels" => Some(all(metadata.labels.as_ref())),
        "metadata.annotations" => Some(all(metadata.annotations.as_ref())),
        "spec.nodeName" => Some(placement.node.clone()),
        "spec.serviceAccountName" => {
            Some(spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_else(|| "default".into()))
        }
        "status.hostIP" | "status.hostIPs" => Some(placement.host_address.clone()),
        "status.podIP" | "status.podIPs" => Some(placement.pod_address.clone()),
        _ => {
            let (map, key) = path.strip_suffix("']")?.split_once("['")?;
            let map = match map {
                "metadata.labels" => metadata.labels.as_ref(),
                "metadata.annotations" => metadata.annotations.as_ref(),
                _ => return None,
            };
            Some(map.and_then(|map| map.get(key)).cloned().unwrap_or_default())
        }
    }
}

/// One `key="value"` a line, the value quoted as Go's `%q` does for printable text.
fn all(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quote(value)));
    lines.collect::<Vec<_>>().join("\n")
}

fn quote(value: &str) -> String {
    let mut quoted = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A resource of a container, as `resourceFieldRef` names it, in whole units of the divisor, rounded up.
pub(crate) fn resource(
    container: &Container,
    path: &str,
    divisor: Option<&str>,
    capacity: Capacity,
) -> Option<String> {
    let (kind, name) = path.split_once('.')?;
    let resources = container.resources.as_ref();
    let stated = match kind {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()),
        _ => return None,
    };
    let stated = stated.and_then(|stated| stated.get(name)).map(|quantity| quantity.0.as_str());
    let unstated = match (kind, name) {
        ("limits", "cpu") => capacity.milli_cpus as f64 / 1000.0,
        ("limits", "memory") => capacity.memory_bytes as f64,
        _ => 0.0,
    };
    let value = stated.map_or(Some(unstated), quantity)?;
    let divisor = divisor.filter(|divisor| *divisor != "0").map_or(Some(1.0), quantity)?;
    Some(format!("{:.0}", (value / divisor).ceil()))
}

/// What the node has; a container without a limit is told this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) milli_cpus: u64,
    pub(crate) memory_bytes: u64,
}

/// A Kubernetes quantity as a number: `100m`, `2Gi`, `1e3`.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = text.trim();
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let (number, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement() -> Placement {
        Placement {
            node: "sandbox".into(),
            host_address: "172.18.0.2".into(),
            pod_address: "10.244.0.10".into(),
        }
    }

    fn pod() -> Pod {
        serde_json::from_value(serde_json::json!({"metadata": {
            "name": "a", "annotations": {"one": "1", "quoted": "say \"hi\"\nagain"}
        }}))
        .unwrap()
    }

    #[test]
    fn all_annotations_are_one_quoted_line_each() {
        let text = field(&pod(), &placement(), "metadata.annotations").unwrap();
        assert_eq!(text, "one=\"1\"\nquoted=\"say \\\"hi\\\"\\nagain\"");
    }

    #[test]
    fn a_single_annotation_is_its_plain_value_and_an_absent_one_is_empty() {
        assert_eq!(field(&pod(), &placement(), "metadata.annotations['one']").as_deref(), Some("1"));
        assert_eq!(field(&pod(), &placement(), "metadata.annotations['two']").as_deref(), Some(""));
    }

    #[test]
    fn an_unknown_path_is_nothing() {
        assert_eq!(field(&pod(), &placement(), "spec.containers"), None);
    }

    #[test]
    fn quantities_are_read_with_binary_and_decimal_suffixes() {
        assert_eq!(quantity("1Gi"), Some(1_073_741_824.0));
        assert_eq!(quantity("250m"), Some(0.25));
        assert_eq!(quantity("abc"), None);
    }
}
